package config

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a file, so that no file can take the program down.
const (
	maxFile     = 4 << 20 // bytes
	maxDepth    = 32      // mappings and lists inside each other
	maxNodes    = 200_000 // values in all, those that aliases repeat included
	maxHeads    = 8       // directives, and lines that begin a document
	maxKeyCost  = 4e8     // the squares of the numbers of keys of all block mappings, which is what parsing them takes
	maxProblems = 100     // problems that are collected
)

// kind is the YAML kind of a node.
type kind int

const (
	null kind = iota
	boolean
	integer
	float
	text
	sequence
	mapping
)

// String names the kind as messages do.
func (k kind) String() string {
	return [...]string{"nothing", "a boolean", "a whole number", "a number", "text", "a list", "a mapping"}[k]
}

// place is a position in the file, counted from 1.
type place struct{ line, column int }

// node is a value of the file, free of the parser's types, with its aliases resolved.
type node struct {
	kind    kind
	at      place
	text    string // of a scalar, as written (quotes taken off)
	items   []*node
	entries []entry
	size    int  // nodes below and including this one
	broken  bool // what stands here was reported already
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	at    place // of the key
	value *node
}

// document reads the one YAML document of a file. It returns nil for a file without one. Problems go to report; the tree
// is what could be read besides.
func document(data []byte, report func(at place, message string)) (root *node) {
	defer func() {
		if r := recover(); r != nil {
			report(place{}, fmt.Sprintf("the YAML parser cannot read this file: %v", r))
			root = nil
		}
	}()
	if len(data) > maxFile {
		report(place{}, fmt.Sprintf("the file is larger than %s", Size(maxFile)))
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if at, message := badText(data); message != "" {
		report(at, message)
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if at, message := tooMuch(tokens); message != "" {
		report(at, message)
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		report(syntaxProblem(err))
		return nil
	}
	c := &converter{report: report, anchors: map[string]*node{}}
	return c.file(file)
}

// badText finds what no YAML file may hold: bytes that are not UTF-8 and control characters.
func badText(data []byte) (place, string) {
	at := place{1, 1}
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && n == 1:
			return at, fmt.Sprintf("byte 0x%02x is not UTF-8 text", data[0])
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return at, fmt.Sprintf("control character %U", r)
		}
		data = data[n:]
		at.column++
		if r == '\n' {
			at = place{at.line + 1, 1}
		}
	}
	return place{}, ""
}

// syntaxProblem turns a parser's error into a place and a message.
func syntaxProblem(err error) (place, string) {
	var located yaml.Error
	if errors.As(err, &located) {
		return at(located.GetToken()), "YAML syntax: " + located.GetMessage()
	}
	return place{}, "YAML syntax: " + err.Error()
}

func at(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{max(1, t.Position.Line), max(1, t.Position.Column)}
}

// start is where a value begins; the parser's own place of a block mapping is its first colon.
func start(n ast.Node) place {
	own := at(n.GetToken())
	var first ast.Node
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			first = n.Values[0].Key
		}
	case *ast.MappingValueNode:
		first = n.Key
	}
	if first == nil {
		return own
	}
	key := at(first.GetToken())
	if key.line < own.line || key.line == own.line && key.column < own.column {
		return key
	}
	return own
}

// converter makes nodes of the parser's tree.
type converter struct {
	report  func(place, string)
	anchors map[string]*node
	nodes   int
	over    bool
}

func (c *converter) file(file *ast.File) *node {
	var root *node
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); directive || doc.Body == nil {
			continue
		}
		if root != nil {
			c.report(start(doc.Body), "a second document: the file must hold one")
			return root
		}
		root = c.node(doc.Body)
	}
	return root
}

// node converts one value. What it cannot use is reported and becomes null.
func (c *converter) node(n ast.Node) *node {
	out := c.convert(n)
	out.size = 1
	for _, item := range out.items {
		out.size += item.size
	}
	for _, e := range out.entries {
		out.size += e.value.size
	}
	return out
}

func (c *converter) convert(n ast.Node) *node {
	if n == nil {
		return &node{}
	}
	where := at(n.GetToken())
	if c.nodes++; c.nodes > maxNodes {
		c.tooMany(where)
		return &node{at: where, broken: true}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return c.mapping(start(n), n.Values)
	case *ast.MappingValueNode:
		return c.mapping(start(n), []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		out := &node{kind: sequence, at: where}
		for _, v := range n.Values {
			out.items = append(out.items, c.node(v))
		}
		return out
	case *ast.AnchorNode:
		value := c.node(n.Value)
		c.anchors[n.Name.GetToken().Value] = value
		return value
	case *ast.AliasNode:
		return c.alias(where, n)
	case *ast.TagNode:
		c.report(where, fmt.Sprintf("the tag %s has no meaning here", n.GetToken().Value))
		return c.node(n.Value)
	default:
		return c.scalar(where, n)
	}
}

func (c *converter) scalar(where place, n ast.Node) *node {
	out := &node{at: where, text: n.GetToken().Value}
	switch n := n.(type) {
	case *ast.NullNode:
		out.text = ""
	case *ast.BoolNode:
		out.kind = boolean
	case *ast.IntegerNode:
		out.kind = integer
		out.text = fmt.Sprint(n.Value) // decimal, whatever the notation
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind = float
	case *ast.StringNode:
		out.kind, out.text = text, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = text, n.Value.Value
	default:
		out.broken = true
		c.report(where, fmt.Sprintf("YAML's %s has no meaning here", n.Type()))
	}
	return out
}

func (c *converter) mapping(where place, values []*ast.MappingValueNode) *node {
	out := &node{kind: mapping, at: where}
	seen := make(map[string]place, len(values))
	for _, v := range values {
		key, keyAt, ok := c.key(v.Key)
		value := c.node(v.Value)
		if !ok {
			continue
		}
		if first, dup := seen[key]; dup {
			c.report(keyAt, fmt.Sprintf("key %q is given twice, first on line %d", key, first.line))
			continue
		}
		seen[key] = keyAt
		out.entries = append(out.entries, entry{key: key, at: keyAt, value: value})
	}
	return out
}

func (c *converter) key(n ast.MapKeyNode) (key string, where place, ok bool) {
	where = at(n.GetToken())
	var inner ast.Node = n
	if explicit, is := n.(*ast.MappingKeyNode); is {
		inner = explicit.Value
	}
	if anchor, is := inner.(*ast.AnchorNode); is {
		inner = anchor.Value
	}
	switch k := inner.(type) {
	case *ast.MergeKeyNode:
		c.report(where, `merge keys ("<<") are not supported: repeat the values, or use an alias for a whole value`)
		return "", where, false
	case *ast.StringNode:
		return k.Value, where, true
	case *ast.IntegerNode, *ast.BoolNode, *ast.FloatNode, *ast.NullNode:
		return inner.GetToken().Value, where, true
	}
	c.report(where, "a key must be text")
	return "", where, false
}

func (c *converter) alias(where place, n *ast.AliasNode) *node {
	name := n.Value.GetToken().Value
	target, ok := c.anchors[name]
	if !ok {
		c.report(where, fmt.Sprintf("no anchor &%s above: text that begins with * must stand in quotes", name))
		return &node{at: where, broken: true}
	}
	if c.nodes += target.size; c.nodes > maxNodes {
		c.tooMany(where)
		return &node{at: where, broken: true}
	}
	copied := *target
	copied.at = where
	return &copied
}

// tooMany reports once that the file holds too much.
func (c *converter) tooMany(where place) {
	if !c.over {
		c.over = true
		c.report(where, fmt.Sprintf("more than %d values (aliases counted as what they stand for)", maxNodes))
	}
}

package config

import (
	"bytes"
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Show writes the effective configuration as YAML that reads back to the same: every value that has a default, file
// names made absolute, short forms written out. What the file holds comes first, in its order. Secrets are their
// references. What is switched off or left to the program (no tls, no verifier) is absent.
func (c *Config) Show() []byte {
	var root *node
	if c.source != nil {
		root = c.source.root
	}
	w := &writer{}
	w.structure(reflect.ValueOf(c).Elem(), root)
	return w.out.Bytes()
}

// writer writes values as block YAML.
type writer struct {
	out    bytes.Buffer
	indent int
	dashed bool // the next line's indent is written already, by a list's dash
}

// key begins a line with a key.
func (w *writer) key(name string) {
	if !w.dashed {
		w.out.WriteString(strings.Repeat("  ", w.indent))
	}
	w.dashed = false
	w.out.WriteString(quoteKey(name) + ":")
}

// structure writes the keys of a struct; n is where it stands in the file, or nil.
func (w *writer) structure(v reflect.Value, n *node) {
	list := Keys(v.Type())
	inFile := order(n)
	slices.SortStableFunc(list, func(a, b Key) int { return cmp.Compare(rank(inFile, a.Name), rank(inFile, b.Name)) })
	for _, f := range list {
		value := v.FieldByIndex(f.index)
		if absent(value, f) {
			continue
		}
		w.key(f.Name)
		w.value(value, child(n, f.Name))
	}
}

// value writes what follows a key.
func (w *writer) value(v reflect.Value, n *node) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if _, ok := v.Interface().(encoding.TextMarshaler); ok || isScalar(v) {
		w.out.WriteString(" " + scalarText(v) + "\n")
		return
	}
	w.out.WriteString("\n")
	w.indent++
	defer func() { w.indent-- }()
	switch v.Kind() {
	case reflect.Struct:
		w.structure(v, n)
	case reflect.Map:
		inFile := order(n)
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int {
			return cmp.Or(cmp.Compare(rank(inFile, a.String()), rank(inFile, b.String())), cmp.Compare(a.String(), b.String()))
		})
		for _, name := range names {
			w.key(name.String())
			w.element(v.MapIndex(name), child(n, name.String()))
		}
	case reflect.Slice:
		w.list(v, n)
	}
}

// element writes a map's value, which may have no key to show.
func (w *writer) element(v reflect.Value, n *node) {
	before := w.out.Len()
	w.value(v, n)
	if strings.TrimSpace(string(w.out.Bytes()[before:])) == "" {
		w.out.Truncate(before)
		w.out.WriteString(" {}\n")
	}
}

// list writes the items of a list.
func (w *writer) list(v reflect.Value, n *node) {
	for i := range v.Len() {
		w.out.WriteString(strings.Repeat("  ", w.indent) + "- ")
		item := v.Index(i)
		if isScalar(item) {
			w.out.WriteString(scalarText(item) + "\n")
			continue
		}
		w.dashed = true
		w.indent++
		var at *node
		if n != nil && i < len(n.items) {
			at = n.items[i]
		}
		w.structure(item, at)
		w.indent--
	}
}

// absent reports whether a value says nothing: it is empty and empty is not what its default is compared with.
func absent(v reflect.Value, f Key) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil()
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	case reflect.String, reflect.Int:
		return v.IsZero() && f.Default == ""
	}
	return false
}

func isScalar(v reflect.Value) bool {
	k := v.Kind()
	return k == reflect.String || k == reflect.Bool || k == reflect.Int || k == reflect.Int64
}

func scalarText(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return quote(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// quote writes a text so that YAML 1.1 and 1.2 read it as that text.
func quote(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return strconv.Quote(s)
	}
	return quoteKey(s)
}

// quoteKey writes a key: what YAML 1.1 takes for a boolean is text to this package's reader, but for true and false.
func quoteKey(s string) string {
	if word := strings.ToLower(s); plain.MatchString(s) && word != "true" && word != "false" && word != "null" {
		return s
	}
	return strconv.Quote(s)
}

// plain matches texts that need no quotes anywhere.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*(://[A-Za-z0-9_./-]+(:[0-9]+)?[A-Za-z0-9_./-]*)?$`)

// order returns the position of each key of a mapping.
func order(n *node) map[string]int {
	positions := map[string]int{}
	if n != nil {
		for i, e := range n.entries {
			positions[e.key] = i
		}
	}
	return positions
}

// rank is the position of a key, after all others where it has none.
func rank(positions map[string]int, key string) int {
	if i, ok := positions[key]; ok {
		return i
	}
	return len(positions)
}

// child is the value of a mapping's key, or nil.
func child(n *node, key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

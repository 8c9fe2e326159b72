package config

import (
	"fmt"

	"github.com/goccy/go-yaml/token"
)

// tooMuch looks at tokens for what the parser should not be given: it recurses, and takes time that grows with the
// square of the keys of a block mapping.
func tooMuch(tokens token.Tokens) (place, string) {
	var shape outline
	for _, t := range tokens {
		shape.add(t)
		switch {
		case len(shape.blocks)+shape.flow > maxDepth, shape.marks > maxDepth:
			return at(t), fmt.Sprintf("more than %d levels inside each other", maxDepth)
		case shape.heads > maxHeads:
			return at(t), "a second document: the file must hold one"
		case shape.cost > maxKeyCost:
			return at(t), "too many keys: a mapping may have about 20000"
		}
	}
	return place{}, ""
}

// outline follows the nesting of tokens by their columns and brackets alone.
type outline struct {
	blocks []block // that are open
	flow   int     // brackets that are open
	marks  int     // anchors and tags before one value
	cost   int     // see maxKeyCost
	heads  int     // directives, and lines that begin a document
}

type block struct{ column, keys int }

func (o *outline) add(t *token.Token) {
	column := 0
	switch t.Type {
	case token.DirectiveType, token.DocumentHeaderType:
		o.heads++
	case token.SequenceStartType, token.MappingStartType:
		o.flow++
	case token.SequenceEndType, token.MappingEndType:
		o.flow = max(0, o.flow-1)
	case token.SequenceEntryType, token.MappingKeyType:
		column = t.Position.Column
	case token.MappingValueType:
		column = t.Position.Column
		if t.Prev != nil { // the key
			column = t.Prev.Position.Column
		}
	}
	afterAnchor := t.Prev != nil && t.Prev.Type == token.AnchorType // its name
	if t.Type == token.AnchorType || t.Type == token.TagType || afterAnchor {
		o.marks++
	} else {
		o.marks = 0
	}
	if column > 0 && o.flow == 0 {
		o.open(column, t.Type != token.SequenceEntryType)
	}
}

// open notes an entry of the block at a column, which ends the blocks to its right.
func (o *outline) open(column int, key bool) {
	for len(o.blocks) > 0 && o.blocks[len(o.blocks)-1].column > column {
		o.blocks = o.blocks[:len(o.blocks)-1]
	}
	if len(o.blocks) == 0 || o.blocks[len(o.blocks)-1].column < column {
		o.blocks = append(o.blocks, block{column: column})
	}
	if top := &o.blocks[len(o.blocks)-1]; key {
		o.cost += 2*top.keys + 1 // the difference of two squares
		top.keys++
	}
}

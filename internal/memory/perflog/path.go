package perflog

import (
	"strconv"
	"strings"
)

// Path is a counter path in its parts: \\Host\Object(Parent/Instance#Index)\Counter.
type Path struct {
	Host     string // empty when the path names none
	Object   string
	Parent   string // empty when the instance has none
	Instance string // without #Index; empty when the object has a single instance
	Index    int    // position among instances of the same name, 0 for the first. It is a place in a list, not an identity
	Counter  string
}

// ParsePath splits a counter path. It is not ok when raw is not one. The host ends at the first backslash after it, the counter
// begins after the last, and the instance lies between the first opening and the last closing parenthesis, so instances may
// hold any of these signs. Where an instance holds a slash, what is before the first is taken for its parent.
func ParsePath(raw string) (Path, bool) {
	var p Path
	rest := raw
	if after, ok := strings.CutPrefix(rest, `\\`); ok {
		p.Host, rest, ok = strings.Cut(after, `\`)
		if !ok || p.Host == "" {
			return Path{}, false
		}
	} else {
		rest = strings.TrimPrefix(rest, `\`)
	}
	cut := strings.LastIndexByte(rest, '\\')
	if cut <= 0 || cut+1 == len(rest) {
		return Path{}, false
	}
	p.Object, p.Counter = rest[:cut], rest[cut+1:]
	if open := strings.IndexByte(p.Object, '('); open > 0 && strings.HasSuffix(p.Object, ")") {
		p.Parent, p.Instance, p.Index = parseInstance(p.Object[open+1 : len(p.Object)-1])
		p.Object = p.Object[:open]
	}
	if strings.TrimSpace(p.Object) == "" || strings.TrimSpace(p.Counter) == "" {
		return Path{}, false
	}
	return p, true
}

func parseInstance(s string) (parent, name string, index int) {
	if p, rest, ok := strings.Cut(s, "/"); ok && p != "" && rest != "" {
		parent, s = p, rest
	}
	if i := strings.LastIndexByte(s, '#'); i > 0 && i+1 < len(s) && s[i+1] != '0' {
		if n, err := strconv.ParseUint(s[i+1:], 10, 31); err == nil {
			return parent, s[:i], int(n)
		}
	}
	return parent, s, 0
}

// InstanceName returns the instance as the path writes it, with parent and index.
func (p Path) InstanceName() string {
	s := p.Instance
	if p.Parent != "" {
		s = p.Parent + "/" + s
	}
	if p.Index > 0 {
		s += "#" + strconv.Itoa(p.Index)
	}
	return s
}

// String writes the path as a log does.
func (p Path) String() string {
	var b strings.Builder
	if p.Host != "" {
		b.WriteString(`\\` + p.Host)
	}
	b.WriteString(`\` + p.Object)
	if name := p.InstanceName(); name != "" {
		b.WriteString("(" + name + ")")
	}
	b.WriteString(`\` + p.Counter)
	return b.String()
}

func (p Path) visible() Path {
	p.Host, p.Object, p.Parent = visible(p.Host), visible(p.Object), visible(p.Parent)
	p.Instance, p.Counter = visible(p.Instance), visible(p.Counter)
	return p
}

// nonNegative reports whether a value below zero can only be an error in this column: sizes, counts, rates and shares.
// A hand-made column may hold anything.
func (c Column) nonNegative() bool {
	if !c.Parsed {
		return false
	}
	name := EnglishCounter(c.Path.Counter)
	switch name {
	case PrivateBytes, VirtualBytes, WorkingSet, WorkingSetPrivate, IDProcess, ElapsedTime, HandleCount, ThreadCount:
		return true
	}
	return strings.HasPrefix(name, "%") || strings.HasSuffix(name, "/sec") || strings.HasSuffix(name, "Bytes")
}

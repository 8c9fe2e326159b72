// Package policy compiles publishing rules and decides by them. A decision is a pure function of a request's head and the
// rules: it reads no clock, holds no state and does no I/O.
//
// The most specific rule wins: an exact host before a wildcard and a longer wildcard before a shorter one; then an exact
// path before a prefix and a longer prefix before a shorter one; then a rule for the listener before one for all. A host
// whose rules have no place for the path falls through to the less specific host. A wildcard covers any number of labels
// but not the name itself; a request without a host is taken only by rules for any host. Names are compared without
// regard to case, paths with it.
//
// Gateways and servers do not read every path alike: one decodes %2F, the next merges slashes, a third resolves dot
// segments before it looks, a fourth cuts parameters off (";v=1") or decodes twice. Such a path is decided under each
// reading and each mixture of them, and refused when they disagree on the rule, so that a member never finds itself
// serving what another rule is for. A path that all readings give to one rule is forwarded as the client sent it:
// "/files/a%2Fb" is nobody's harm where all of "/files/" goes to one farm. Refused whatever the rules are: invalid
// escapes, control characters, overlong UTF-8, dot segments that lead above the root.
package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rule is a publishing rule.
type Rule struct {
	Name      string
	Listeners []string // none is all
	Hosts     []string // "shop.example", "*.shop.example", "*"; none is any
	Paths     []string // "/app/" is a prefix, "/app" exactly that path; none is all
	Farm      string
	// PreserveHost is handed through to the decision.
	PreserveHost bool
}

// Problem is a mistake in a rule.
type Problem struct {
	Rule    string
	Field   string // hosts, paths or farm; empty for the rule as a whole
	Message string
}

func (p *Problem) Error() string {
	if p.Field == "" {
		return fmt.Sprintf("publishing rule %s: %s", p.Rule, p.Message)
	}
	return fmt.Sprintf("publishing rule %s: %s: %s", p.Rule, p.Field, p.Message)
}

// Table is a set of compiled rules. It never changes and is safe for concurrent use.
type Table struct {
	listeners map[string]*hosts // for the listeners that rules name; holds the rules for all listeners too
	others    *hosts            // for every other listener
}

// hosts finds the paths of a host.
type hosts struct {
	exact    map[string]*paths
	wildcard map[string]*paths // by the suffix with its dot: ".shop.example"
	any      *paths
}

// paths finds the rule of a path.
type paths struct {
	exact    map[string]*entry
	prefixes []prefixEntry // longest first
}

type prefixEntry struct {
	prefix string
	*entry
}

// entry is where a pattern leads.
type entry struct {
	decision Decision
	rule     int    // the number of the rule
	specific bool   // the rule names the listener
	pattern  string // the host and path that matched, for Explain
}

// Head is what of a request decides.
type Head struct {
	Listener string
	Method   string
	Host     string // as received: with a port, in any case, with a trailing dot or empty
	Path     string // as received, escapes and all, without the query
}

// Decision is what becomes of a request.
type Decision struct {
	Rule         string
	Farm         string
	PreserveHost bool
	Status       int    // 0 is forward; else the status to refuse with
	Reason       string // why it is refused
}

// Compile makes a table. The error joins a *Problem for each mistake: a pattern that is none, a rule without a farm, or
// two rules for the same listener, host and path. A rule that names its listeners goes before one for all of them and is
// no mistake.
func Compile(rules []Rule) (*Table, error) {
	c := compiler{table: &Table{listeners: map[string]*hosts{}, others: newHosts()}}
	for _, r := range rules {
		for _, l := range r.Listeners {
			if c.table.listeners[l] == nil {
				c.table.listeners[l] = newHosts()
			}
		}
	}
	for i, r := range rules {
		c.add(i, r)
	}
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	return c.table, nil
}

type compiler struct {
	table    *Table
	problems []error
}

func (c *compiler) refuse(r Rule, field, format string, args ...any) {
	c.problems = append(c.problems, &Problem{Rule: r.Name, Field: field, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) add(number int, r Rule) {
	if r.Farm == "" {
		c.refuse(r, "farm", "is missing")
	}
	names, patterns := r.Hosts, r.Paths
	if len(names) == 0 {
		names = []string{"*"}
	}
	if len(patterns) == 0 {
		patterns = []string{"/"}
	}
	for i, host := range names {
		canonical, message := hostPattern(host)
		if message != "" {
			c.refuse(r, "hosts", "%q %s", host, message)
			continue
		}
		for _, path := range patterns {
			prefix, message := pathPattern(path)
			if message == "" {
				c.place(number, r, canonical, prefix)
			} else if i == 0 { // once a path, not once a host
				c.refuse(r, "paths", "%q %s", path, message)
			}
		}
	}
}

// place puts one host and path of a rule into the tables of the listeners that it is for.
func (c *compiler) place(number int, r Rule, host, path string) {
	e := entry{
		decision: Decision{Rule: r.Name, Farm: r.Farm, PreserveHost: r.PreserveHost}, rule: number,
		specific: len(r.Listeners) > 0, pattern: host + " " + path,
	}
	for _, name := range append([]string{""}, slices.Sorted(maps.Keys(c.table.listeners))...) {
		if e.specific && !slices.Contains(r.Listeners, name) {
			continue
		}
		t := c.table.others
		if name != "" {
			t = c.table.listeners[name]
		}
		if other := t.of(host).insert(path, &e); other != nil {
			where := "every listener"
			if name != "" {
				where = "listener " + name
			}
			c.refuse(r, "", "has the same host and path (%s) as rule %s, for %s", e.pattern, other.decision.Rule, where)
			return
		}
	}
}

func newHosts() *hosts {
	return &hosts{exact: map[string]*paths{}, wildcard: map[string]*paths{}}
}

// of returns the paths of a host pattern, making them.
func (h *hosts) of(host string) *paths {
	if host == "*" {
		if h.any == nil {
			h.any = &paths{exact: map[string]*entry{}}
		}
		return h.any
	}
	m := h.exact
	if suffix, ok := strings.CutPrefix(host, "*"); ok {
		m, host = h.wildcard, suffix
	}
	if m[host] == nil {
		m[host] = &paths{exact: map[string]*entry{}}
	}
	return m[host]
}

// insert puts an entry in place. A rule that names the listener goes before one that does not; between equals the entry
// that is there stays, and is returned.
func (p *paths) insert(path string, e *entry) (conflict *entry) {
	if !strings.HasSuffix(path, "/") {
		if old := p.exact[path]; old != nil && (old.specific || !e.specific) {
			return conflicting(old, e)
		}
		p.exact[path] = e
		return nil
	}
	for i, old := range p.prefixes {
		if old.prefix != path {
			continue
		}
		if old.specific || !e.specific {
			return conflicting(old.entry, e)
		}
		p.prefixes[i].entry = e
		return nil
	}
	p.prefixes = append(p.prefixes, prefixEntry{path, e})
	slices.SortStableFunc(p.prefixes, func(a, b prefixEntry) int { return cmp.Compare(len(b.prefix), len(a.prefix)) })
	return nil
}

func conflicting(old, e *entry) *entry {
	if old.specific != e.specific || old.rule == e.rule {
		return nil // the more specific one stays; a rule may say a thing twice
	}
	return old
}

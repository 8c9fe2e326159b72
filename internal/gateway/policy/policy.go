// Package policy compiles publishing rules and decides by them. A decision is a pure function of a request's head and the
// rules: it reads no clock, holds no state and does no I/O.
//
// The most specific rule wins: an exact host before a wildcard and a longer wildcard before a shorter one; then an exact
// path before a prefix and a longer prefix before a shorter one; then a rule for the listener before one for all. A host
// whose rules have no place for the path falls through to the less specific host.
//
// Gateways and servers do not read every path alike: one decodes %2F, the next merges slashes, a third resolves dot
// segments before it looks. Such a path is decided under each reading, and refused when the readings disagree on the
// rule; the member gets the path as the client sent it.
package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
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
	Field   string // listeners, hosts or paths; empty for the rule as a whole
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
	specific bool   // the rule names the listener
	pattern  string // the host and path that matched, for Explain
}

// Head is what of a request decides.
type Head struct {
	Listener string
	Method   string
	Host     string // as received: with a port, in any case, with a trailing dot or empty
	Path     string // as received, without the query
}

// Decision is what becomes of a request.
type Decision struct {
	Rule         string
	Farm         string
	PreserveHost bool
	Status       int    // 0 is forward; else the status to refuse with
	Reason       string // why it is refused
}

// Compile makes a table. The error joins a *Problem for each mistake: a pattern that is none, or two rules for the same
// listener, host and path.
func Compile(rules []Rule) (*Table, error) {
	c := compiler{table: &Table{listeners: map[string]*hosts{}, others: newHosts()}}
	for _, r := range rules {
		for _, l := range r.Listeners {
			if c.table.listeners[l] == nil {
				c.table.listeners[l] = newHosts()
			}
		}
	}
	for _, r := range rules {
		c.add(r)
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

func (c *compiler) add(r Rule) {
	names, patterns := r.Hosts, r.Paths
	if len(names) == 0 {
		names = []string{"*"}
	}
	if len(patterns) == 0 {
		patterns = []string{"/"}
	}
	for _, host := range names {
		canonical, message := hostPattern(host)
		if message != "" {
			c.refuse(r, "hosts", "%q %s", host, message)
			continue
		}
		for _, path := range patterns {
			if message := pathPattern(path); message != "" {
				c.refuse(r, "paths", "%q %s", path, message)
				continue
			}
			c.place(r, canonical, path)
		}
	}
}

// place puts one host and path of a rule into the tables of the listeners that it is for.
func (c *compiler) place(r Rule, host, path string) {
	e := entry{
		decision: Decision{Rule: r.Name, Farm: r.Farm, PreserveHost: r.PreserveHost},
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
	if old.specific != e.specific || old.decision.Rule == e.decision.Rule {
		return nil // the more specific one stays; a rule may say a thing twice
	}
	return old
}

// Decide says what becomes of a request. It allocates nothing when the host is in lower case and the path has one
// reading.
func (t *Table) Decide(h Head) Decision {
	e, refusal := t.find(h)
	if e == nil {
		return refusal
	}
	return e.decision
}

func (t *Table) find(h Head) (*entry, Decision) {
	host, ok := hostName(h.Host)
	if !ok {
		return nil, refuse(http.StatusBadRequest, "the Host header is not a host name")
	}
	if h.Path == "" || h.Path[0] != '/' {
		return nil, refuse(http.StatusBadRequest, "the request's target is not a path")
	}
	table := t.listeners[h.Listener]
	if table == nil {
		table = t.others
	}
	if plain(h.Path) {
		if e := table.find(host, h.Path); e != nil {
			return e, Decision{}
		}
		return nil, table.nothing(host)
	}
	readings, ok := read(h.Path)
	if !ok {
		return nil, refuse(http.StatusBadRequest, "the path holds an invalid escape or a control character, or leads above the root")
	}
	found := table.find(host, readings[0])
	for _, reading := range readings[1:] {
		if other := table.find(host, reading); ruleOf(other) != ruleOf(found) {
			return nil, refuse(http.StatusBadRequest, "servers read this path differently, and the readings belong to different rules")
		}
	}
	if found == nil {
		return nil, table.nothing(host)
	}
	return found, Decision{}
}

func ruleOf(e *entry) string {
	if e == nil {
		return ""
	}
	return e.decision.Rule
}

func refuse(status int, reason string) Decision { return Decision{Status: status, Reason: reason} }

// nothing refuses a request that no rule takes.
func (h *hosts) nothing(host string) Decision {
	if h.any == nil && h.exact[host] == nil && h.widest(host) == nil {
		return refuse(http.StatusNotFound, "no publishing rule for this host")
	}
	return refuse(http.StatusNotFound, "no publishing rule for this path")
}

// widest returns the paths of any wildcard that covers the host.
func (h *hosts) widest(host string) *paths {
	for i := range host {
		if host[i] == '.' {
			if p := h.wildcard[host[i:]]; p != nil {
				return p
			}
		}
	}
	return nil
}

func (h *hosts) find(host, path string) *entry {
	if p := h.exact[host]; p != nil {
		if e := p.find(path); e != nil {
			return e
		}
	}
	if len(h.wildcard) > 0 {
		for i := 1; i < len(host); i++ { // from the longest suffix to the shortest
			if host[i] != '.' {
				continue
			}
			if p := h.wildcard[host[i:]]; p != nil {
				if e := p.find(path); e != nil {
					return e
				}
			}
		}
	}
	if h.any != nil {
		return h.any.find(path)
	}
	return nil
}

func (p *paths) find(path string) *entry {
	if e := p.exact[path]; e != nil {
		return e
	}
	for _, candidate := range p.prefixes {
		if strings.HasPrefix(path, candidate.prefix) {
			return candidate.entry
		}
	}
	return nil
}

// Explain says in sentences how a request is decided.
func (t *Table) Explain(h Head) []string {
	said := []string{fmt.Sprintf("listener %q, host %q, path %q", h.Listener, h.Host, h.Path)}
	if host, ok := hostName(h.Host); ok && host != h.Host {
		said = append(said, fmt.Sprintf("the host is read as %q", host))
	}
	if strings.HasPrefix(h.Path, "/") && !plain(h.Path) {
		if readings, ok := read(h.Path); ok {
			said = append(said, fmt.Sprintf("the path may be read as %q", readings))
		}
	}
	e, refusal := t.find(h)
	if e == nil {
		return append(said, fmt.Sprintf("refused with %d: %s", refusal.Status, refusal.Reason))
	}
	return append(said, fmt.Sprintf("rule %s takes it by %q and sends it to farm %s", e.decision.Rule, e.pattern, e.decision.Farm))
}

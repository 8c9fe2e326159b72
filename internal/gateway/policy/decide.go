package policy

import (
	"fmt"
	"slices"
)

// The statuses of refusals (RFC 9110, sections 15.5.1 and 15.5.5); this package is pure and does not know net/http.
const (
	badRequest = 400
	notFound   = 404
)

// readingBytes is how long a path may be to be decoded without an allocation.
const readingBytes = 512

// Decide says what becomes of a request. It allocates nothing, except for paths over 512 bytes that hold escapes or may
// be read in more than one way.
func (t *Table) Decide(h Head) Decision {
	e, refusal := t.find(h)
	if e == nil {
		return refusal
	}
	return e.decision
}

// find returns the entry that takes the request, or the refusal.
func (t *Table) find(h Head) (*entry, Decision) {
	var name [maxHost]byte
	host, ok := hostName(name[:0], h.Host)
	if !ok {
		return nil, refuse(badRequest, "the Host header is not a host name")
	}
	if h.Path == "" || h.Path[0] != '/' {
		return nil, refuse(badRequest, "the request's target is not a path")
	}
	table := t.of(h.Listener)
	traits, needed, wrong := examine(h.Path)
	var e *entry
	switch {
	case wrong != "":
		return nil, refuse(badRequest, wrong)
	case traits.tooLong(len(h.Path)):
		return nil, refuse(badRequest, "the path is too long for one that servers read differently")
	case traits.ways() > 1:
		if e, wrong = table.agree(host, h.Path, traits); wrong != "" {
			return nil, refuse(badRequest, wrong)
		}
	case needed:
		var buf [readingBytes]byte
		b, _ := traits.reading(buf[:0], h.Path, 0)
		e = find(table, host, b)
	default:
		e = find(table, host, h.Path)
	}
	if e == nil {
		return nil, table.nothing(host)
	}
	return e, Decision{}
}

// of returns the rules of a listener.
func (t *Table) of(listener string) *hosts {
	if table := t.listeners[listener]; table != nil {
		return table
	}
	return t.others
}

// agree returns the entry that takes the path in its plainest reading when all readings belong to the same rule.
func (h *hosts) agree(host []byte, path string, t traits) (e *entry, wrong string) {
	var bases, readings [readingBytes]byte
	base, reading := bases[:0], readings[:0]
	if len(path) > readingBytes {
		base, reading = make([]byte, 0, len(path)), make([]byte, 0, len(path))
	}
	for way := range t.bases() {
		base = t.base(base[:0], path, way)
		for order := range t.order {
			b, ok := arrange(append(reading[:0], base...), order)
			if !ok {
				return nil, "the path may lead above the root"
			}
			other := find(h, host, b)
			if way == 0 && order == 0 {
				e = other
			}
			if (e == nil) != (other == nil) || e != nil && e.rule != other.rule {
				return nil, "servers read this path differently, and the readings belong to different rules"
			}
		}
	}
	return e, ""
}

func refuse(status int, reason string) Decision { return Decision{Status: status, Reason: reason} }

// nothing refuses a request that no rule takes.
func (h *hosts) nothing(host []byte) Decision {
	for range h.covering(host) {
		return refuse(notFound, "no publishing rule for this path")
	}
	return refuse(notFound, "no publishing rule for this host")
}

// covering goes through the paths of the patterns that cover the host, the most specific first.
func (h *hosts) covering(host []byte) func(yield func(*paths) bool) {
	return func(yield func(*paths) bool) {
		if p := h.exact[string(host)]; p != nil && !yield(p) {
			return
		}
		for i := 1; i < len(host) && len(h.wildcard) > 0; i++ { // from the longest suffix to the shortest
			if host[i] != '.' {
				continue
			}
			if p := h.wildcard[string(host[i:])]; p != nil && !yield(p) {
				return
			}
		}
		if h.any != nil {
			yield(h.any)
		}
	}
}

// find returns the entry of the most specific host and path, nil for none.
func find[P string | []byte](h *hosts, host []byte, path P) *entry {
	for p := range h.covering(host) {
		if e := p.exact[string(path)]; e != nil {
			return e
		}
		for _, candidate := range p.prefixes {
			if n := len(candidate.prefix); len(path) >= n && string(path[:n]) == candidate.prefix {
				return candidate.entry
			}
		}
	}
	return nil
}

// Explain says in sentences how a request is decided: how its host and path are read, which rule each reading belongs to,
// and what comes of it.
func (t *Table) Explain(h Head) []string {
	said := []string{fmt.Sprintf("listener %q, host %q, path %q", h.Listener, h.Host, h.Path)}
	host, ok := hostName(nil, h.Host)
	if ok && string(host) != h.Host {
		said = append(said, fmt.Sprintf("the host is read as %q", host))
	}
	if ok && h.Path != "" && h.Path[0] == '/' {
		said = append(said, t.of(h.Listener).readings(host, h.Path)...)
	}
	e, refusal := t.find(h)
	if e == nil {
		return append(said, fmt.Sprintf("refused with %d: %s", refusal.Status, refusal.Reason))
	}
	return append(said, fmt.Sprintf("rule %s takes it by %q and sends it to farm %s", e.decision.Rule, e.pattern, e.decision.Farm))
}

// readings says which rules the readings of a path belong to; nothing for a path that is read as it stands.
func (h *hosts) readings(host []byte, path string) (said []string) {
	t, needed, wrong := examine(path)
	if wrong != "" || t.tooLong(len(path)) || t.ways() == 1 && !needed {
		return nil
	}
	for way := range t.ways() {
		line := "the path may be read as one above the root"
		if b, ok := t.reading(nil, path, way); ok {
			line = fmt.Sprintf("the path may be read as %q, which no rule takes", b)
			if e := find(h, host, b); e != nil {
				line = fmt.Sprintf("the path may be read as %q, which belongs to rule %s", b, e.decision.Rule)
			}
		}
		if !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	return said
}

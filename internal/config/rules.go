package config

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// target is what a publishing rule is for: one listener, host and path.
type target struct{ listener, host, path string }

// rules checks the publishing rules: what they name must exist, and no two may be for the same requests.
func (v *validator) rules() {
	owners := map[target]string{}
	for _, name := range inOrder(v, "publishing_rules", v.cfg.PublishingRules) {
		at := join("publishing_rules", name)
		rule := v.cfg.PublishingRules[name]
		v.reference(at+".farm", "web farm", rule.Farm, names(v.cfg.WebFarms))
		for i, listener := range rule.Listeners {
			v.reference(fmt.Sprintf("%s.listeners[%d]", at, i), "web listener", listener, names(v.cfg.WebListeners))
		}
		for i, p := range rule.Paths {
			if clean := path.Clean(p); clean != p && clean+"/" != p || strings.Contains(p, "//") {
				v.remark(fmt.Sprintf("%s.paths[%d]", at, i), "no request can match %q: the path of a request is made plain first", p)
			}
		}
		if len(v.cfg.WebListeners) == 0 {
			v.remark(at, "there is no web listener: no request can match")
		}
		v.claim(owners, name, at, rule)
	}
	if len(v.cfg.WebListeners) > 0 && len(v.cfg.PublishingRules) == 0 {
		v.remark("web_listeners", "there is no publishing rule: every request is answered with 404")
	}
}

// claim notes what a rule is for and refuses what another is for already.
func (v *validator) claim(owners map[target]string, name, at string, rule PublishingRule) {
	const bound = 1 << 20 // listeners times hosts times paths of one rule
	listeners := orAll(rule.Listeners, names(v.cfg.WebListeners)...)
	hosts, paths := orAll(rule.Hosts, "*"), orAll(rule.Paths, "/")
	if len(listeners)*len(hosts)*len(paths) > bound {
		v.refuse(at, "the rule is for more than %d listeners, hosts and paths taken together", bound)
		return
	}
	clashes := map[string]bool{}
	for i, host := range hosts {
		for k, p := range paths {
			for l, listener := range listeners {
				t := target{listener, normalHost(host), p}
				owner, taken := owners[t]
				if !taken {
					owners[t] = name
					continue
				}
				where := v.claimPlace(at, rule, l, i, k)
				if message := clash(owner, name, t); !clashes[where] {
					clashes[where] = true
					v.refuse(where, "%s", message)
				}
			}
		}
	}
}

// claimPlace is the path of the value that a clash is reported at: the rule's path, else its host, else its listener.
func (v *validator) claimPlace(at string, rule PublishingRule, listener, host, path int) string {
	switch {
	case len(rule.Paths) > 0:
		return fmt.Sprintf("%s.paths[%d]", at, path)
	case len(rule.Hosts) > 0:
		return fmt.Sprintf("%s.hosts[%d]", at, host)
	case len(rule.Listeners) > 0:
		return fmt.Sprintf("%s.listeners[%d]", at, listener)
	}
	return at
}

func clash(owner, name string, t target) string {
	what := fmt.Sprintf("host %s and path %s on web listener %s", t.host, t.path, t.listener)
	if owner == name {
		return what + " are given twice in this rule"
	}
	return what + " belong to publishing rule " + owner + " already"
}

// reference asks for a name that exists.
func (v *validator) reference(at, what, name string, known []string) {
	if name == "" || slices.Contains(known, name) {
		return
	}
	hint := didYouMean(name, known)
	if hint == "" && len(known) > 0 && len(known) <= 10 {
		hint = "; there is " + strings.Join(known, ", ")
	}
	v.refuse(at, "there is no %s %q%s", what, clip(name), hint)
}

// names returns the keys of a map, sorted.
func names[T any](m map[string]T) []string {
	list := make([]string, 0, len(m))
	for name := range m {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// orAll is list, or all where the file leaves it out.
func orAll(list []string, all ...string) []string {
	if len(list) == 0 {
		return all
	}
	return list
}

// normalHost is a host as rules compare it.
func normalHost(s string) string {
	return strings.TrimSuffix(strings.ToLower(s), ".")
}

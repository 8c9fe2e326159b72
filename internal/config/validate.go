package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// validator checks what the parts of a configuration mean together.
type validator struct {
	*collector
	cfg *Config
	env func(string) string
}

func (v *validator) run() {
	v.addresses()
	for _, name := range inOrder(v, "web_listeners", v.cfg.WebListeners) {
		v.listener(join("web_listeners", name), v.cfg.WebListeners[name])
	}
	v.rules()
	for _, name := range inOrder(v, "web_farms", v.cfg.WebFarms) {
		v.farm(join("web_farms", name), v.cfg.WebFarms[name])
	}
	for _, name := range inOrder(v, "connectivity_verifiers", v.cfg.ConnectivityVerifiers) {
		path := join("connectivity_verifiers", name)
		verifier := v.cfg.ConnectivityVerifiers[name]
		v.schedule(path, verifier.Schedule, verifier.HTTP != "")
	}
	v.memory()
}

// inOrder returns the names of a map in the order of the file.
func inOrder[T any](v *validator, section string, m map[string]T) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		x, y := v.keyPlace(join(section, a)), v.keyPlace(join(section, b))
		return cmp.Or(cmp.Compare(x.line, y.line), cmp.Compare(x.column, y.column), cmp.Compare(a, b))
	})
}

// addresses finds addresses that two parts would listen on.
func (v *validator) addresses() {
	type taken struct {
		who  string
		addr netip.AddrPort
	}
	var all []taken
	claim := func(who, path, address string) {
		addr, err := parseAddress(address)
		if err != nil || addr.Port() == 0 {
			return
		}
		for _, other := range all {
			if sameAddress(other.addr, addr) {
				v.refuse(path, "%s is in use by %s already", address, other.who)
				return
			}
		}
		all = append(all, taken{who, addr})
	}
	for _, name := range inOrder(v, "web_listeners", v.cfg.WebListeners) {
		claim("web listener "+name, join(join("web_listeners", name), "address"), v.cfg.WebListeners[name].Address)
	}
	if v.cfg.Console.Off {
		return
	}
	claim("the console", "console.listen", v.cfg.Console.Listen)
	if addr, err := parseAddress(v.cfg.Console.Listen); err == nil && !addr.Addr().IsLoopback() {
		v.remark("console.listen", "the console listens beyond loopback: whoever reaches %s sees everything and may drain members", v.cfg.Console.Listen)
	}
}

// sameAddress reports whether two listeners cannot both have their address: the ports are the same, and so are the hosts
// or one is every host.
func sameAddress(a, b netip.AddrPort) bool {
	every := func(x netip.Addr) bool { return !x.IsValid() || x.IsUnspecified() }
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || every(a.Addr()) || every(b.Addr()))
}

// listener checks what addresses does not.
func (v *validator) listener(path string, l WebListener) {
	if l.TLS == nil {
		return
	}
	for i, c := range l.TLS.Certificates {
		v.certificate(fmt.Sprintf("%s.tls.certificates[%d]", path, i), c)
	}
}

// farm checks a web farm.
func (v *validator) farm(path string, f WebFarm) {
	names, urls := map[string]int{}, map[string]int{}
	https := false
	for i, m := range f.Members {
		at := fmt.Sprintf("%s.members[%d]", path, i)
		https = https || strings.HasPrefix(strings.ToLower(m.URL), "https:")
		if first, dup := names[m.Name]; dup && m.Name != "" {
			v.refuse(at, "two members are called %q: this one and number %d", m.Name, first+1)
			continue
		}
		if first, dup := urls[m.URL]; dup {
			v.remark(at, "the same URL as member number %d", first+1)
		}
		names[m.Name], urls[m.URL] = i, i
	}
	v.secret(path+".affinity_key", f)
	if f.Verifier != nil {
		v.farmVerifier(path+".verifier", *f.Verifier)
	}
	if f.TLS != nil {
		v.authorities(path+".tls.ca", f.TLS.CA)
		if !https {
			v.remark(path+".tls", "no member has an https URL: this is not used")
		}
	}
	used := false
	for _, rule := range v.cfg.PublishingRules {
		used = used || v.cfg.WebFarms != nil && join("web_farms", rule.Farm) == path
	}
	if !used {
		v.remark(path, "no publishing rule uses this web farm")
	}
}

func (v *validator) farmVerifier(path string, f FarmVerifier) {
	if f.ICMP != "" {
		v.remark(path, "an ICMP echo shows that the host is there, not that the service is: an HTTP or TCP check shows that")
	}
	if f.HTTP == "" && f.AuthenticationRequired == "down" {
		v.remark(path+".authentication_required", "only HTTP checks use this")
	}
	v.schedule(path, f.Schedule, f.HTTP != "")
}

// schedule checks what a schedule's values mean together.
func (v *validator) schedule(path string, s Schedule, http bool) {
	if at := path + ".threshold"; s.Threshold > s.Timeout && v.written(at) { // the default may be above a short timeout
		v.remark(at, "the threshold %v is above the timeout %v: no answer can be slow", s.Threshold, s.Timeout)
	}
	if http {
		return
	}
	for key, set := range map[string]bool{"follow_redirects": s.FollowRedirects, "insecure_skip_verify": s.InsecureSkipVerify, "host": s.Host != ""} {
		if set {
			v.remark(path+"."+key, "only HTTP checks use this")
		}
	}
}

// memory checks the memory watch.
func (v *validator) memory() {
	m := v.cfg.Memory
	if m.Look < m.Interval {
		at := "memory.look"
		if !v.written(at) {
			at = "memory.interval"
		}
		v.refuse(at, "look (%v) must not be shorter than interval (%v)", m.Look, m.Interval)
	}
	if m.Interval > m.Hour {
		v.refuse("memory.interval", "interval (%v) must not be longer than hour (%v)", m.Interval, m.Hour)
	}
}

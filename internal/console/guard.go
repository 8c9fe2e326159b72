package console

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// contentPolicy lets a page use the console's own files and nothing else: no inline script or style, no other site, no
// frame around it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard refuses what other sites' pages could cause: requests by a name that is not the console's (DNS rebinding), and
// requests that change something and do not come from the console's own pages. Programs that are not browsers send no
// Origin and pass.
func guard(hosts hosts, next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// With no-referrer browsers send "Origin: null" from forms, which the check below would have to refuse.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !hosts.allow(r.Host) {
			http.Error(w, "this console does not answer to the host name in the request; set console.listen to the name it is reached by",
				http.StatusMisdirectedRequest)
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			http.Error(w, "refused: the request comes from another site's page", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hosts says by which names the console may be reached.
type hosts struct {
	names map[string]bool
	anyIP bool // it listens on every address: any address literal will do, which no rebinding can forge
}

func newHosts(address string) hosts {
	h := hosts{names: map[string]bool{"localhost": true}}
	if address == "" {
		return h
	}
	host := hostOnly(address)
	ip, err := netip.ParseAddr(host)
	if host == "" || err == nil && ip.IsUnspecified() {
		h.anyIP = true
		return h
	}
	h.names[host] = true
	return h
}

func (h hosts) allow(hostHeader string) bool {
	host := hostOnly(hostHeader)
	if h.names[host] {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || h.anyIP)
}

// hostOnly strips port, brackets and a final dot and lowers the case.
func hostOnly(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

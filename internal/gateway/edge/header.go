package edge

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// hopByHop are the fields that concern one connection only, RFC 9110 section 7.6.1, and those that older software uses
// in that way.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Http2-Settings": true,
}

// copyEndToEnd copies the fields of src that are meant for the other end. Values are shared, not copied.
func copyEndToEnd(dst, src http.Header) {
	var named []string
	for _, line := range src["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if token = textproto.TrimString(token); token != "" {
				named = append(named, http.CanonicalHeaderKey(token))
			}
		}
	}
	for k, v := range src {
		if !hopByHop[k] && (len(named) == 0 || !slices.Contains(named, k)) {
			dst[k] = v
		}
	}
}

// hasToken reports whether a comma-separated field has a token.
func hasToken(values []string, token string) bool {
	for _, line := range values {
		for t := range strings.SplitSeq(line, ",") {
			t, _, _ = strings.Cut(t, ";")
			if strings.EqualFold(textproto.TrimString(t), token) {
				return true
			}
		}
	}
	return false
}

// upgradeOf returns the protocol that a client asks to switch to, "" for none. HTTP/2 without TLS is never passed on: RFC
// 9113 has given it up, and a member that granted it would read requests that no rule has seen.
func upgradeOf(r *http.Request) string {
	if !r.ProtoAtLeast(1, 1) || r.ProtoMajor != 1 || r.ContentLength != 0 || !hasToken(r.Header["Connection"], "upgrade") {
		return ""
	}
	values := r.Header["Upgrade"]
	if len(values) != 1 || hasToken(values, "h2c") {
		return ""
	}
	return values[0]
}

// peer is who sent a request, as far as it can be known.
type peer struct {
	address netip.Addr // of the connection
	trusted bool       // a proxy whose word counts
	client  netip.Addr // the first address on the way that is no trusted proxy
	secure  bool       // the client's connection uses TLS, by a trusted proxy's word if there is one
}

// identify finds the client of a request. X-Forwarded-For is read before Forwarded: a proxy that knows only the former
// passes on the latter as the client wrote it.
func identify(address netip.Addr, secure bool, trusted []netip.Prefix, h http.Header) peer {
	p := peer{address: address, client: address, secure: secure}
	if !contains(trusted, address) {
		return p
	}
	p.trusted = true
	way := forwardedFor(h)
	for i := len(way) - 1; i >= 0; i-- {
		a := parseNode(way[i])
		if !a.IsValid() {
			break
		}
		p.client = a
		if !contains(trusted, a) {
			break
		}
	}
	if proto := lastElement(h["X-Forwarded-Proto"]); proto != "" {
		p.secure = strings.EqualFold(proto, "https")
	}
	return p
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwardedFor returns the addresses on the way, the client's first.
func forwardedFor(h http.Header) []string {
	if lines := h["X-Forwarded-For"]; len(lines) > 0 {
		return splitList(lines)
	}
	var way []string
	for _, element := range splitQuoted(strings.Join(h["Forwarded"], ","), ',') {
		for _, pair := range splitQuoted(element, ';') {
			name, value, _ := strings.Cut(pair, "=")
			if strings.EqualFold(textproto.TrimString(name), "for") {
				way = append(way, strings.Trim(textproto.TrimString(value), `"`))
			}
		}
	}
	return way
}

func splitList(lines []string) []string {
	var list []string
	for _, line := range lines {
		for e := range strings.SplitSeq(line, ",") {
			if e = textproto.TrimString(e); e != "" {
				list = append(list, e)
			}
		}
	}
	return list
}

// splitQuoted splits at a separator outside of quoted strings, RFC 9110 section 5.6.4.
func splitQuoted(s string, sep byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	if start < len(s) {
		parts = append(parts, s[start:])
	}
	return parts
}

func lastElement(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	return textproto.TrimString(last[strings.LastIndexByte(last, ',')+1:])
}

// parseNode reads an address with or without port and brackets; names and "unknown" give the invalid address.
func parseNode(s string) netip.Addr {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone("")
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// setForwarded says on out where the request came from, RFC 7239 and its de facto fields: added to what trusted proxies
// said, in the place of what anybody else did.
func setForwarded(out http.Header, p peer, host string, secure bool) {
	proto := "http"
	if secure {
		proto = "https"
	}
	address := "unknown"
	if p.address.IsValid() {
		address = p.address.String()
	}
	element := "for=" + forNode(p.address) + ";host=" + quoteToken(host) + ";proto=" + proto
	if !p.trusted {
		dropForwarded(out)
		out["X-Forwarded-For"] = []string{address}
		out["X-Forwarded-Proto"] = []string{proto}
		out["X-Forwarded-Host"] = []string{host}
		out["Forwarded"] = []string{element}
		return
	}
	way := forwardedFor(out)
	switch prior := out["Forwarded"]; {
	case len(prior) > 0:
		element = strings.Join(prior, ", ") + ", " + element
	case len(way) > 0: // the proxies before speak only X-Forwarded-For
		for i := len(way) - 1; i >= 0; i-- {
			element = "for=" + forNode(parseNode(way[i])) + ", " + element
		}
	}
	out["Forwarded"] = []string{element}
	out["X-Forwarded-For"] = []string{strings.Join(append(way, address), ", ")}
	if len(out["X-Forwarded-Proto"]) == 0 {
		out["X-Forwarded-Proto"] = []string{proto}
	}
	if len(out["X-Forwarded-Host"]) == 0 {
		out["X-Forwarded-Host"] = []string{host}
	}
}

// dropForwarded removes what only a proxy may say, also in the spelling with underscores that CGI cannot tell apart.
func dropForwarded(h http.Header) {
	for k := range h {
		name := k
		if strings.IndexByte(k, '_') >= 0 {
			name = http.CanonicalHeaderKey(strings.ReplaceAll(k, "_", "-"))
		}
		if name == "Forwarded" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			delete(h, k)
		}
	}
}

// forNode writes an address as a node of Forwarded, RFC 7239 section 6.
func forNode(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "unknown"
	case a.Is4():
		return a.String()
	}
	return `"[` + a.WithZone("").String() + `]"`
}

// quoteToken writes a value as a token where it is one, else as a quoted string.
func quoteToken(s string) string {
	for i := range len(s) {
		if !tokenByte[s[i]] {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

// addVia says that the message came through here, RFC 9110 section 7.6.3.
func addVia(h http.Header, major, minor int, name string) {
	version := "1.1"
	if major != 1 || minor != 1 {
		version = strconv.Itoa(major) + "." + strconv.Itoa(minor)
	}
	via := version + " " + name
	if prior := h["Via"]; len(prior) > 0 {
		via = strings.Join(prior, ", ") + ", " + via
	}
	h["Via"] = []string{via}
}

// takeCookie returns the value of a cookie and removes it from the Cookie field: it is the gateway's own and no member
// needs it.
func takeCookie(h http.Header, name string) string {
	lines := h["Cookie"]
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, name) }) {
		return ""
	}
	value, left := "", make([]string, 0, len(lines))
	for _, line := range lines {
		rest := make([]string, 0, 4)
		for pair := range strings.SplitSeq(line, ";") {
			pair = textproto.TrimString(pair)
			if n, v, ok := strings.Cut(pair, "="); !ok || n != name {
				rest = append(rest, pair)
			} else if value == "" {
				value = strings.Trim(v, `"`)
			}
		}
		if len(rest) > 0 {
			left = append(left, strings.Join(rest, "; "))
		}
	}
	h["Cookie"] = left
	if len(left) == 0 {
		delete(h, "Cookie")
	}
	return value
}

package policy

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// maxHost is the longest host name, in bytes (RFC 1035, section 2.3.4), with room for the brackets of an address.
const maxHost = 255

// hostName appends to buf, which is empty, the name in a Host header in lower case, without port, brackets and trailing
// dot, and reports whether it is one (RFC 9110, section 7.2; underscores are allowed because they are seen). IPv6
// addresses come out in their canonical form (RFC 5952); those with a zone are none, for a zone means nothing outside the
// host that has it. An empty host is an empty name.
func hostName(buf []byte, host string) ([]byte, bool) {
	if host == "" {
		return buf, true
	}
	if host[0] == '[' {
		end := strings.IndexByte(host, ']')
		if end < 0 || !port(host[end+1:]) {
			return nil, false
		}
		address, err := netip.ParseAddr(host[1:end])
		if err != nil || !address.Is6() || address.Zone() != "" {
			return nil, false
		}
		return address.AppendTo(buf), true
	}
	if i := strings.IndexByte(host, ':'); i >= 0 {
		if !port(host[i:]) {
			return nil, false
		}
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 {
		return nil, false
	}
	label := 0
	for i := range len(host) {
		c := host[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case c == '.':
			if label == 0 {
				return nil, false
			}
			label = -1
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_':
		default:
			return nil, false
		}
		if label++; label > 63 {
			return nil, false
		}
		buf = append(buf, c)
	}
	return buf, label > 0
}

// port reports whether s is nothing or a colon and a port number, which may be missing.
func port(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) > 6 {
		return false
	}
	number := 0
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		number = number*10 + int(s[i]-'0')
	}
	return number <= 65535
}

// hostPattern returns a rule's host in its canonical form, or what is wrong with it.
func hostPattern(pattern string) (canonical, wrong string) {
	if pattern == "*" {
		return pattern, ""
	}
	name, star := strings.CutPrefix(pattern, "*.")
	if strings.Contains(name, "*") {
		return "", "may hold a star only as its first label"
	}
	if address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")); err == nil {
		if star || address.Zone() != "" {
			return "", "is an address, which takes no star and no zone"
		}
		return address.String(), ""
	}
	if strings.Contains(name, ":") {
		return "", "may not have a port"
	}
	if !ascii(name) {
		encoded, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", "is not a host name"
		}
		name = encoded
	}
	host, ok := hostName(nil, name)
	if !ok || len(host) == 0 {
		return "", "is not a host name"
	}
	if star {
		return "*." + string(host), ""
	}
	return string(host), ""
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// pathPattern returns a rule's path as requests are compared with it, or what is wrong with it. What must be escaped in a
// request ("/café/", "/my docs/") may be written as it is or as an escape.
func pathPattern(pattern string) (canonical, wrong string) {
	if !strings.HasPrefix(pattern, "/") {
		return "", "does not begin with a slash"
	}
	if strings.Contains(pattern, "*") {
		return "", "holds a star: a path that ends with a slash is a prefix, any other is exact"
	}
	escaped := strings.ReplaceAll(pattern, " ", "%20")
	t, _, wrong := examine(escaped)
	if wrong != "" {
		return "", "cannot be a rule's: " + wrong
	}
	if t.ways() != 1 {
		return "", "is not in its plain form: no needless escapes, doubled slashes, backslashes, semicolons or dot segments"
	}
	b, _ := t.reading(nil, escaped, 0)
	return string(b), ""
}

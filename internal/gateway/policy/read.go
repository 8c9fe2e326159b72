package policy

import (
	"net/netip"
	"strings"
)

// maxPath bounds the paths that are read in more than one way, in bytes; longer ones of that kind are refused.
const maxPath = 16 << 10

// hostName returns the name in a Host header in lower case, without port, brackets and trailing dot, and whether it is
// one (RFC 9110, section 7.2; underscores are allowed because they are seen). An empty host is an empty name.
func hostName(host string) (string, bool) {
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 || !port(host[end+1:]) {
			return "", false
		}
		_, err := netip.ParseAddr(host[1:end])
		return strings.ToLower(host[1:end]), err == nil
	}
	if i := strings.IndexByte(host, ':'); i >= 0 {
		if !port(host[i:]) {
			return "", false
		}
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	for i := range len(host) {
		c := host[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_') {
			return "", false
		}
	}
	if strings.HasPrefix(host, ".") || strings.Contains(host, "..") || len(host) > 253 {
		return "", false
	}
	return strings.ToLower(host), true // the same string when it is in lower case
}

// port reports whether s is nothing or a colon and a port number, which may be missing.
func port(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) > 6 {
		return false
	}
	for _, c := range s[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
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
	host, ok := hostName(name)
	if !ok || host == "" {
		return "", "is not a host name"
	}
	if strings.HasPrefix(name, "[") != strings.HasSuffix(name, "]") || !strings.HasPrefix(name, "[") && strings.Contains(name, ":") {
		return "", "may not have a port"
	}
	if star {
		return "*." + host, ""
	}
	return host, ""
}

// pathPattern returns what is wrong with a rule's path.
func pathPattern(pattern string) string {
	switch {
	case !strings.HasPrefix(pattern, "/"):
		return "does not begin with a slash"
	case !plain(pattern):
		return "is not in its plain form: no escapes, doubled slashes, backslashes or dot segments"
	}
	return ""
}

// plain reports whether every server reads the path alike.
func plain(path string) bool {
	for i := range len(path) {
		switch c := path[i]; {
		case c == '%' || c == '\\' || c == ';' || c < ' ' || c == 0x7f:
			return false
		case c == '/' && i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.'):
			return false
		}
	}
	return true
}

// read returns the ways in which servers read a path, the plainest first. It reports false for a path that is wrong in
// itself: an invalid escape, a control character, dot segments that lead above the root.
func read(path string) (readings []string, ok bool) {
	if len(path) > maxPath {
		return nil, false
	}
	unreserved, all, ok := decode(path)
	if !ok {
		return nil, false
	}
	slashes := strings.ReplaceAll(all, `\`, "/")
	for _, seen := range []string{path, unreserved, all, slashes, withoutParameters(slashes)} {
		resolved, ok := resolve(seen)
		if !ok {
			return nil, false
		}
		merged, ok := resolve(merge(seen))
		if !ok {
			return nil, false
		}
		readings = append(readings, seen, resolved, merge(resolved), merged)
	}
	return readings, true
}

// decode returns the path with every escape but those of slash and backslash decoded, and with all decoded.
func decode(path string) (unreserved, all string, ok bool) {
	var some, every strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) {
				return "", "", false
			}
			high, low := hex(path[i+1]), hex(path[i+2])
			if high < 0 || low < 0 {
				return "", "", false
			}
			c = byte(high<<4 | low)
			if c == '/' || c == '\\' {
				some.WriteString(path[i : i+3])
			} else {
				some.WriteByte(c)
			}
			i += 2
		} else {
			some.WriteByte(c)
		}
		if c < ' ' || c == 0x7f {
			return "", "", false
		}
		every.WriteByte(c)
	}
	return some.String(), every.String(), true
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// merge makes one slash of several.
func merge(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// withoutParameters drops what follows a semicolon in each segment, as some application servers do.
func withoutParameters(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// resolve removes dot segments (RFC 3986, section 5.2.4). It reports false when they lead above the root.
func resolve(path string) (string, bool) {
	segments := strings.Split(path[1:], "/")
	kept := segments[:0]
	for i, s := range segments {
		final := i == len(segments)-1
		switch s {
		case ".":
			if final {
				kept = append(kept, "")
			}
		case "..":
			if len(kept) == 0 {
				return "", false
			}
			kept = kept[:len(kept)-1]
			if final {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, s)
		}
	}
	return "/" + strings.Join(kept, "/"), true
}

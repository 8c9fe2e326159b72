package httpcheck

import (
	"strings"

	"golang.org/x/net/http/httpguts"
)

// The bounds of what is taken from challenges.
const (
	maxSchemes    = 10
	maxSchemeName = 32
)

// spelling has the usual way to write the schemes, which HTTP compares without regard to case.
func spelling(scheme string) string {
	switch lower := strings.ToLower(scheme); lower {
	case "negotiate", "basic", "digest", "bearer", "kerberos", "hoba", "mutual":
		return strings.ToUpper(lower[:1]) + lower[1:]
	case "ntlm":
		return "NTLM"
	default:
		return scheme
	}
}

// Schemes lists the authentication schemes that the values of WWW-Authenticate or Proxy-Authenticate fields offer, in
// their order and each once: at most ten. It reads the grammar of RFC 9110, section 11.6.1, where the comma separates
// both challenges and the parameters within one, and steps over what does not fit it.
func Schemes(fields []string) []string {
	var found []string
	for _, field := range fields {
		for _, part := range splitQuoted(field) {
			name := schemeOf(part)
			if name == "" || len(found) == maxSchemes || contains(found, name) {
				continue
			}
			found = append(found, name)
		}
	}
	return found
}

func contains(list []string, name string) bool {
	for _, known := range list {
		if strings.EqualFold(known, name) {
			return true
		}
	}
	return false
}

// schemeOf returns the scheme with which a part begins, or "" when the part is a parameter of the challenge before it:
// "realm=x" and "realm = x" are parameters, "Basic", "Basic realm=x" and "NTLM TlRM…==" begin challenges.
func schemeOf(part string) string {
	part = strings.Trim(part, " \t")
	end := strings.IndexAny(part, " \t=")
	if end < 0 {
		end = len(part)
	}
	name, rest := part[:end], strings.TrimLeft(part[end:], " \t")
	if strings.HasPrefix(rest, "=") || len(name) > maxSchemeName || !httpguts.ValidHeaderFieldName(name) {
		return ""
	}
	return spelling(name)
}

// splitQuoted splits at commas that are not within a quoted string.
func splitQuoted(s string) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The formats that a text may have to follow, named in the format tags of the fields.
const (
	FormatFile        = "file"         // a file's name, relative to the configuration's folder
	FormatFolder      = "folder"       // a folder's, likewise
	FormatText        = "text"         // anything but nothing
	FormatAddress     = "address"      // host:port or :port to listen on; the host is an IP address or localhost
	FormatNetwork     = "network"      // an IP network in CIDR form, or an IP address
	FormatHost        = "host"         // a name or IP address
	FormatHostHeader  = "host-header"  // a host with or without port
	FormatHostPattern = "host-pattern" // a host, "*." and a host, or "*"
	FormatPathPattern = "path-pattern" // an absolute path
	FormatTarget      = "target"       // host:port
	FormatURL         = "url"          // http or https
	FormatMemberURL   = "member-url"   // http, https or h2c, without a path
	FormatMemberName  = "member-name"
	FormatFarmURL     = "farm-url"    // http or https with "*" or "*:port" for the host
	FormatFarmTarget  = "farm-target" // "*" or "*:port"
	FormatFarmHost    = "farm-host"   // "*"
	FormatRegexp      = "regexp"      // RE2
	FormatUnit        = "unit"        // a systemd unit
	FormatCgroup      = "cgroup"      // a path
	FormatVariable    = "variable"    // an environment variable's name
)

var (
	errName     = errors.New("bad name: want 1 to 64 letters, digits and . _ -, beginning with a letter or digit")
	errVariable = errors.New("bad name of an environment variable: want letters, digits and _")
)

// checkFormat reports what keeps s from having a format. Nothing is looked up and no file is opened.
func checkFormat(format, s string) error {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("control characters in %q", clip(s))
	}
	switch format {
	case FormatText, FormatFile, FormatFolder:
		return nil
	case FormatAddress:
		_, err := parseAddress(s)
		return err
	case FormatNetwork:
		return checkNetwork(s)
	case FormatHost, FormatHostHeader, FormatHostPattern, FormatTarget:
		return checkHostForm(format, s)
	case FormatPathPattern:
		return checkPath(s)
	case FormatURL, FormatMemberURL, FormatFarmURL:
		return checkURLForm(format, s)
	case FormatMemberName:
		return checkMemberName(s)
	case FormatFarmTarget, FormatFarmHost:
		return checkFarmTarget(format, s)
	case FormatRegexp:
		if _, err := regexp.Compile(s); err != nil {
			return fmt.Errorf("bad regular expression: %w", err)
		}
		return nil
	case FormatUnit, FormatCgroup:
		return checkSystem(format, s)
	case FormatVariable:
		return checkVariable(s)
	}
	return fmt.Errorf("config: unknown format %q", format) // a wrong tag; every tag is used by the tests
}

// validName reports whether a name may be used in commands, URLs and file names without quoting.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._-", rune(c))) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// checkMemberName allows what names allow and what host:port needs.
func checkMemberName(s string) error {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("._-:[]", rune(c)) {
			return errors.New("bad name: want letters, digits and . _ - : [ ]")
		}
	}
	if len(s) > 255 {
		return errors.New("the name is longer than 255 bytes")
	}
	return nil
}

// parseAddress reads an address to listen on. An empty host is every address; it is invalid then.
func parseAddress(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf(`bad address %q: want host:port or :port, such as ":443" or "127.0.0.1:8080"`, clip(s))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("bad port %q: want a number from 0 to 65535", clip(port))
	}
	switch host {
	case "":
		return netip.AddrPortFrom(netip.Addr{}, uint16(n)), nil
	case "localhost":
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(n)), nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("bad address %q: the host to listen on must be an IP address of this machine, localhost or empty", clip(s))
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
}

func checkNetwork(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf(`bad network %q: want an IP address or a network such as "10.0.0.0/8"`, clip(s))
	}
	if prefix != prefix.Masked() {
		return fmt.Errorf("bad network %q: it has bits beyond its length; want %q", clip(s), prefix.Masked())
	}
	return nil
}

func checkHostForm(format, s string) error {
	switch format {
	case FormatHost:
		return checkHost(s)
	case FormatTarget:
		return checkTarget(s)
	case FormatHostHeader:
		if strings.Contains(s, ":") && !isIP(s) {
			return checkTarget(s)
		}
		return checkHost(strings.Trim(s, "[]"))
	}
	if s == "*" {
		return nil
	}
	name, wild := strings.CutPrefix(s, "*.")
	if wild && isIP(name) {
		return fmt.Errorf("bad host %q: an IP address has no names below it", clip(s))
	}
	if err := checkHost(name); err != nil {
		if host, port, splitErr := net.SplitHostPort(s); splitErr == nil && checkPort(port) == nil {
			return fmt.Errorf("bad host %q: want it without its port: %q", clip(s), clip(host))
		}
		if strings.Contains(name, "*") {
			return fmt.Errorf(`bad host %q: "*" may only stand alone or for the first labels: "*.shop.example"`, clip(s))
		}
		if wild && name == "" {
			return fmt.Errorf(`bad host %q: want the rest of the name after "*."`, clip(s))
		}
		return err
	}
	return nil
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// checkHost takes IP addresses and names of at most 253 bytes whose labels are letters, digits, - and _ (RFC 1123
// section 2.1; the underscore is no host name's but many servers have one). Other scripts need their ASCII form.
func checkHost(s string) error {
	if isIP(s) {
		return nil
	}
	bad := fmt.Errorf("bad host %q: want a name or an IP address", clip(s))
	name := strings.TrimSuffix(s, ".")
	if name == "" || len(name) > 253 {
		return bad
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return bad
		}
		for i := range len(label) {
			c := label[i]
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				if c >= 0x80 {
					return fmt.Errorf("bad host %q: write names in other scripts in their ASCII form (xn--…)", clip(s))
				}
				return bad
			}
		}
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return fmt.Errorf("bad IP address %q", clip(s))
	}
	return nil
}

func checkTarget(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("bad target %q: want host:port", clip(s))
	}
	if err := checkPort(port); err != nil {
		return err
	}
	return checkHost(host)
}

func checkPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("bad port %q: want a number from 1 to 65535", clip(port))
	}
	return nil
}

func checkPath(s string) error {
	switch {
	case !strings.HasPrefix(s, "/"):
		return fmt.Errorf("bad path %q: want a path that begins with /", clip(s))
	case strings.ContainsAny(s, "?#"):
		return fmt.Errorf("bad path %q: a rule looks at the path only, without ? and #", clip(s))
	case strings.Contains(s, "*"):
		return fmt.Errorf(`bad path %q: there are no wildcards; a path that ends with / stands for all below it`, clip(s))
	case strings.ContainsAny(s, " \\"):
		return fmt.Errorf("bad path %q: spaces and backslashes cannot stand in a path", clip(s))
	}
	return nil
}

func checkURLForm(format, s string) error {
	want := []string{"http", "https"}
	if format == FormatMemberURL {
		want = append(want, "h2c")
	}
	_, authority, _ := strings.Cut(s, "//")
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	if strings.Contains(authority, "@") {
		return errors.New("bad URL: a user name and password cannot stand in it") // not repeated: it may hold a password
	}
	raw := s
	if format == FormatFarmURL {
		scheme, rest, ok := strings.Cut(s, "://*")
		if !ok || rest != "" && !strings.ContainsRune(":/?", rune(rest[0])) {
			return fmt.Errorf(`bad URL %q: want "*" for the member in the place of the host, such as "http://*/health"`, clip(s))
		}
		raw = scheme + "://member" + rest
	}
	u, err := url.Parse(raw)
	if err != nil {
		var cause *url.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return fmt.Errorf("bad URL %q: %w", clip(s), err)
	}
	return checkURL(format, s, u, want)
}

func checkURL(format, s string, u *url.URL, schemes []string) error {
	switch {
	case !slices.Contains(schemes, u.Scheme) || !strings.HasPrefix(s, u.Scheme+"://"):
		return fmt.Errorf("bad URL %q: want %s://…", clip(s), strings.Join(schemes, "://…, "))
	case u.Hostname() == "":
		return fmt.Errorf("bad URL %q: it names no host", clip(s))
	case u.Fragment != "":
		return fmt.Errorf("bad URL %q: a fragment (#…) is never sent", clip(s))
	case format == FormatMemberURL && (u.RequestURI() != "/" || u.ForceQuery):
		return fmt.Errorf("bad URL %q: a member is a server, without path or query: want %q", clip(s), u.Scheme+"://"+u.Host)
	}
	if u.Port() != "" || strings.HasSuffix(u.Host, ":") {
		if err := checkPort(u.Port()); err != nil {
			return fmt.Errorf("bad URL %q: %w", clip(s), err)
		}
	}
	if err := checkHost(u.Hostname()); err != nil {
		return fmt.Errorf("bad URL %q: %w", clip(s), err)
	}
	return nil
}

func checkFarmTarget(format, s string) error {
	if s == "*" {
		return nil
	}
	if format == FormatFarmHost {
		return fmt.Errorf(`want "*" for the member, found %q`, clip(s))
	}
	port, ok := strings.CutPrefix(s, "*:")
	if !ok {
		return fmt.Errorf(`want "*" or "*:port" for the member, found %q`, clip(s))
	}
	return checkPort(port)
}

func checkSystem(format, s string) error {
	if format == FormatUnit {
		if strings.Contains(s, "/") || !strings.Contains(strings.Trim(s, "."), ".") {
			return fmt.Errorf("bad systemd unit %q: want its full name, such as %q", clip(s), clip(path.Base(strings.TrimSuffix(s, ".service")))+".service")
		}
		return nil
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == ".." {
			return fmt.Errorf("bad cgroup %q: want a path below the root of the hierarchy", clip(s))
		}
	}
	return nil
}

func checkVariable(s string) error {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || i > 0 && '0' <= c && c <= '9') {
			return errVariable
		}
	}
	return nil
}

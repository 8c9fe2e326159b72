package policy

import (
	"errors"
	"net/http"
	"net/url"
	pathpkg "path"
	"regexp"
	"strings"
	"testing"
)

func compile(t testing.TB, rules ...Rule) *Table {
	t.Helper()
	table, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMostSpecificWins(t *testing.T) {
	table := compile(t,
		Rule{Name: "any", Farm: "f"},
		Rule{Name: "shop", Hosts: []string{"shop.example"}, Paths: []string{"/app/"}, Farm: "f"},
		Rule{Name: "shop-deep", Hosts: []string{"shop.example"}, Paths: []string{"/app/deep/"}, Farm: "f"},
		Rule{Name: "shop-exact", Hosts: []string{"shop.example"}, Paths: []string{"/app/deep/x", "/health"}, Farm: "f"},
		Rule{Name: "wild", Hosts: []string{"*.example"}, Paths: []string{"/wild/"}, Farm: "f"},
		Rule{Name: "wilder", Hosts: []string{"*.b.example"}, Paths: []string{"/wild/"}, Farm: "f"},
		Rule{Name: "inside", Listeners: []string{"internal"}, Hosts: []string{"shop.example"}, Paths: []string{"/app/"}, Farm: "f"},
		Rule{Name: "six", Hosts: []string{"[2001:DB8::1]", "2001:db8::2"}, Farm: "f"},
		Rule{Name: "four", Hosts: []string{"192.0.2.1"}, Farm: "f"},
		Rule{Name: "books", Hosts: []string{"*.Bücher.example"}, Farm: "f"},
		Rule{Name: "dots", Hosts: []string{"dots.example"}, Paths: []string{"/.well-known/acme-challenge/", "/...", "/caf%c3%A9/"}, Farm: "f"},
	)
	tests := []struct {
		name, listener, host, path, want string
	}{
		{"any host", "web", "other.test", "/", "any"},
		{"no host", "web", "", "/", "any"},
		{"prefix", "web", "shop.example", "/app/x", "shop"},
		{"a prefix is not the path without its slash", "web", "shop.example", "/app", "any"},
		{"longer prefix", "web", "shop.example", "/app/deep/y", "shop-deep"},
		{"exact path", "web", "shop.example", "/app/deep/x", "shop-exact"},
		{"exact path and more", "web", "shop.example", "/healthy", "any"},
		{"port, case and dot", "web", "SHOP.example.:8080", "/app/", "shop"},
		{"wildcard", "web", "a.example", "/wild/", "wild"},
		{"exact host falls through to the wildcard", "web", "shop.example", "/wild/", "wild"},
		{"longer wildcard", "web", "a.b.example", "/wild/", "wilder"},
		{"a wildcard is not its parent", "web", "example", "/wild/", "any"},
		{"the listener's own rule", "internal", "shop.example", "/app/x", "inside"},
		{"the others' rules on that listener", "internal", "shop.example", "/app/deep/z", "shop-deep"},
		{"IPv6", "web", "[2001:db8::1]:443", "/", "six"},
		{"IPv6 in another spelling", "web", "[2001:0DB8:0:0::2]", "/", "six"},
		{"IPv4", "web", "192.0.2.1:8080", "/", "four"},
		{"IDN", "web", "www.xn--bcher-kva.example", "/", "books"},
		{"empty port", "web", "shop.example:", "/app/x", "shop"},
		{"a path with a name that begins with a dot", "web", "dots.example", "/.well-known/acme-challenge/x", "dots"},
		{"a path that is three dots", "web", "dots.example", "/...", "dots"},
		{"a path with an escape", "web", "dots.example", "/caf%C3%A9/x", "dots"},
		{"a path in another case", "web", "shop.example", "/APP/x", "any"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := Head{Listener: test.listener, Method: http.MethodGet, Host: test.host, Path: test.path}
			if got := table.Decide(h); got.Rule != test.want || got.Status != 0 {
				t.Errorf("decided %+v\n%s", got, strings.Join(table.Explain(h), "\n"))
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	table := compile(t,
		Rule{Name: "open", Hosts: []string{"x.test"}, Paths: []string{"/public/"}, Farm: "open"},
		Rule{Name: "admin", Hosts: []string{"x.test"}, Paths: []string{"/admin/", "/public/admin", "/my état"}, Farm: "admin"},
	)
	tests := []struct {
		name, host, path string
		status           int
		rule             string
	}{
		{"unknown host", "y.test", "/public/", 404, ""},
		{"unknown path", "x.test", "/elsewhere", 404, ""},
		{"bad host", "x.test/evil", "/public/", 400, ""},
		{"bad port", "x.test:80a", "/public/", 400, ""},
		{"userinfo", "me@x.test", "/public/", 400, ""},
		{"asterisk", "x.test", "*", 400, ""},
		{"absolute", "x.test", "http://x.test/", 400, ""},
		{"plain", "x.test", "/public/a.b", 0, "open"},
		{"dots that stay", "x.test", "/public/a/../b", 0, "open"},
		{"dots that leave", "x.test", "/public/../admin/", 400, ""},
		{"encoded dots that leave", "x.test", "/public/%2e%2E/admin/", 400, ""},
		{"encoded slash that leaves", "x.test", "/public/..%2fadmin/", 400, ""},
		{"backslash that leaves", "x.test", `/public/..\admin/`, 400, ""},
		{"encoded slash that stays", "x.test", "/public/a%2Fb", 0, "open"},
		{"doubled slash that stays", "x.test", "/public//a", 0, "open"},
		{"doubled slash that hides", "x.test", "//admin/", 400, ""},
		{"doubled slash before dots", "x.test", "/public//../../admin/", 400, ""},
		{"parameter that hides dots", "x.test", "/public/..;/admin/", 400, ""},
		{"parameter that stays", "x.test", "/public/a;v=1/b", 0, "open"},
		{"escape that hides an exact path", "x.test", "/public/%61dmin", 400, ""},
		{"above the root", "x.test", "/public/../../x", 400, ""},
		{"invalid escape", "x.test", "/public/%zz", 400, ""},
		{"cut escape", "x.test", "/public/%2", 400, ""},
		{"control", "x.test", "/public/%00", 400, ""},
		{"long and ambiguous", "x.test", "/public/%25" + strings.Repeat("a", maxReading/64), 400, ""},
		{"long with two readings", "x.test", "/public/%41" + strings.Repeat("a", maxReading/4), 0, "open"},
		{"long and plain", "x.test", "/public/" + strings.Repeat("a", maxReading), 0, "open"},
		{"long with escapes that are needed", "x.test", "/public/" + strings.Repeat("%20", maxReading), 0, "open"},
		{"escaped name", "x.test", "/public/caf%C3%A9", 0, "open"},
		{"needed escape in an exact path", "x.test", "/my%20%C3%A9tat", 0, "admin"},
		{"the same unescaped", "x.test", "/my%20état", 0, "admin"},
		{"space", "x.test", "/public/a b", 400, ""},
		{"fragment", "x.test", "/public/#/../admin/", 400, ""},
		{"query", "x.test", "/public/?x", 400, ""},
		{"name that begins with a dot", "x.test", "/public/.well-known/x", 0, "open"},
		{"name of three dots", "x.test", "/public/.../admin/", 0, "open"},
		{"single dot that hides", "x.test", "/./admin/", 400, ""},
		{"final dots that leave", "x.test", "/public/..", 400, ""},
		{"final dot of an exact path", "x.test", "/public/admin/..", 0, "open"},
		{"dots decoded twice", "x.test", "/public/%252e%252e/admin/", 400, ""},
		{"slash decoded twice", "x.test", "/public/..%252fadmin/", 400, ""},
		{"percent that stays", "x.test", "/public/100%25", 0, "open"},
		{"URL in a path", "x.test", "/public/http%253A%252F%252Fy.test%252F", 0, "open"},
		{"encoded backslash that leaves", "x.test", "/public/..%5cadmin/", 400, ""},
		{"escaped parameter that hides dots", "x.test", "/public/..%3bx/admin/", 400, ""},
		{"parameter cut before decoding", "x.test", "/public/..;%2f/admin/", 400, ""},
		{"parameter cut before decoding leaves, cut after it stays", "x.test", "/public/..;%2fpublic/admin/", 400, ""},
		{"parameter that hides the first segment", "x.test", "/;x/admin/", 400, ""},
		{"parameter that hides an exact path", "x.test", "/public/admin;x", 400, ""},
		{"overlong dots", "x.test", "/public/%c0%ae%c0%ae/admin/", 400, ""},
		{"overlong slash", "x.test", "/public/..%e0%80%afadmin/", 400, ""},
		{"mixed orders", "x.test", "/public/../admin//../public/x", 400, ""},
		{"empty name with a port", ":80", "/public/", 400, ""},
		{"only a dot", ".", "/public/", 400, ""},
		{"two final dots", "x.test..", "/public/", 400, ""},
		{"empty label", "x..test", "/public/", 400, ""},
		{"long name", strings.Repeat("a.", 130) + "test", "/public/", 400, ""},
		{"long label", strings.Repeat("a", 64) + ".test", "/public/", 400, ""},
		{"port out of range", "x.test:65536", "/public/", 400, ""},
		{"address with a zone", "[fe80::1%25eth0]", "/public/", 400, ""},
		{"IPv4 in brackets", "[127.0.0.1]", "/public/", 400, ""},
		{"not ASCII", "bücher.test", "/public/", 400, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := Head{Host: test.host, Path: test.path}
			got := table.Decide(h)
			if got.Status != test.status || got.Rule != test.rule || (got.Status != 0) != (got.Reason != "") {
				t.Errorf("decided %+v\n%s", got, strings.Join(table.Explain(h), "\n"))
			}
		})
	}
}

// TestEachReadingCounts: each order of merging slashes and removing dot segments, and cutting parameters before decoding,
// can be the only reading that leads elsewhere.
func TestEachReadingCounts(t *testing.T) {
	tests := []struct{ name, elsewhere, path string }{
		{"merged", "/a/x/../", "/a//x/../b"},
		{"resolved", "/y//", "/y/x//../..//b"},
		{"merged, then resolved", "/b/", "/y/x//../..//b/"},
		{"resolved, then merged", "/y/b/", "/y/x//../..//b/"},
		{"parameters cut, then decoded", "/b/", "/y/..;%2fy/b%2fx"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rules := []*paths{{exact: map[string]*entry{}}}
			rules[0].insert("/", &entry{rule: 1})
			rules[0].insert(test.elsewhere, &entry{rule: 2}) // more than a rule may say
			traits, _, _ := examine(test.path)
			h := &hosts{any: rules[0]}
			if _, wrong := h.agree(nil, test.path, traits); wrong == "" {
				t.Error("not refused")
			}
		})
	}
}

func TestCompileRefusesEverythingAtOnce(t *testing.T) {
	_, err := Compile([]Rule{
		{Name: "a", Farm: "f",
			Hosts: []string{"good.test", "x y", "a.*.test", "x:80", "*.192.0.2.1", "other.test"},
			Paths: []string{"app", "/a/../b", "/fine", "/%61", "/a;b", "/a/*", "/a?b"}},
		{Name: "b", Farm: "f", Hosts: []string{"GOOD.test."}, Paths: []string{"/fine"}},
		{Name: "c", Farm: "f", Hosts: []string{"good.test", "good.test"}, Listeners: []string{"l"}, Paths: []string{"/fine"}},
		{Name: "d", Hosts: []string{"d.test"}},
	})
	if err == nil {
		t.Fatal("compiled")
	}
	want := []string{
		`publishing rule a: hosts: "x y" is not a host name`,
		`publishing rule a: hosts: "a.*.test" may hold a star only as its first label`,
		`publishing rule a: hosts: "x:80" may not have a port`,
		`publishing rule a: paths: "app" does not begin with a slash`,
		`publishing rule a: paths: "/a/../b" is not in its plain form: `,
		`publishing rule a: paths: "/%61" is not in its plain form: `,
		`publishing rule a: paths: "/a;b" is not in its plain form: `,
		`publishing rule a: paths: "/a/*" holds a star: `,
		`publishing rule a: paths: "/a?b" cannot be a rule's: `,
		`publishing rule a: hosts: "*.192.0.2.1" is an address, `,
		`publishing rule d: farm: is missing`,
		`publishing rule b: has the same host and path (good.test /fine) as rule a, for `,
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("missing: %s", w)
		}
	}
	if strings.Contains(err.Error(), "rule c") {
		t.Error("a rule for one listener conflicts with one for all")
	}
	for _, w := range want {
		if n := strings.Count(err.Error(), w); n > 1 {
			t.Errorf("said %d times: %s", n, w)
		}
	}
	var p *Problem
	if !errors.As(err, &p) || p.Rule != "a" || p.Field != "paths" {
		t.Errorf("first problem: %+v", p)
	}
	t.Logf("\n%v", err)
}

func TestDecideAllocatesNothing(t *testing.T) {
	table := compile(t, Rule{Name: "a", Hosts: []string{"*.shop.example"}, Paths: []string{"/app/"}, Farm: "f"}, Rule{Name: "b", Farm: "g"})
	for name, path := range benchPaths() {
		h := Head{Listener: "web", Method: "GET", Host: "WWW.shop.example.:8080", Path: path}
		if d := table.Decide(h); name != "worst" && d.Status != 0 {
			t.Errorf("%s: %+v", name, d)
		}
		if n := testing.AllocsPerRun(100, func() { table.Decide(h) }); n != 0 && name != "worst" {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// benchPaths are a plain path, one with needed escapes, one that has many readings, and the dearest that is not refused at
// once.
func benchPaths() map[string]string {
	worst := "/app/" + strings.Repeat("x/%25;/../", 1000)
	return map[string]string{
		"plain": "/app/index.html", "escaped": "/app/caf%C3%A9%20noir", "ambiguous": "/app/@scope%2fname/./x;v=1",
		"worst": worst[:maxReading/120-1] + "/",
	}
}

func BenchmarkDecide(b *testing.B) {
	table := compile(b, Rule{Name: "a", Hosts: []string{"*.shop.example"}, Paths: []string{"/app/"}, Farm: "f"}, Rule{Name: "b", Farm: "g"})
	for name, path := range benchPaths() {
		b.Run(name, func(b *testing.B) {
			h := Head{Listener: "web", Method: "GET", Host: "www.shop.example:8080", Path: path}
			if d := table.Decide(h); d.Status != 0 {
				b.Fatalf("%+v", d)
			}
			b.ReportAllocs()
			for b.Loop() {
				table.Decide(h)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	table := compile(t, Rule{Name: "open", Paths: []string{"/public/"}, Farm: "o"}, Rule{Name: "admin", Paths: []string{"/admin/"}, Farm: "a"})
	tests := []struct{ name, host, path, want string }{
		{"match", "X.test:80", "/admin/x", `listener "web", host "X.test:80", path "/admin/x"
the host is read as "x.test"
rule admin takes it by "* /admin/" and sends it to farm a`},
		{"no rule", "", "/x", `listener "web", host "", path "/x"
refused with 404: no publishing rule for this path`},
		{"readings", "", "/public/../admin/", `listener "web", host "", path "/public/../admin/"
the path may be read as "/public/../admin/", which belongs to rule open
the path may be read as "/admin/", which belongs to rule admin
refused with 400: servers read this path differently, and the readings belong to different rules`},
		{"above the root", "", "/public/../..", `listener "web", host "", path "/public/../.."
the path may be read as "/public/../..", which belongs to rule open
the path may be read as one above the root
refused with 400: the path may lead above the root`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := strings.Join(table.Explain(Head{Listener: "web", Host: test.host, Path: test.path}), "\n")
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// FuzzDecide: whatever the head, nothing panics, the decision is the same when asked again and is explained, and a path
// that reaches a farm stays in that farm's prefix for servers that read it in ways written here without regard to traits.
func FuzzDecide(f *testing.F) {
	for _, path := range []string{"/public/", "/public/../admin/", "/public/%2e%2e/admin/x", `/public/..\admin/`, "//admin/",
		"/public/;/../admin/", "/public/..;%2f/admin", "/public/%252e%252e/admin/", "/admin/%25%32%65./public/"} {
		f.Add("x.test", path)
	}
	table := compile(f,
		Rule{Name: "open", Paths: []string{"/public/"}, Farm: "open"},
		Rule{Name: "admin", Paths: []string{"/admin/"}, Farm: "admin"})
	prefix := map[string]string{"open": "/public/", "admin": "/admin/"}
	f.Fuzz(func(t *testing.T, host, path string) {
		h := Head{Host: host, Path: path}
		got := table.Decide(h)
		if got != table.Decide(h) || len(table.Explain(h)) == 0 {
			t.Errorf("%+v is decided differently the second time", h)
		}
		if got.Status != 0 {
			return
		}
		for _, server := range servers {
			if seen := server.read(path); !strings.HasPrefix(seen, prefix[got.Farm]) {
				t.Errorf("%q goes to %s but %s reads it as %q", path, got.Farm, server.name, seen)
			}
		}
	})
}

// servers are models of how servers read paths, made from the standard library so that they share nothing with the code
// under test.
var servers = []struct {
	name string
	read func(string) string
}{
	{"one that takes paths as they are", func(p string) string { return p }},
	{"one that decodes", decodeOnce},
	{"one that decodes and cleans", func(p string) string { return clean(decodeOnce(p)) }},
	{"one that cleans and decodes", func(p string) string { return decodeOnce(clean(p)) }},
	{"one that decodes, turns backslashes and cleans", func(p string) string { return clean(turn(decodeOnce(p))) }},
	{"one that decodes twice and cleans", func(p string) string { return clean(turn(decodeOnce(decodeOnce(p)))) }},
	{"one that resolves without merging", func(p string) string { return rfc3986(decodeOnce(p)) }},
	{"one that cuts parameters, decodes and cleans", func(p string) string { return clean(decodeOnce(cut(p))) }},
	{"one that decodes, cuts parameters and cleans", func(p string) string { return clean(turn(cut(decodeOnce(p)))) }},
}

func decodeOnce(p string) string {
	if d, err := url.PathUnescape(p); err == nil {
		return d
	}
	return p
}

func turn(p string) string { return strings.ReplaceAll(p, `\`, "/") }

// clean is path.Clean with the final slash kept.
func clean(p string) string {
	cleaned := pathpkg.Clean(p)
	if cleaned != "/" && (strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/..")) {
		cleaned += "/"
	}
	return cleaned
}

func cut(p string) string { return parameters.ReplaceAllString(p, "") }

var parameters = regexp.MustCompile(`;[^/]*`)

// rfc3986 is net/url's removal of dot segments.
func rfc3986(p string) string {
	u := url.URL{Scheme: "http", Host: "x", Path: "/"}
	return u.ResolveReference(&url.URL{Scheme: "http", Host: "x", Path: p}).Path
}

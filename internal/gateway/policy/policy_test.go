package policy

import (
	"errors"
	"net/http"
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
		Rule{Name: "six", Hosts: []string{"[2001:DB8::1]"}, Farm: "f"},
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
		Rule{Name: "admin", Hosts: []string{"x.test"}, Paths: []string{"/admin/", "/public/admin"}, Farm: "admin"},
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
		{"long", "x.test", "/public/%41" + strings.Repeat("a", maxPath), 400, ""},
		{"escaped name", "x.test", "/public/caf%C3%A9", 0, "open"},
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

func TestCompileRefusesEverythingAtOnce(t *testing.T) {
	_, err := Compile([]Rule{
		{Name: "a", Hosts: []string{"x y", "a.*.test", "x:80", "good.test"}, Paths: []string{"app", "/a/../b", "/fine"}},
		{Name: "b", Hosts: []string{"GOOD.test."}, Paths: []string{"/fine"}},
		{Name: "c", Hosts: []string{"good.test", "good.test"}, Listeners: []string{"l"}, Paths: []string{"/fine"}},
	})
	if err == nil {
		t.Fatal("compiled")
	}
	want := []string{
		`publishing rule a: hosts: "x y" is not a host name`,
		`publishing rule a: hosts: "a.*.test" may hold a star only as its first label`,
		`publishing rule a: hosts: "x:80" may not have a port`,
		`publishing rule a: paths: "app" does not begin with a slash`,
		`publishing rule a: paths: "/a/../b" is not in its plain form: no escapes, doubled slashes, backslashes or dot segments`,
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
	var p *Problem
	if !errors.As(err, &p) || p.Rule != "a" || p.Field != "hosts" {
		t.Errorf("first problem: %+v", p)
	}
	t.Logf("\n%v", err)
}

func TestDecideAllocatesNothing(t *testing.T) {
	table := compile(t, Rule{Name: "a", Hosts: []string{"*.shop.example"}, Paths: []string{"/app/"}, Farm: "f"}, Rule{Name: "b", Farm: "g"})
	h := Head{Listener: "web", Method: "GET", Host: "www.shop.example:8080", Path: "/app/index.html"}
	if n := testing.AllocsPerRun(100, func() { table.Decide(h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	table := compile(b, Rule{Name: "a", Hosts: []string{"*.shop.example"}, Paths: []string{"/app/"}, Farm: "f"}, Rule{Name: "b", Farm: "g"})
	h := Head{Listener: "web", Method: "GET", Host: "www.shop.example:8080", Path: "/app/index.html"}
	b.ReportAllocs()
	for b.Loop() {
		table.Decide(h)
	}
}

// FuzzDecide: whatever the head, nothing panics, and a path that reaches the open farm does not lead out of its prefix
// when a server resolves it fully.
func FuzzDecide(f *testing.F) {
	for _, path := range []string{"/public/", "/public/../admin/", "/public/%2e%2e/admin/x", `/public/..\admin/`, "//admin/", "/public/;/../admin/"} {
		f.Add("x.test", path)
	}
	table := compile(f,
		Rule{Name: "open", Paths: []string{"/public/"}, Farm: "open"},
		Rule{Name: "admin", Paths: []string{"/admin/"}, Farm: "admin"})
	f.Fuzz(func(t *testing.T, host, path string) {
		got := table.Decide(Head{Host: host, Path: path})
		if got.Status != 0 {
			return
		}
		_, all, ok := decode(path)
		if !ok {
			t.Fatalf("%q is forwarded but cannot be decoded", path)
		}
		resolved, ok := resolve(merge(strings.ReplaceAll(all, `\`, "/")))
		if !ok || !strings.HasPrefix(resolved, map[string]string{"open": "/public/", "admin": "/admin/"}[got.Farm]) {
			t.Errorf("%q goes to %s but may be read as %q", path, got.Farm, resolved)
		}
	})
}

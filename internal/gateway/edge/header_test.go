package edge

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestIdentify(t *testing.T) {
	lan := prefixes("10.0.0.0/8", "fd00::/8")
	for _, c := range []struct {
		name, address string
		secure        bool
		head          http.Header
		client        string
		trusted, tls  bool
	}{
		{"direct", "192.0.2.1", false, http.Header{}, "192.0.2.1", false, false},
		{"direct, pretends", "192.0.2.1", false, http.Header{"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Proto": {"https"}}, "192.0.2.1", false, false},
		{"one proxy", "10.0.0.1", false, http.Header{"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Proto": {"https"}}, "198.51.100.7", true, true},
		{"two proxies", "10.0.0.1", true, http.Header{"X-Forwarded-For": {"6.6.6.6, 198.51.100.7", "10.0.0.2"}}, "198.51.100.7", true, true},
		{"only proxies", "10.0.0.1", false, http.Header{"X-Forwarded-For": {"10.0.0.3, 10.0.0.2"}}, "10.0.0.3", true, false},
		{"not an address", "10.0.0.1", false, http.Header{"X-Forwarded-For": {"198.51.100.7, unknown"}}, "10.0.0.1", true, false},
		{"with port", "10.0.0.1", false, http.Header{"X-Forwarded-For": {"198.51.100.7:1234"}}, "198.51.100.7", true, false},
		{"IPv6", "fd00::1", false, http.Header{"X-Forwarded-For": {"[2001:db8::1]:99"}}, "2001:db8::1", true, false},
		{"Forwarded", "10.0.0.1", false, http.Header{"Forwarded": {`for=6.6.6.6, For="[2001:db8::1]:99";proto=https`}}, "2001:db8::1", true, false},
		{"both fields", "10.0.0.1", false, http.Header{"Forwarded": {"for=6.6.6.6"}, "X-Forwarded-For": {"198.51.100.7"}}, "198.51.100.7", true, false},
		{"quoted comma", "10.0.0.1", false, http.Header{"Forwarded": {`for=198.51.100.7;host="a,for=6.6.6.6"`}}, "198.51.100.7", true, false},
		{"scheme of the nearest proxy", "10.0.0.1", false, http.Header{"X-Forwarded-Proto": {"https, http"}}, "10.0.0.1", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := identify(netip.MustParseAddr(c.address), c.secure, lan, c.head)
			if got.client.String() != c.client || got.trusted != c.trusted || got.secure != c.tls {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestSetForwarded(t *testing.T) {
	lan := prefixes("10.0.0.0/8")
	for _, c := range []struct {
		name, address, host string
		secure              bool
		in, want            http.Header
	}{
		{
			"untrusted", "2001:db8::1", "shop.example:8443", true,
			http.Header{"Forwarded": {"for=x"}, "X-Forwarded-For": {"1.1.1.1"}, "X-Forwarded-Server": {"a"}, "X-Real-Ip": {"1.1.1.1"}, "X_real_ip": {"1.1.1.1"}, "X-A": {"b"}},
			http.Header{
				"Forwarded": {`for="[2001:db8::1]";host="shop.example:8443";proto=https`}, "X-Forwarded-For": {"2001:db8::1"},
				"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"shop.example:8443"}, "X-A": {"b"},
			},
		},
		{
			"trusted, says nothing", "10.0.0.1", "x", false, http.Header{},
			http.Header{
				"Forwarded": {"for=10.0.0.1;host=x;proto=http"}, "X-Forwarded-For": {"10.0.0.1"},
				"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"x"},
			},
		},
		{
			"trusted, old fields", "10.0.0.1", "inner", false,
			http.Header{"X-Forwarded-For": {"198.51.100.7", "2001:db8::1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"outer"}},
			http.Header{
				"Forwarded":       {`for=198.51.100.7, for="[2001:db8::1]", for=10.0.0.1;host=inner;proto=http`},
				"X-Forwarded-For": {"198.51.100.7, 2001:db8::1, 10.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"outer"},
			},
		},
		{
			"trusted, new field", "10.0.0.1", "inner", false, http.Header{"Forwarded": {"for=198.51.100.7;proto=https"}},
			http.Header{
				"Forwarded":       {"for=198.51.100.7;proto=https, for=10.0.0.1;host=inner;proto=http"},
				"X-Forwarded-For": {"198.51.100.7, 10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"inner"},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := identify(netip.MustParseAddr(c.address), c.secure, lan, c.in)
			setForwarded(c.in, p, c.host, c.secure)
			if diff := cmp.Diff(c.want, c.in); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCopyEndToEnd(t *testing.T) {
	src := http.Header{
		"Connection": {"close, X-One", "x-two"}, "X-One": {"1"}, "X-Two": {"2"}, "X-Three": {"3"}, "Te": {"gzip"}, "Trailer": {"X"},
		"Transfer-Encoding": {"chunked"}, "Keep-Alive": {"1"}, "Upgrade": {"x"}, "Proxy-Authorization": {"x"}, "Proxy-Connection": {"x"},
	}
	dst := http.Header{}
	copyEndToEnd(dst, src)
	if diff := cmp.Diff(http.Header{"X-Three": {"3"}}, dst); diff != "" {
		t.Error(diff)
	}
}

func TestTakeCookie(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []string
		value    string
	}{
		{"none", nil, nil, ""},
		{"others", []string{"a=b; c=d"}, []string{"a=b; c=d"}, ""},
		{"alone", []string{"gh=1"}, nil, "1"},
		{"among others", []string{"a=b; gh=1; c=d"}, []string{"a=b; c=d"}, "1"},
		{"twice", []string{"gh=1; gh=2", "x=y; gh=3"}, []string{"x=y"}, "1"},
		{"name in a value", []string{"a=gh"}, []string{"a=gh"}, ""},
		{"longer name", []string{"ghx=1; xgh=2"}, []string{"ghx=1; xgh=2"}, ""},
		{"quoted", []string{`gh="1"`}, nil, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			if c.in != nil {
				h["Cookie"] = c.in
			}
			before := strings.Join(c.in, "|")
			if got := takeCookie(h, "gh"); got != c.value {
				t.Errorf("value %q, want %q", got, c.value)
			}
			if diff := cmp.Diff(c.want, h["Cookie"]); diff != "" {
				t.Error(diff)
			}
			if strings.Join(c.in, "|") != before {
				t.Error("the request's own field was changed")
			}
		})
	}
}

func TestUpgradeOf(t *testing.T) {
	for _, c := range []struct {
		name  string
		minor int
		body  int64
		head  http.Header
		want  string
	}{
		{"websocket", 1, 0, http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}}, "websocket"},
		{"not named by Connection", 1, 0, http.Header{"Upgrade": {"websocket"}}, ""},
		{"HTTP/1.0", 0, 0, http.Header{"Connection": {"upgrade"}, "Upgrade": {"websocket"}}, ""},
		{"with a body", 1, 3, http.Header{"Connection": {"upgrade"}, "Upgrade": {"websocket"}}, ""},
		{"h2c", 1, 0, http.Header{"Connection": {"upgrade"}, "Upgrade": {"h2c"}}, ""},
		{"h2c in a list", 1, 0, http.Header{"Connection": {"upgrade"}, "Upgrade": {"websocket, H2C"}}, ""},
		{"two fields", 1, 0, http.Header{"Connection": {"upgrade"}, "Upgrade": {"a", "b"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{ProtoMajor: 1, ProtoMinor: c.minor, ContentLength: c.body, Header: c.head}
			if got := upgradeOf(r); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("198.51.100.7, 10.0.0.1", `for="[2001:db8::1]:99";proto=https, for=x`, "shop.example")
	f.Add("", `for="a\",b";;,=`, `"`)
	f.Fuzz(func(t *testing.T, xff, forwarded, host string) {
		h := http.Header{}
		if xff != "" {
			h["X-Forwarded-For"] = []string{xff}
		}
		if forwarded != "" {
			h["Forwarded"] = []string{forwarded}
		}
		trusted := prefixes("10.0.0.0/8")
		near := netip.MustParseAddr("10.0.0.9")
		p := identify(near, false, trusted, h)
		if !p.client.IsValid() {
			t.Error("no client")
		}
		setForwarded(h, p, host, false)
		// What a member reads from the right is this gateway's word.
		if !strings.HasSuffix(h.Get("X-Forwarded-For"), near.String()) || !strings.HasSuffix(h.Get("Forwarded"), ";proto=http") {
			t.Errorf("got %v", h)
		}
	})
}

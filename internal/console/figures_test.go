package console

import (
	"net/netip"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	for _, test := range []struct{ name, got, want string }{
		{"bytes of a counter", counterValue("pss", 91e6), "91.0 MB"},
		{"limit of a group", counterValue("cgroup_limit", 1<<30), "1 GiB"},
		{"count", counterValue("fds", 1402), "1,402"},
		{"processor time", counterValue("cpu_seconds", 12.34), "12.3 s"},
		{"long processor time", counterValue("cpu_seconds", 7300), "2 h 1 min"},
		{"part of a count", counterValue("load", 0.25), "0.25"},
		{"counter by name", counterName("cgroup_oom_kills"), "cgroup oom kills"},
		{"confidence", confidence(0.9996), "99.9 %"},
		{"lower confidence", confidence(0.912), "91 %"},
		{"share", share(0.00004), "under 0.1 %"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, test.got, test.want)
		}
	}
}

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "all": 0, "6h": 6 * time.Hour, "7d": 7 * day, "90m": 90 * time.Minute} {
		if got, err := parseSpan(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"d", "0d", "-3d", "99999d", "-1h", "0s", "x", "7 d"} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func FuzzParseSpan(f *testing.F) {
	for _, text := range []string{"", "all", "7d", "6h", "d", "-1h", "99999999999999999999d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseSpan(text); err == nil && d < 0 {
			t.Errorf("%q is the span %v", text, d)
		}
	})
}

func FuzzParseDeadline(f *testing.F) {
	for _, text := range []string{"", "10m", "168h", "-1s", "1e9h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDeadline(text); err == nil && (d < 0 || d > longestDrain || d == 0 && text != "") {
			t.Errorf("%q is the deadline %v", text, d)
		}
	})
}

func FuzzHosts(f *testing.F) {
	for _, host := range []string{"127.0.0.1:7480", "[::1]:7480", "localhost", "evil.example", "127.0.0.1.evil.example", "[::ffff:127.0.0.1]"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name := hostOnly(host)
		if newHosts("127.0.0.1:7480").allow(host) && name != "localhost" && !loopbackLiteral(name) {
			t.Errorf("%q is let in", host)
		}
	})
}

func loopbackLiteral(name string) bool {
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}

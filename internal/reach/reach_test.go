package reach

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestResolveFailures(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		state  state.State
		reason string
	}{
		{"no such host", &net.DNSError{Err: "no such host", Name: "a.example", IsNotFound: true}, state.UnresolvedName, "no such host: "},
		{"timeout", &net.DNSError{Err: "i/o timeout", Name: "a.example", IsTimeout: true}, state.UnresolvedName, "no name server answered in time"},
		{"server failure", &net.DNSError{Err: "server misbehaving", Name: "a.example", IsTemporary: true}, state.UnresolvedName, "the name server could not answer"},
		{"no address", nil, state.UnresolvedName, "the name a.example has no address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Dialer{LookupIP: func(context.Context, string, string) ([]netip.Addr, error) { return nil, tt.err }}
			var took time.Duration
			_, f := d.Resolve(t.Context(), "ip", "a.example", &took)
			if f == nil || f.State != tt.state || f.Phase != state.Resolve || !strings.HasPrefix(f.Reason, tt.reason) {
				t.Errorf("got %+v", f)
			}
			if tt.err != nil && !errors.Is(f, tt.err) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestResolveAsksForTheNameThatDNSKnows(t *testing.T) {
	var asked string
	d := Dialer{LookupIP: func(_ context.Context, _, host string) ([]netip.Addr, error) {
		asked = host
		return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1")}, nil
	}}
	var took time.Duration
	addrs, f := d.Resolve(t.Context(), "ip", "bücher.example", &took)
	if f != nil || asked != "xn--bcher-kva.example" || addrs[0] != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("asked for %q, got %v, %v", asked, addrs, f)
	}
	asked = ""
	if _, f := d.Resolve(t.Context(), "ip", "192.0.2.7", &took); f != nil || asked != "" {
		t.Errorf("an address was looked up: %q, %v", asked, f)
	}
}

func TestExplain(t *testing.T) {
	over, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	broken, breakOff := context.WithCancel(t.Context())
	breakOff()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		err    error
		state  state.State
		reason string
	}{
		{"deadline of the connection", t.Context(), os.ErrDeadlineExceeded, state.Timeout, "the time ran out in the body phase"},
		{"deadline of the check", over, errors.New("closed"), state.Timeout, "the time ran out"},
		{"broken off", broken, errors.New("closed"), state.Unknown, "the check was broken off"},
		{"something else", t.Context(), errors.New("odd"), state.Error, "the body phase failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if f := Explain(tt.ctx, state.Body, tt.err); f.State != tt.state || !strings.HasPrefix(f.Reason, tt.reason) {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestTooManyAddresses(t *testing.T) {
	tried := 0
	d := Dialer{
		LookupIP: func(context.Context, string, string) ([]netip.Addr, error) {
			addrs := make([]netip.Addr, 20)
			for i := range addrs {
				addrs[i] = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			}
			return addrs, nil
		},
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			tried++
			return nil, errors.New("no")
		},
	}
	var timings state.Timings
	_, _, f := d.Connect(t.Context(), "a.example", 80, &timings)
	if tried != maxAddresses || !strings.Contains(strings.Join(f.Evidence, "\n"), "12 more addresses were not tried") {
		t.Errorf("tried %d: %+v", tried, f)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":          "plain",
		"a\x1b[31m\r\nb": "a?[31m??b",
		"12345678901":    "1234567890…",
		"ä€\u202e\xff":   "ä€?\ufffd",
	} {
		if got := Clean(in, 10); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

package tcpcheck

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/reach"
	"gatehouse/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	c, err := New(Options{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	got := c.Check(t.Context())
	if got.State != state.Good || got.Address != address || got.Timings.Connect <= 0 || got.Timings.Total < got.Timings.Connect || got.At.IsZero() {
		t.Errorf("open: %+v", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got = c.Check(t.Context())
	if got.State != state.Refused || got.Phase != state.Connect || !strings.HasPrefix(got.Reason, address+" refused the connection") {
		t.Errorf("closed: %+v", got)
	}
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{Address: "silent.example:80", Dialer: &reach.Dialer{
			LookupIP: func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
			},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() },
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got := c.Check(ctx)
		if got.State != state.Timeout || got.Phase != state.Connect || got.Timings.Total != 10*time.Second {
			t.Errorf("got %+v", got)
		}
		if got := c.Check(t.Context()); got.State != state.Timeout || got.Timings.Total != maxTime {
			t.Errorf("without a deadline: %+v", got)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for _, address := range []string{"", "a", "a:", "a:0", "a:http", "a:65536", ":80", "2001:db8::1:80"} {
		if _, err := New(Options{Address: address}); err == nil {
			t.Errorf("%q was taken", address)
		}
	}
}

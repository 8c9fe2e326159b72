package icmpcheck

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"gatehouse/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a socket whose replies are made by a function of the request.
type fake struct {
	answer func(to netip.Addr, id, seq uint16, payload []byte) []message
	in     chan message
	closed chan struct{}
	err    error // of Send
}

func newFake(answer func(to netip.Addr, id, seq uint16, payload []byte) []message) *fake {
	return &fake{answer: answer, in: make(chan message, 16), closed: make(chan struct{})}
}

func (f *fake) Send(to netip.Addr, id, seq uint16, payload []byte) error {
	if f.err != nil {
		return f.err
	}
	for _, m := range f.answer(to, id, seq, payload) {
		f.in <- m
	}
	return nil
}

func (f *fake) Receive() (message, error) {
	select {
	case m := <-f.in:
		return m, nil
	case <-f.closed:
		return message{}, errors.New("closed")
	}
}

func (f *fake) Close() error {
	select {
	case <-f.closed:
	default:
		close(f.closed)
	}
	return nil
}

// with runs a pinger within a bubble on sockets that open makes.
func with(t *testing.T, open func(family) (socket, error), test func(t *testing.T, p *Pinger)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := NewPinger()
		p.open = open
		p.dialer.LookupIP = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		test(t, p)
		if n := len(p.pending); n != 0 {
			t.Errorf("%d requests are remembered", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func check(t *testing.T, p *Pinger, host string) state.Result {
	t.Helper()
	c, err := p.Check(host)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return c.Check(ctx)
}

func reply(to netip.Addr, id, seq uint16, payload []byte) message {
	return message{event: event{kind: replied, from: to}, id: id, seq: seq, payload: payload}
}

func TestCheck(t *testing.T) {
	router := netip.MustParseAddr("198.51.100.1")
	other := netip.MustParseAddr("192.0.2.99")
	for _, tt := range []struct {
		name   string
		host   string
		answer func(to netip.Addr, id, seq uint16, payload []byte) []message
		state  state.State
		reason string
	}{
		{"reply", "192.0.2.1", func(to netip.Addr, id, seq uint16, payload []byte) []message {
			return []message{reply(to, id, seq, payload)}
		}, state.Good, "the host answers echo requests (host only: this says nothing of its services)"},
		{"reply by IPv6", "[2001:db8::7]", func(to netip.Addr, id, seq uint16, payload []byte) []message {
			return []message{reply(to, id, seq, payload)}
		}, state.Good, "the host answers"},
		{"two replies", "192.0.2.1", func(to netip.Addr, id, seq uint16, payload []byte) []message {
			return []message{reply(to, id, seq, payload), reply(to, id, seq, payload)}
		}, state.Good, "the host answers"},
		{"the kernel's own identifier", "192.0.2.1", func(to netip.Addr, id, seq uint16, payload []byte) []message {
			m := reply(to, id+1, seq, payload)
			m.anyID = true
			return []message{m}
		}, state.Good, "the host answers"},
		{"nothing", "192.0.2.1", func(netip.Addr, uint16, uint16, []byte) []message { return nil }, state.Timeout, "no echo reply from 192.0.2.1"},
		{"another's identifier", "192.0.2.1", func(to netip.Addr, id, seq uint16, payload []byte) []message {
			return []message{reply(to, id+1, seq, payload)}
		}, state.Timeout, "no echo reply"},
		{"another number", "192.0.2.1", func(to netip.Addr, id, seq uint16, payload []byte) []message {
			return []message{reply(to, id, seq+1, payload)}
		}, state.Timeout, "no echo reply"},
		{"from another address", "192.0.2.1", func(_ netip.Addr, id, seq uint16, payload []byte) []message {
			return []message{reply(other, id, seq, payload)}
		}, state.Timeout, "no echo reply"},
		{"forged by who has not seen the request", "192.0.2.1", func(to netip.Addr, id, seq uint16, _ []byte) []message {
			return []message{reply(to, id, seq, make([]byte, 28))}
		}, state.Timeout, "no echo reply"},
		{"host unreachable", "192.0.2.1", func(to netip.Addr, id, seq uint16, _ []byte) []message {
			return []message{{event: event{unreachable, router, "host unreachable"}, to: to, id: id, seq: seq}}
		}, state.Error, "the router 198.51.100.1 reports host unreachable"},
		{"the host forbids", "192.0.2.1", func(to netip.Addr, id, seq uint16, _ []byte) []message {
			return []message{{event: event{unreachable, to, "host administratively prohibited"}, to: to, id: id, seq: seq}}
		}, state.Error, "the host itself reports host administratively prohibited"},
		{"unreachable for another", "192.0.2.1", func(_ netip.Addr, id, seq uint16, _ []byte) []message {
			return []message{{event: event{unreachable, router, "host unreachable"}, to: other, id: id, seq: seq}}
		}, state.Timeout, "no echo reply"},
		{"in circles", "192.0.2.1", func(to netip.Addr, id, seq uint16, _ []byte) []message {
			return []message{{event: event{expired, router, "time to live exceeded"}, to: to, id: id, seq: seq}}
		}, state.Error, "the request went in circles: the router 198.51.100.1 reports time to live exceeded"},
		{"ignored, then a reply", "192.0.2.1", func(to netip.Addr, id, seq uint16, payload []byte) []message {
			return []message{{}, reply(to, id, seq, payload)}
		}, state.Good, "the host answers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			with(t, func(family) (socket, error) { return newFake(tt.answer), nil }, func(t *testing.T, p *Pinger) {
				got := check(t, p, tt.host)
				if got.State != tt.state || !strings.HasPrefix(got.Reason, tt.reason) {
					t.Errorf("got %q: %s", got.State, got.Reason)
				}
				if tt.state == state.Timeout && got.Timings.Total != 10*time.Second {
					t.Errorf("took %v", got.Timings.Total)
				}
			})
		})
	}
}

func TestFamilyWithASocketIsChosen(t *testing.T) {
	echoes := newFake(func(to netip.Addr, id, seq uint16, payload []byte) []message {
		return []message{reply(to, id, seq, payload)}
	})
	with(t, func(f family) (socket, error) {
		if f == v6 {
			return nil, errors.New("no IPv6 here")
		}
		echoes.closed = make(chan struct{})
		echoes.in = make(chan message, 16)
		return echoes, nil
	}, func(t *testing.T, p *Pinger) {
		if got := check(t, p, "both.example"); got.State != state.Good || got.Address != "192.0.2.1" {
			t.Errorf("got %q from %s: %s", got.State, got.Address, got.Reason)
		}
	})
}

func TestNotAllowedIsUnknownAndTriedAgain(t *testing.T) {
	var allowed atomic.Bool
	with(t, func(family) (socket, error) {
		if !allowed.Load() {
			return nil, errors.New("set this")
		}
		return newFake(func(to netip.Addr, id, seq uint16, payload []byte) []message {
			return []message{reply(to, id, seq, payload)}
		}), nil
	}, func(t *testing.T, p *Pinger) {
		if got := check(t, p, "192.0.2.1"); got.State != state.Unknown || got.Reason != "could not tell: set this" {
			t.Errorf("got %q: %s", got.State, got.Reason)
		}
		synctest.Wait()
		allowed.Store(true)
		time.Sleep(reopenEvery)
		synctest.Wait()
		if got := check(t, p, "192.0.2.1"); got.State != state.Good {
			t.Errorf("once allowed: %q: %s", got.State, got.Reason)
		}
	})
}

func TestSendFails(t *testing.T) {
	f := newFake(nil)
	f.err = errors.New("no buffer of that kind")
	with(t, func(fam family) (socket, error) {
		if fam == v6 {
			return nil, errors.New("no")
		}
		f.closed = make(chan struct{})
		return f, nil
	}, func(t *testing.T, p *Pinger) {
		if got := check(t, p, "192.0.2.1"); got.State != state.Error || got.Phase != state.Request || len(got.Evidence) != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got := check(t, NewPinger(), "192.0.2.1"); got.State != state.Unknown || !strings.Contains(got.Reason, "not running") {
			t.Errorf("got %+v", got)
		}
	})
}

func TestCheckRefuses(t *testing.T) {
	for _, host := range []string{"", "a b", "http://a", "a:80", "*", "u@h"} {
		if _, err := NewPinger().Check(host); err == nil {
			t.Errorf("%q was taken", host)
		}
	}
}

// quoted is a message of a router about a request: kind and code, then the request with its IP header.
func quoted(t testing.TB, f family, kind icmp.Type, code int) []byte {
	t.Helper()
	request, err := render(f, 7, 9, []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	var packet []byte
	if f == v4 {
		packet = append([]byte{0x45, 0, 0, 35, 0, 0, 0, 0, 64, 1, 0, 0, 198, 51, 100, 7, 192, 0, 2, 1}, request...)
	} else {
		packet = make([]byte, 40)
		packet[0], packet[6] = 0x60, 58
		to := netip.MustParseAddr("2001:db8::1").As16()
		copy(packet[24:], to[:])
		packet = append(packet, request...)
	}
	var body icmp.MessageBody = &icmp.DstUnreach{Data: packet}
	if kind == ipv4.ICMPTypeTimeExceeded || kind == ipv6.ICMPTypeTimeExceeded {
		body = &icmp.TimeExceeded{Data: packet}
	}
	data, err := (&icmp.Message{Type: kind, Code: code, Body: body}).Marshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParse(t *testing.T) {
	from := netip.MustParseAddr("198.51.100.1")
	for _, tt := range []struct {
		name   string
		family family
		data   []byte
		kind   kind
		detail string
	}{
		{"host unreachable", v4, quoted(t, v4, ipv4.ICMPTypeDestinationUnreachable, 1), unreachable, "host unreachable"},
		{"network unreachable", v4, quoted(t, v4, ipv4.ICMPTypeDestinationUnreachable, 0), unreachable, "network unreachable"},
		{"prohibited", v4, quoted(t, v4, ipv4.ICMPTypeDestinationUnreachable, 13), unreachable, "communication administratively prohibited"},
		{"a code nobody knows", v4, quoted(t, v4, ipv4.ICMPTypeDestinationUnreachable, 77), unreachable, "destination unreachable, code 77"},
		{"time exceeded", v4, quoted(t, v4, ipv4.ICMPTypeTimeExceeded, 0), expired, "time to live exceeded"},
		{"IPv6 address unreachable", v6, quoted(t, v6, ipv6.ICMPTypeDestinationUnreachable, 3), unreachable, "address unreachable"},
		{"IPv6 time exceeded", v6, quoted(t, v6, ipv6.ICMPTypeTimeExceeded, 0), expired, "time to live exceeded"},
		{"short", v4, quoted(t, v4, ipv4.ICMPTypeDestinationUnreachable, 1)[:20], ignored, ""},
		{"empty", v4, nil, ignored, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(tt.family, tt.data, from)
			if m.kind != tt.kind || m.detail != tt.detail {
				t.Fatalf("got %+v", m)
			}
			if m.kind != ignored && (m.id != 7 || m.seq != 9 || m.from != from || !strings.HasSuffix(m.to.String(), "1")) {
				t.Errorf("got %+v", m)
			}
		})
	}
	own, err := render(v4, 7, 9, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m := parse(v4, own, from); m.kind != ignored {
		t.Errorf("a request was taken for a reply: %+v", m)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(false, quoted(f, v4, ipv4.ICMPTypeDestinationUnreachable, 1))
	f.Add(true, quoted(f, v6, ipv6.ICMPTypeTimeExceeded, 0))
	f.Add(false, []byte{0, 0, 0, 0, 0, 7, 0, 9, 'x'})
	f.Fuzz(func(t *testing.T, six bool, data []byte) {
		fam := v4
		if six {
			fam = v6
		}
		p := NewPinger()
		w := &waiter{to: netip.MustParseAddr("192.0.2.1"), reply: make(chan event, 1)}
		m := parse(fam, data, w.to)
		p.pending[echo{fam, m.seq}] = w
		p.match(fam, m)
		if len(w.reply) == 1 && m.kind == replied {
			t.Errorf("a reply without the secret was taken: %x", data)
		}
	})
}

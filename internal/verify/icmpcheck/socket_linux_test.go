package icmpcheck

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"gatehouse/internal/state"
)

// ping runs one check with a pinger on real sockets.
func ping(t *testing.T, open func(family) (socket, error), host string, timeout time.Duration) state.Result {
	t.Helper()
	p := NewPinger()
	p.open = open
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	c, err := p.Check(host)
	if err != nil {
		t.Fatal(err)
	}
	limited, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	got := c.Check(limited)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return got
}

func TestLoopback(t *testing.T) {
	for _, f := range []struct {
		family family
		host   string
	}{{v4, "127.0.0.1"}, {v6, "::1"}} {
		t.Run(f.host, func(t *testing.T) {
			s, err := open(f.family)
			if err != nil {
				t.Skipf("no socket for echo requests: %v", err)
			}
			_ = s.Close()
			if got := ping(t, open, f.host, 5*time.Second); got.State != state.Good || got.Address != f.host || got.Timings.FirstByte <= 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestRawSocket(t *testing.T) {
	s, err := openRaw(v4)
	if err != nil {
		t.Skipf("no raw socket: %v", err)
	}
	_ = s.Close()
	if got := ping(t, openRaw, "127.0.0.1", 5*time.Second); got.State != state.Good {
		t.Errorf("got %+v", got)
	}
}

// namespace calls f on a thread in a network namespace of its own, where loopback is up and everybody may have ping
// sockets, and skips the test where that cannot be made.
func namespace(t *testing.T, f func()) {
	t.Helper()
	var skip string
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			skip = "a network namespace cannot be made: " + err.Error()
			return
		}
		for _, set := range [][2]string{{"ping_group_range", "0 2147483647"}, {"icmp_echo_ignore_all", "1"}} {
			if err := os.WriteFile("/proc/sys/net/ipv4/"+set[0], []byte(set[1]), 0o600); err != nil {
				skip = "a setting of the namespace cannot be written: " + err.Error()
				return
			}
		}
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			skip = "loopback cannot be set up: " + err.Error() + string(out)
			return
		}
		f()
	}()
	<-done
	if skip != "" {
		t.Skip(skip)
	}
}

// TestPingSocketHearsRouters: a ping socket gets replies, and through its queue of errors what routers say. The router here
// is a raw socket that answers each request, which the kernel is told to ignore.
func TestPingSocketHearsRouters(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(request []byte) icmp.Message
		state  state.State
		reason string
	}{
		{"reply", func(request []byte) icmp.Message {
			m, _ := icmp.ParseMessage(protocolICMPv4, request)
			return icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: m.Body}
		}, state.Good, "the host answers"},
		{"host unreachable", func(request []byte) icmp.Message {
			return icmp.Message{Type: ipv4.ICMPTypeDestinationUnreachable, Code: 1, Body: &icmp.DstUnreach{Data: loopbackPacket(request)}}
		}, state.Error, "the host itself reports host unreachable"},
		{"network unreachable", func(request []byte) icmp.Message {
			return icmp.Message{Type: ipv4.ICMPTypeDestinationUnreachable, Code: 0, Body: &icmp.DstUnreach{Data: loopbackPacket(request)}}
		}, state.Error, "the host itself reports network unreachable"},
		{"time exceeded", func(request []byte) icmp.Message {
			return icmp.Message{Type: ipv4.ICMPTypeTimeExceeded, Body: &icmp.TimeExceeded{Data: loopbackPacket(request)}}
		}, state.Error, "the request went in circles"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s socket
			var router *icmp.PacketConn
			var err error
			namespace(t, func() {
				if s, err = openPing(v4); err == nil {
					router, err = icmp.ListenPacket("ip4:icmp", "127.0.0.1")
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				answer(router, tt.answer)
			}()
			opened := false
			got := ping(t, func(f family) (socket, error) {
				if f == v6 || opened {
					return nil, os.ErrPermission
				}
				opened = true
				return s, nil
			}, "127.0.0.1", 5*time.Second)
			_ = router.Close()
			<-done
			if got.State != tt.state || !strings.HasPrefix(got.Reason, tt.reason) {
				t.Errorf("got %q: %s %q", got.State, got.Reason, got.Evidence)
			}
		})
	}
}

// answer answers the first echo request.
func answer(router *icmp.PacketConn, with func([]byte) icmp.Message) {
	buf := make([]byte, 1500)
	for {
		n, _, err := router.ReadFrom(buf)
		if err != nil {
			return
		}
		if buf[0] != byte(ipv4.ICMPTypeEcho) {
			continue
		}
		m := with(buf[:n])
		data, err := m.Marshal(nil)
		if err == nil {
			_, _ = router.WriteTo(data, &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)})
		}
		return
	}
}

// loopbackPacket puts an IP header before a request.
func loopbackPacket(request []byte) []byte {
	h := []byte{0x45, 0, 0, byte(20 + len(request)), 0, 0, 0, 0, 64, protocolICMPv4, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1}
	return append(h, request...)
}

func TestExtended(t *testing.T) {
	for _, data := range [][]byte{nil, make([]byte, 15), make([]byte, 16), make([]byte, 20)} {
		for _, f := range []family{v4, v6} {
			e, ok := extended(f, data)
			if ok != (len(data) >= extendedErr) || e.from != (netip.Addr{}) {
				t.Errorf("%d bytes: %+v, %v", len(data), e, ok)
			}
		}
	}
}

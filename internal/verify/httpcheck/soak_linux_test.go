package httpcheck

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/state"
)

// behaviours are ways to treat a client, each until it goes.
func behaviours(cert tls.Certificate) map[string]func(net.Conn) {
	reset := func(conn net.Conn) {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	plain := func(serve func(net.Conn, string)) func(net.Conn) { return func(c net.Conn) { serve(c, "") } }
	secure := func(serve func(net.Conn, string)) func(net.Conn) {
		return func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			if s.Handshake() == nil {
				serve(s, "")
			}
		}
	}
	return map[string]func(net.Conn){
		"good":               plain(says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
		"empty 401":          plain(says("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n")),
		"503":                plain(says("HTTP/1.1 503 No\r\n\r\n")),
		"reset at once":      reset,
		"reset in the head":  func(c net.Conn) { says("HTTP/1.1 200 OK\r\nX")(c, ""); reset(c) },
		"reset in the body":  func(c net.Conn) { says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")(c, ""); reset(c) },
		"hang":               plain(silent),
		"hang in the head":   func(c net.Conn) { says("HTTP/1.1 200 OK\r\n")(c, ""); silent(c, "") },
		"hang in the body":   func(c net.Conn) { says("HTTP/1.1 200 OK\r\n\r\nx")(c, ""); silent(c, "") },
		"endless head":       plain(repeats("HTTP/1.1 200 OK\r\n", strings.Repeat("X: y\r\n", 100), 0)),
		"endless body":       plain(repeats("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("y", 1000), 0)),
		"endless chunks":     plain(repeats("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\ny\r\n", 0)),
		"TLS good":           secure(says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
		"TLS hang":           plain(silent),
		"TLS hang after":     secure(silent),
		"TLS reset":          func(c net.Conn) { _, _ = c.Read(make([]byte, 100)); reset(c) },
		"TLS not trusted":    secure(silent),
		"TLS endless body":   secure(repeats("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("y", 1000), 0)),
		"TLS in plain words": plain(says("HTTP/1.1 400 Bad Request\r\n\r\n")),
	}
}

// serve listens on loopback and treats every client in one way, until the test ends.
func serve(t *testing.T, treat func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				treat(conn)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

// usage is what a process holds.
type usage struct {
	goroutines, descriptors int
	heap                    uint64
}

// settled waits until servers have seen that their clients are gone, and measures.
func settled(t *testing.T, want usage) usage {
	t.Helper()
	var got usage
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		runtime.GC()
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		got = usage{runtime.NumGoroutine(), len(fds), m.HeapAlloc}
		if (got.goroutines <= want.goroutines && got.descriptors <= want.descriptors) || time.Now().After(deadline) {
			return got
		}
	}
}

// TestSoak makes 5,000 checks of servers of every behaviour and counts what is left: nothing.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000 checks take a while")
	}
	authority := newAuthority(t)
	cert := authority.issue(t, "shop.example", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	var checks []*Check
	for name, treat := range behaviours(cert) {
		opt := Options{URL: "http://" + serve(t, treat) + "/", Host: "shop.example", TLS: &tls.Config{RootCAs: authority.pool}}
		if strings.HasPrefix(name, "TLS") {
			opt.URL = strings.Replace(opt.URL, "http:", "https:", 1)
		}
		if name == "TLS not trusted" {
			opt.TLS = nil
		}
		c, err := New(opt)
		if err != nil {
			t.Fatal(err)
		}
		checks = append(checks, c)
	}
	closed, err := New(Options{URL: "http://127.0.0.1:1/"})
	if err != nil {
		t.Fatal(err)
	}
	checks = append(checks, closed)
	round := func(n int) {
		var workers sync.WaitGroup
		jobs := make(chan *Check)
		for range 64 {
			workers.Go(func() {
				for c := range jobs {
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					if got := c.Check(ctx); got.State == state.Unknown || got.Timings.Total > 5*time.Second {
						t.Errorf("got %+v", got)
					}
					cancel()
				}
			})
		}
		for i := range n {
			jobs <- checks[i%len(checks)]
		}
		close(jobs)
		workers.Wait()
	}
	round(500)
	before := settled(t, usage{})
	round(5000)
	after := settled(t, before)
	t.Logf("before %+v, after %+v", before, after)
	if after.goroutines > before.goroutines || after.descriptors > before.descriptors {
		t.Errorf("left behind: before %+v, after %+v", before, after)
	}
	if after.heap > before.heap+(256<<10) {
		t.Errorf("5,000 checks have left %d bytes", after.heap-before.heap)
	}
}

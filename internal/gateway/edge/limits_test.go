package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const short = 60 * time.Millisecond

// untilClosed reads what comes until the connection ends and fails when that takes longer than it must.
func untilClosed(t *testing.T, c net.Conn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b, err := io.ReadAll(c)
	if n, ok := err.(net.Error); ok && n.Timeout() {
		t.Fatal("the connection stayed open")
	}
	return string(b)
}

func TestLimitsOnClients(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "ok")
	})
	r := newRig(t, []string{m.URL}, limits(func(l *Limits) {
		l.HeaderTimeout, l.BodyTimeout, l.IdleTimeout = short, short, short
		l.HeaderBytes, l.BodyBytes = 2000, 10
	}))
	for _, c := range []struct{ name, send, want string }{
		{"nothing sent", "", ""},
		{"slow head", "GET / HTTP/1.1\r\nHost:", ""},
		{"slow head of a second request", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /", "HTTP/1.1 200"},
		{"idle connection", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
		{"stalled body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", "HTTP/1.1 408"},
		{"stalled chunked body", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "HTTP/1.1 408"},
		{"head too large", "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 20000) + "\r\n\r\n", "HTTP/1.1 431"},
		{"body too large", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 413"},
		{"chunked body too large", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n", "HTTP/1.1 413"},
		{"refused with stalled body", "TRACE / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", "HTTP/1.1 405"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn := r.dial()
			_, _ = io.WriteString(conn, c.send)
			got := untilClosed(t, conn)
			if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("got %.80q, want %q", got, c.want)
			}
		})
	}
}

// A body within the limit passes, also when it is exactly as long.
func TestBodyAtLimit(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	r := newRig(t, []string{m.URL}, limits(func(l *Limits) { l.BodyBytes = 10 }))
	for _, content := range []io.Reader{strings.NewReader("0123456789"), io.MultiReader(strings.NewReader("0123456789"))} {
		if got := body(t, do(t, r.client(), "POST", r.url("/"), content)); got != "0123456789" {
			t.Errorf("got %q", got)
		}
	}
}

// A client that does not read its response is cut off.
func TestStalledReader(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, 64<<20) })
	r := newRig(t, []string{m.URL}, limits(func(l *Limits) { l.BodyTimeout = short }))
	conn := r.dial()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "the request ends", func() bool { return strings.Contains(r.log.String(), `reason="slow client"`) })
}

// A member that stops in the middle of a response is given up.
func TestStalledMember(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	r := newRig(t, []string{m.URL}, limits(func(l *Limits) { l.BodyTimeout = short }))
	conn := r.dial()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := untilClosed(t, conn); !strings.HasSuffix(got, "half") {
		t.Errorf("got %q", got)
	}
	r.stop()
	has(t, r.log.String(), "reason=stall", "phase=body")
}

// A slow but steady body is no stall.
func TestSteadyBody(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	r := newRig(t, []string{m.URL}, limits(func(l *Limits) { l.BodyTimeout = 200 * time.Millisecond }))
	pr, pw := io.Pipe()
	go func() {
		for range 10 {
			<-time.After(50 * time.Millisecond)
			_, _ = io.WriteString(pw, "x")
		}
		_ = pw.Close()
	}()
	if got := body(t, do(t, r.client(), "POST", r.url("/"), pr)); got != "xxxxxxxxxx" {
		t.Errorf("got %q", got)
	}
}

func TestConnectionCap(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	r := newRig(t, []string{m.URL}, limits(func(l *Limits) { l.Connections = 2 }))
	ask := func(c net.Conn) error {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
		}
		return err
	}
	one, two, three := r.dial(), r.dial(), r.dial()
	for _, c := range []net.Conn{one, two} {
		if err := ask(c); err != nil {
			t.Fatal(err)
		}
	}
	_ = three.SetReadDeadline(time.Now().Add(short))
	if err := ask(three); err == nil {
		t.Fatal("a third connection was served")
	}
	_ = one.Close()
	_ = three.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := http.ReadResponse(bufio.NewReader(three), nil); err != nil {
		t.Errorf("the third connection was not served after one ended: %v", err)
	}
}

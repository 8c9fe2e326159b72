package edge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
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
	if isTimeout(err) {
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

// HTTP/2 has the same limits: a stalled body is told, a stream that nobody reads is reset.
func TestLimitsOnH2(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.CopyN(w, zeros{}, 64<<20)
	})
	a := newAuthority(t)
	r := newRig(t, []string{m.URL}, secure(t, a, "shop.example"), limits(func(l *Limits) { l.BodyTimeout, l.BodyBytes = short, 10 }))
	c := r.tlsClient(a, "shop.example", true)
	t.Run("stalled body", func(t *testing.T) {
		pr, pw := io.Pipe()
		defer func() { _ = pw.Close() }()
		go func() { _, _ = io.WriteString(pw, "abc") }()
		if res := do(t, c, "POST", "https://"+r.addr+"/", pr); res.StatusCode != http.StatusRequestTimeout {
			t.Errorf("got %d", res.StatusCode)
		} else {
			_ = body(t, res)
		}
	})
	t.Run("body too large", func(t *testing.T) {
		if res := do(t, c, "POST", "https://"+r.addr+"/", io.MultiReader(strings.NewReader("01234567890"))); res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("got %d", res.StatusCode)
		} else {
			_ = body(t, res)
		}
	})
	t.Run("stalled reader", func(t *testing.T) {
		res := do(t, c, "GET", "https://"+r.addr+"/", nil)
		defer func() { _ = res.Body.Close() }()
		eventually(t, "the request ends", func() bool { return strings.Count(r.log.String(), `reason="slow client"`) == 2 })
	})
}

// A connection goes on after a request with a body.
func TestKeepAliveAfterBody(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	r := newRig(t, []string{m.URL})
	conn := r.dial()
	br := bufio.NewReader(conn)
	for range 3 {
		for _, framing := range []string{"Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"} {
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+framing)
			res, err := http.ReadResponse(br, nil)
			if err != nil || res.Close || body(t, res) != "abc" {
				t.Fatalf("got %v, %v", res, err)
			}
		}
	}
}

// A client that sends requests and reads no responses is cut off, also when each response fits into a buffer.
func TestStalledReaderOfSmallResponses(t *testing.T) {
	content := make([]byte, 3000)
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
	r := newRig(t, []string{m.URL}, limits(func(l *Limits) { l.BodyTimeout = short }), edged(func(o *Options) { o.AccessLog = false }))
	conn := r.dial()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}
	request := []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	for { // until the edge stops reading and then closes
		_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write(request); err != nil {
			if isTimeout(err) {
				t.Error("the connection stayed open")
			}
			return
		}
	}
}

func TestRequestBodyFinish(t *testing.T) {
	pr, pw := io.Pipe()
	b := &requestBody{from: pr, dog: &watchdog{}}
	got := make(chan error)
	go func() {
		_, err := b.Read(make([]byte, 1))
		got <- err
	}()
	for !b.reading.Load() {
		runtime.Gosched()
	}
	b.finish(func() { go func() { _ = pw.CloseWithError(io.ErrClosedPipe) }() })
	if err := <-got; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the read under way got %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, errBodyOver) {
		t.Errorf("a later read got %v", err)
	}
}

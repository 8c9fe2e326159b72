package edge

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/internal/gateway/farm"
)

// None of the unclear messages reaches a member, over plain HTTP or TLS; what was clear before them does.
func TestSmuggling(t *testing.T) {
	var asked atomic.Int64
	m := memberServer(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			asked.Add(1)
		}
	})
	once := farmed(func(o *farm.Options) { o.Retry.Attempts, o.Retry.Budget = 1, 1 })
	a := newAuthority(t)
	plain := newRig(t, []string{m.URL}, once)
	over := newRig(t, []string{m.URL}, once, secure(t, a, "shop.example"))
	t.Run("plain", func(t *testing.T) { testSmuggling(t, &asked, plain.dial) })
	t.Run("tls", func(t *testing.T) {
		testSmuggling(t, &asked, func() net.Conn {
			return tls.Client(over.dial(), &tls.Config{RootCAs: a.pool, ServerName: "shop.example"})
		})
	})
}

func testSmuggling(t *testing.T, asked *atomic.Int64, dial func() net.Conn) {
	for _, c := range unclear {
		t.Run(c.name, func(t *testing.T) {
			asked.Store(0)
			conn := dial()
			_, _ = io.WriteString(conn, c.bytes)
			answers := statuses(conn)
			want := int64(0)
			if strings.HasPrefix(c.name, "second") {
				want = 1
			}
			if asked.Load() != want {
				t.Errorf("a member was asked %d times; answers %v", asked.Load(), answers)
			}
			for _, a := range answers[min(int(want), len(answers)):] {
				if a != 400 {
					t.Errorf("answers %v", answers)
				}
			}
		})
	}
}

// statuses reads all responses until the connection ends.
func statuses(c io.Reader) []int {
	var list []int
	for br := bufio.NewReader(c); ; {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return list
		}
		_, _ = io.Copy(io.Discard, res.Body)
		list = append(list, res.StatusCode)
	}
}

// A body that turns unclear under way ends the request at the member as broken, not as complete.
func TestUnclearBodyIsBrokenOff(t *testing.T) {
	result := make(chan error, 1)
	m := memberServer(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		result <- err
	})
	r := newRig(t, []string{m.URL})
	conn := r.dial()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"10000\r\n"+strings.Repeat("a", 0x10000)+"\r\n")
	_, _ = io.WriteString(conn, "zz\r\n")
	if got := statuses(conn); len(got) != 1 || got[0] != 400 {
		t.Errorf("answers %v", got)
	}
	if err := <-result; err == nil {
		t.Error("the member saw a complete body")
	}
}

// An upgrade to HTTP/2 without TLS is not passed on, and the connection goes on with HTTP/1.1.
func TestNoSmugglingByH2C(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" || r.Header.Get("Http2-Settings") != "" {
			t.Error("the upgrade was passed on")
		}
	})
	r := newRig(t, []string{m.URL})
	conn := r.dial()
	one := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
	_, _ = io.WriteString(conn, one+one+"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if got := statuses(conn); len(got) != 3 || got[0]+got[1]+got[2] != 600 {
		t.Errorf("answers %v", got)
	}
}

// After an upgrade that the member denied, the guard still reads every head.
func TestGuardAfterDeniedUpgrade(t *testing.T) {
	var asked atomic.Int64
	m := memberServer(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	r := newRig(t, []string{m.URL})
	conn := r.dial()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"+
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n")
	if got := statuses(conn); len(got) != 2 || got[0] != 200 || got[1] != 400 {
		t.Errorf("answers %v", got)
	}
	if asked.Load() != 1 {
		t.Errorf("the member was asked %d times", asked.Load())
	}
}

package edge

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gateway/farm"
)

// echoUpgrade is a member that upgrades to anything and echoes bytes until the client's end, then says bye.
func echoUpgrade(t testing.TB) string {
	return memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Connection") != "Upgrade" {
			http.Error(w, "no upgrade", http.StatusUpgradeRequired)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+
			"\r\nX-Rule: kept\r\n\r\nhello ")
		_, _ = io.Copy(c, rw.Reader)
		_, _ = io.WriteString(c, " bye")
	}).URL
}

// upgrade makes a tunnel through c and returns what comes from it.
func upgrade(t *testing.T, c net.Conn, protocol, early string) *bufio.Reader {
	t.Helper()
	_, _ = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n"+early)
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != protocol || res.Header.Get("X-Rule") != "kept" {
		t.Fatalf("got %d %v", res.StatusCode, res.Header)
	}
	return br
}

func TestTunnelWithHalfClose(t *testing.T) {
	a := newAuthority(t)
	back := echoUpgrade(t)
	for _, c := range []struct {
		name string
		dial func(*testing.T) (net.Conn, *rig)
	}{
		{"plain", func(t *testing.T) (net.Conn, *rig) {
			r := newRig(t, []string{back})
			return r.dial(), r
		}},
		{"tls", func(t *testing.T) (net.Conn, *rig) {
			r := newRig(t, []string{back}, secure(t, a, "shop.example"))
			return tls.Client(r.dial(), &tls.Config{RootCAs: a.pool, ServerName: "shop.example"}), r
		}},
	} {
		for _, early := range []string{"", "early\r\nbytes\n"} {
			t.Run(c.name+" "+early, func(t *testing.T) {
				conn, r := c.dial(t)
				br := upgrade(t, conn, "websocket", early)
				// Bytes that are no HTTP, more than any buffer holds, both ways at once.
				data := bytes.Repeat([]byte("\x00\x81 GET\n"), 40000)
				go func() {
					_, _ = conn.Write(data)
					_ = conn.(writeCloser).CloseWrite()
				}()
				got, err := io.ReadAll(br)
				if want := "hello " + early + string(data) + " bye"; err != nil || string(got) != want {
					t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(want))
				}
				r.stop()
				has(t, r.log.String(), "status=101", "upgrade=websocket", "member=a")
			})
		}
	}
}

func TestTunnelSilence(t *testing.T) {
	r := newRig(t, []string{echoUpgrade(t)}, limits(func(l *Limits) { l.TunnelTimeout = 50 * time.Millisecond }))
	br := upgrade(t, r.dial(), "websocket", "")
	got, _ := io.ReadAll(br)
	if string(got) != "hello " {
		t.Errorf("got %q", got)
	}
	r.stop()
	has(t, r.log.String(), `reason="silent tunnel"`)
}

// When the member's drain ends or it is removed, its tunnels end, and only its; also when a reload put another farm in the
// place of the one that the tunnel began with, and when a reload took the member away.
func TestTunnelEndsWithMember(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*testing.T, *rig) error
	}{
		{"removed", func(_ *testing.T, r *rig) error { return r.farm.Remove("a") }},
		{"drained", func(_ *testing.T, r *rig) error { return r.farm.Drain("a", short) }},
		{"removed after a reload", func(t *testing.T, r *rig) error {
			next := newFarm(t, farm.Options{Members: r.members})
			if err := r.replaceFarm(next); err != nil {
				return err
			}
			return next.Remove("a")
		}},
		{"taken away by a reload", func(t *testing.T, r *rig) error {
			return r.replaceFarm(newFarm(t, farm.Options{Members: r.members[1:]}))
		}},
	} {
		t.Run(c.name, func(t *testing.T) { testTunnelEnds(t, c.end) })
	}
}

func testTunnelEnds(t *testing.T, end func(*testing.T, *rig) error) {
	r := newRig(t, []string{echoUpgrade(t), echoUpgrade(t)}, edged(func(o *Options) { o.DrainTimeout = 3 * short }))
	conns := []net.Conn{r.dial(), r.dial()}
	readers := []*bufio.Reader{upgrade(t, conns[0], "x", ""), upgrade(t, conns[1], "x", "")}
	for _, br := range readers {
		_, _ = br.Discard(len("hello "))
	}
	if err := end(t, r); err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 2)
	for i, br := range readers {
		go func() {
			_, _ = io.Copy(io.Discard, br)
			ended <- i
		}()
	}
	first := <-ended
	_, _ = io.WriteString(conns[1-first], "still here")
	select {
	case <-ended:
		t.Error("the other member's tunnel ended too")
	case <-time.After(20 * time.Millisecond):
	}
	_ = conns[1-first].Close()
	<-ended
	r.stop()
	has(t, r.log.String(), `reason="member ended"`)
}

// A tunnel does not keep Run from returning.
func TestTunnelEndsWithDrain(t *testing.T) {
	r := newRig(t, []string{echoUpgrade(t)}, edged(func(o *Options) { o.DrainTimeout = 50 * time.Millisecond }))
	br := upgrade(t, r.dial(), "x", "")
	r.stop()
	if _, err := io.ReadAll(br); err != nil && !isReset(err) {
		t.Error(err)
	}
	has(t, r.log.String(), "reason=stopping")
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// A member with https gets HTTP/1.1 for an upgrade although it speaks HTTP/2.
func TestTunnelToTLSMember(t *testing.T) {
	m := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("%s: %v", r.Proto, err)
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\nX-Rule: kept\r\n\r\nhello")
		_ = c.Close()
	}))
	m.EnableHTTP2 = true
	m.StartTLS()
	t.Cleanup(func() { m.CloseClientConnections(); m.Close() })
	r := newRig(t, []string{m.URL}, edged(func(o *Options) {
		o.Farms["shop"].TLS = m.Client().Transport.(*http.Transport).TLSClientConfig
	}))
	if got, err := io.ReadAll(upgrade(t, r.dial(), "x", "")); string(got) != "hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// A request under way at a member that is removed goes to another one when it may be repeated, else it is told.
func TestRequestAtRemovedMember(t *testing.T) {
	asked := make(chan struct{}, 1)
	slow := memberServer(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}).URL
	other := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "other") }).URL
	for _, c := range []struct {
		method string
		status int
	}{{"GET", 200}, {"POST", 503}} {
		t.Run(c.method, func(t *testing.T) {
			r := newRig(t, []string{slow, other})
			client := r.client()
			answer := make(chan *http.Response)
			go func() { // one of the two meets the slow member
				for range 2 {
					answer <- do(t, client, c.method, r.url("/"), strings.NewReader(""))
				}
			}()
			got := map[int]int{}
			for range 2 {
				select {
				case <-asked:
					if err := r.farm.Remove("a"); err != nil {
						t.Fatal(err)
					}
					res := <-answer
					got[res.StatusCode]++
					_ = body(t, res)
				case res := <-answer:
					got[res.StatusCode]++
					_ = body(t, res)
				}
			}
			if got[c.status] == 0 || got[200]+got[c.status] < 2 {
				t.Errorf("statuses %v", got)
			}
		})
	}
}

// A member may switch only to what was asked for, and only if it was.
func TestBadSwitch(t *testing.T) {
	for _, granted := range []string{"Upgrade: other\r\n", ""} {
		t.Run(granted, func(t *testing.T) { testBadSwitch(t, granted) })
	}
}

func testBadSwitch(t *testing.T, granted string) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+granted+"\r\n")
			_ = c.Close()
		}
	})
	r := newRig(t, []string{m.URL})
	for _, head := range []string{"Connection: Upgrade\r\nUpgrade: websocket\r\n", "X-A: b\r\n"} {
		conn := r.dial()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n"+head+"\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusBadGateway {
			t.Errorf("%q: got %v, %v", strings.TrimSpace(head), res, err)
		}
	}
}

package httpcheck

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/reach"
	"gatehouse/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is an in-memory network: each connection to any address is served by serve, which gets the request's head.
type network struct {
	addrs map[string][]netip.Addr
	serve func(conn net.Conn, address string)
	done  chan struct{}
	conns int
}

func (n *network) dialer() *reach.Dialer {
	return &reach.Dialer{
		LookupIP: func(_ context.Context, _, host string) ([]netip.Addr, error) {
			if addrs, ok := n.addrs[host]; ok {
				return slices.Clone(addrs), nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, Server: "192.0.2.53:53", IsNotFound: true}
		},
		DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			client, server := net.Pipe()
			n.conns++
			n.done = make(chan struct{})
			go func(done chan struct{}) {
				defer close(done)
				defer func() { _ = server.Close() }()
				n.serve(server, address)
			}(n.done)
			return client, nil
		},
	}
}

// overTCP serves each connection over loopback.
func (n *network) overTCP(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		n.done = make(chan struct{})
		go func(done chan struct{}) {
			defer close(done)
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			n.serve(conn, address)
		}(n.done)
		var d net.Dialer
		return d.DialContext(ctx, "tcp", listener.Addr().String())
	}
}

func newNetwork(serve func(conn net.Conn, address string)) *network {
	return &network{
		addrs: map[string][]netip.Addr{"shop.example": {netip.MustParseAddr("192.0.2.1")}, "other.example": {netip.MustParseAddr("192.0.2.2")}},
		serve: serve,
	}
}

// head reads a request up to the empty line.
func head(conn net.Conn) string {
	var b strings.Builder
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

// says answers every request with the given bytes.
func says(text string) func(net.Conn, string) {
	return func(conn net.Conn, _ string) {
		head(conn)
		_, _ = io.WriteString(conn, text)
	}
}

// repeats answers with a beginning and then with one piece for ever, pausing in between.
func repeats(start, piece string, pause time.Duration) func(net.Conn, string) {
	return func(conn net.Conn, _ string) {
		head(conn)
		_, err := io.WriteString(conn, start)
		for err == nil {
			if pause > 0 {
				time.Sleep(pause) // fake time: every test here runs in a bubble
			}
			_, err = io.WriteString(conn, piece)
		}
	}
}

// silent takes everything and says nothing until the client goes.
func silent(conn net.Conn, _ string) { _, _ = io.Copy(io.Discard, conn) }

func run(t *testing.T, n *network, opt Options) state.Result {
	t.Helper()
	opt.Dialer = n.dialer()
	if opt.URL == "" {
		opt.URL = "http://shop.example/health"
	}
	c, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got := c.Check(ctx)
	if n.done != nil {
		<-n.done
	}
	return got
}

func TestCheck(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, tt := range []struct {
		name   string
		serve  func(net.Conn, string)
		opt    Options
		state  state.State
		phase  state.Phase
		reason string
		has    string // among the evidence
	}{
		{"good", says(ok), Options{}, state.Good, "", "HTTP 200 OK", "HTTP/1.1 200 OK"},
		{"good without a length", says("HTTP/1.0 204 No Content\r\n\r\n"), Options{}, state.Good, "", "HTTP 204 No Content", "HTTP/1.0 204"},
		{"good in chunks", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), Options{}, state.Good, "", "HTTP 200 OK", ""},
		{"good after early hints", says("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok), Options{}, state.Good, "", "HTTP 200 OK", ""},
		{"no words for the status", says("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), Options{}, state.Good, "", "HTTP 200 OK", ""},
		{"control characters in the status", says("HTTP/1.1 200 \x1b[31mred\r\nContent-Length: 0\r\n\r\n"), Options{}, state.Good, "", "HTTP 200 ?[31mred", ""},
		{"redirect", says("HTTP/1.1 302 Found\r\nLocation: https://a:b@login.example/x?token=secret\r\nContent-Length: 0\r\n\r\n"), Options{},
			state.Good, "", "HTTP 302 Found to https://login.example/x?…, not followed", "Location: https://login.example/x?…"},
		{"redirect to nowhere", says("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n"), Options{FollowRedirects: true}, state.Good, "", "HTTP 301 Moved", ""},
		{"not modified", says("HTTP/1.1 304 Not Modified\r\n\r\n"), Options{FollowRedirects: true}, state.Good, "", "HTTP 304 Not Modified", ""},
		{"redirects without end", says("HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"), Options{FollowRedirects: true},
			state.Error, state.FirstByte, "more than 5 redirects", "Location: /again"},
		{"redirect to another scheme", says("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"), Options{FollowRedirects: true},
			state.Error, state.FirstByte, `HTTP 302 Found to a place that cannot be followed: check URL: the scheme is "file", not http or https`, ""},
		{"401 with an empty body", says("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"), Options{},
			state.AuthenticationRequired, "", "authentication required (HTTP 401, Negotiate and NTLM offered)", "WWW-Authenticate: NTLM"},
		{"401 closed without a body", says("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n\r\n"), Options{},
			state.AuthenticationRequired, "", "authentication required (HTTP 401, NTLM offered)", ""},
		{"401 that offers nothing", says("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), Options{},
			state.AuthenticationRequired, "", "authentication required (HTTP 401, no scheme offered)", ""},
		{"407", says("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a, b\"\r\nContent-Length: 0\r\n\r\n"), Options{},
			state.AuthenticationRequired, "", "authentication required (HTTP 407, Basic offered)", `Proxy-Authenticate: Basic realm="a, b"`},
		{"404", says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), Options{},
			state.Error, state.FirstByte, "HTTP 404 Not Found: the server is there, but does not serve this address", ""},
		{"503", says("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"), Options{},
			state.Error, state.FirstByte, "HTTP 503 Service Unavailable: the server is there, and says that it cannot serve", "Retry-After: 120"},
		{"plain to an https port", says("HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port"), Options{},
			state.Error, state.FirstByte, "HTTP 400 Bad Request: that port wants https", ""},
		{"switching protocols", says("HTTP/1.1 101 Switching Protocols\r\n\r\n"), Options{},
			state.Error, state.FirstByte, "HTTP 101 Switching Protocols: the server is there, but does not serve this address", ""},
		{"informational without end", repeats("", "HTTP/1.1 100 Continue\r\n\r\n", 0), Options{}, state.Error, state.FirstByte, "the head of the answer is not valid HTTP", "more than 8 informational responses"},
		{"not HTTP", says("SSH-2.0-OpenSSH_9.2\r\n"), Options{}, state.Error, state.FirstByte, "what answers there is not HTTP", `first bytes "SSH-2.0-OpenSSH_9.2\r\n"`},
		{"three bytes that are not HTTP", says("\x00\x01\x02"), Options{}, state.Error, state.FirstByte, "what answers there is not HTTP", `first bytes "\x00\x01\x02"`},
		{"TLS in answer to plain", says("\x15\x03\x01\x00\x02\x02\x0a"), Options{}, state.Error, state.FirstByte, "what answers there is TLS, not plain HTTP: the URL should begin with https", ""},
		{"a broken head", says("HTTP/1.1 what\r\n\r\n"), Options{}, state.Error, state.FirstByte, "the head of the answer is not valid HTTP", ""},
		{"closed before an answer", says(""), Options{}, state.Error, state.FirstByte, "the server closed the connection before the first byte of an answer", ""},
		{"closed in the first word", says("HTT"), Options{}, state.Error, state.FirstByte, "the server closed the connection before the first byte of an answer", ""},
		{"closed in the head", says("HTTP/1.1 200 OK\r\nContent-"), Options{}, state.Error, state.FirstByte, "the server closed the connection in the head of the answer", ""},
		{"closed in the body", says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789"), Options{},
			state.Error, state.Body, "the server closed the connection after 10 bytes of the body", "Content-Length: 100"},
		{"a bad chunk", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Options{},
			state.Error, state.Body, "the answer could not be read after 0 bytes of the body", "HTTP/1.1 200 OK"},
		{"hangs before the request is read", func(net.Conn, string) { time.Sleep(time.Minute) }, Options{}, state.Timeout, state.Request, "the time ran out while the request was sent", ""},
		{"hangs before the answer", silent, Options{}, state.Timeout, state.FirstByte, "the time ran out before the first byte of an answer", ""},
		{"drips its head", repeats("HTTP/1.1 200 OK\r\n", "X-A: b\r\n", time.Second), Options{}, state.Timeout, state.FirstByte, "the time ran out in the head of the answer", ""},
		{"a head without end", repeats("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("b", 1000)+"\r\n", 0), Options{}, state.Error, state.FirstByte, "the head of the answer is longer than 65536 bytes", ""},
		{"a line without end", repeats("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("b", 1000), 0), Options{}, state.Error, state.FirstByte, "the head of the answer is longer than 65536 bytes", ""},
		{"drips its body", repeats("HTTP/1.1 200 OK\r\n\r\n", "b", 1500*time.Millisecond), Options{}, state.Timeout, state.Body, "the time ran out after 6 bytes of the body", "HTTP/1.1 200 OK"},
		{"a body without end", repeats("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("b", 1000), 0), Options{}, state.Good, "", "HTTP 200 OK", "the body is longer than 65536 bytes; the rest was not read"},
		{"chunks without end", repeats("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nb\r\n", 0), Options{BodyBytes: 100}, state.Good, "", "HTTP 200 OK", "the body is longer than 100 bytes; the rest was not read"},
		{"a body of the limit", says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), Options{BodyBytes: 3}, state.Good, "", "HTTP 200 OK", "HTTP/1.1 200 OK"},
		{"no such host", silent, Options{URL: "http://nowhere.example/"}, state.UnresolvedName, state.Resolve, "no such host: the name server knows no address for nowhere.example", "name server 192.0.2.53:53"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				got := run(t, newNetwork(tt.serve), tt.opt)
				if got.State != tt.state || got.Phase != tt.phase || got.Reason != tt.reason {
					t.Errorf("got %q in phase %q: %s\nwant %q in phase %q: %s", got.State, got.Phase, got.Reason, tt.state, tt.phase, tt.reason)
				}
				if !strings.Contains(strings.Join(got.Evidence, "\n"), tt.has) {
					t.Errorf("evidence %q has no %q", got.Evidence, tt.has)
				}
				if !got.At.Equal(start) {
					t.Errorf("began at %v, want %v", got.At, start)
				}
				if tt.state == state.Timeout && got.Timings.Total != 10*time.Second {
					t.Errorf("total %v, want the 10 s of the context", got.Timings.Total)
				}
				if tt.state.Answered() && got.Address != "pipe" {
					t.Errorf("address %q", got.Address)
				}
			})
		})
	}
}

func TestRequest(t *testing.T) {
	for _, tt := range []struct {
		name, url, host, want string
	}{
		{"plain", "http://shop.example/a?b=c#d", "", "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\n"},
		{"no path", "http://shop.example", "", "GET / HTTP/1.1\r\nHost: shop.example\r\n"},
		{"port", "http://shop.example:8080/", "", "GET / HTTP/1.1\r\nHost: shop.example:8080\r\n"},
		{"IPv6", "http://[2001:db8::1]:8080/", "", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n"},
		{"IPv6 without a port", "http://[2001:db8::1]/", "", "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n"},
		{"another host", "http://192.0.2.1/", "shop.example:81", "GET / HTTP/1.1\r\nHost: shop.example:81\r\n"},
		{"not English", "http://bücher.example/ü", "", "GET /%C3%BC HTTP/1.1\r\nHost: xn--bcher-kva.example\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := New(Options{URL: tt.url, Host: tt.host})
			if err != nil {
				t.Fatal(err)
			}
			got := string(c.first.request)
			if !strings.HasPrefix(got, tt.want) || !strings.HasSuffix(got, "\r\nConnection: close\r\n\r\n") {
				t.Errorf("request:\n%s", got)
			}
			if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader(got))); err != nil {
				t.Errorf("net/http does not take the request: %v", err)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		opt  Options
		want string
	}{
		{"no scheme", Options{URL: "shop.example"}, `check URL: the scheme is "", not http or https`},
		{"ftp", Options{URL: "ftp://shop.example"}, `check URL: the scheme is "ftp", not http or https`},
		{"no host", Options{URL: "http:///x"}, "check URL: there is no host in it"},
		{"a password", Options{URL: "http://u:p@shop.example"}, "check URL: a user name or password does not belong in it"},
		{"port 0", Options{URL: "http://shop.example:0"}, `check URL: "0" is not a port`},
		{"a large port", Options{URL: "http://shop.example:65536"}, `check URL: "65536" is not a port`},
		{"not a URL", Options{URL: "http://a b"}, "read URL: "},
		{"a header in the host", Options{URL: "http://shop.example", Host: "a\r\nX: y"}, `check Host: "a\r\nX: y" is not a host name`},
		{"a path in the host", Options{URL: "http://shop.example", Host: "a/b"}, `check Host: "a/b" is not a host name`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.opt)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestRedirectIsFollowedForOneAttemptOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		n := newNetwork(func(conn net.Conn, address string) {
			h := head(conn)
			_, rest, _ := strings.Cut(h, "Host: ")
			host, _, _ := strings.Cut(rest, "\r\n")
			asked = append(asked, address+" "+host)
			if address == "192.0.2.1:80" {
				_, _ = io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: http://other.example:81/\r\nContent-Length: 0\r\n\r\n")
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		})
		c, err := New(Options{URL: "http://shop.example/", Host: "www.shop.example", FollowRedirects: true, Dialer: n.dialer()})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := c.Check(t.Context()); got.State != state.Good || got.Reason != "HTTP 200 OK" {
				t.Errorf("got %q: %s", got.State, got.Reason)
			}
			<-n.done
		}
		want := []string{"192.0.2.1:80 www.shop.example", "192.0.2.2:81 other.example:81", "192.0.2.1:80 www.shop.example", "192.0.2.2:81 other.example:81"}
		if !slices.Equal(asked, want) {
			t.Errorf("asked %q, want %q", asked, want)
		}
	})
}

func TestCancelledCheckCouldNotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(silent)
		c, err := New(Options{URL: "http://shop.example/", Dialer: n.dialer()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		got := c.Check(ctx)
		if got.State != state.Unknown || got.Timings.Total != time.Second {
			t.Errorf("got %q after %v: %s", got.State, got.Timings.Total, got.Reason)
		}
		<-n.done
	})
}

func TestCheckWithoutDeadlineEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(silent)
		c, err := New(Options{URL: "http://shop.example/", Dialer: n.dialer()})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Check(t.Context()); got.State != state.Timeout || got.Timings.Total != maxTime {
			t.Errorf("got %q after %v", got.State, got.Timings.Total)
		}
		<-n.done
	})
}

func TestPhasesAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(func(conn net.Conn, _ string) {
			time.Sleep(10 * time.Millisecond)
			head(conn)
			time.Sleep(20 * time.Millisecond)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
			time.Sleep(30 * time.Millisecond)
			_, _ = io.WriteString(conn, "k")
		})
		d := n.dialer()
		dial := d.DialContext
		d.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			time.Sleep(7 * time.Millisecond)
			return dial(ctx, network, address)
		}
		lookup := d.LookupIP
		d.LookupIP = func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			time.Sleep(5 * time.Millisecond)
			return lookup(ctx, network, host)
		}
		c, err := New(Options{URL: "http://shop.example/", Dialer: d})
		if err != nil {
			t.Fatal(err)
		}
		want := state.Timings{
			Resolve: 5 * time.Millisecond, Connect: 7 * time.Millisecond, Request: 10 * time.Millisecond,
			FirstByte: 20 * time.Millisecond, Body: 30 * time.Millisecond, Total: 72 * time.Millisecond,
		}
		if got := c.Check(t.Context()).Timings; got != want {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
		<-n.done
	})
}

func TestNextAddressIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		n.addrs["shop.example"] = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.1")}
		d := n.dialer()
		dial := d.DialContext
		d.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			switch address {
			case "[2001:db8::1]:80":
				return nil, &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}
			case "192.0.2.9:80":
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return dial(ctx, network, address)
		}
		c, err := New(Options{URL: "http://shop.example/", Dialer: d})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got := c.Check(ctx)
		if got.State != state.Good || len(got.Evidence) != 3 || !strings.HasPrefix(got.Evidence[0], "[2001:db8::1]:80: the network is unreachable") {
			t.Errorf("got %q: %s, %q", got.State, got.Reason, got.Evidence)
		}
		if got.Timings.Connect != 5*time.Second {
			t.Errorf("the silent address took %v, want half of the time", got.Timings.Connect)
		}
		<-n.done
	})
}

func TestTLS(t *testing.T) {
	authority := newAuthority(t)
	good := authority.issue(t, "shop.example", time.Now().Add(-time.Hour), time.Now().Add(100*24*time.Hour))
	trust := &tls.Config{RootCAs: authority.pool}
	serve := func(cfg *tls.Config) func(net.Conn, string) {
		return func(conn net.Conn, address string) {
			secure := tls.Server(conn, cfg)
			if secure.Handshake() != nil {
				return
			}
			says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(secure, address)
		}
	}
	with := func(certs ...tls.Certificate) *tls.Config { return &tls.Config{Certificates: certs} }
	now := time.Now()
	for _, tt := range []struct {
		name   string
		serve  func(net.Conn, string)
		opt    Options
		state  state.State
		phase  state.Phase
		reason string
		has    string
	}{
		{"good", serve(with(good)), Options{}, state.Good, "", "HTTP 200 OK", "TLS 1.3, TLS_"},
		{"names the certificate", serve(with(good)), Options{}, state.Good, "", "HTTP 200 OK", "certificate for shop.example"},
		{"ends soon", serve(with(authority.issue(t, "shop.example", now.Add(-time.Hour), now.Add(73*time.Hour)))), Options{}, state.Good, "", "HTTP 200 OK", "the certificate expires in 3 days"},
		{"expired", serve(with(authority.issue(t, "shop.example", now.Add(-100*24*time.Hour), now.Add(-73*time.Hour)))), Options{}, state.TLSError, state.TLS, "the certificate expired on ", "certificate for shop.example"},
		{"not yet valid", serve(with(authority.issue(t, "shop.example", now.Add(24*time.Hour), now.Add(48*time.Hour)))), Options{}, state.TLSError, state.TLS, "the certificate is not valid before ", ""},
		{"another name", serve(with(authority.issue(t, "other.example", now.Add(-time.Hour), now.Add(time.Hour)))), Options{}, state.TLSError, state.TLS, "the certificate is for other.example, not for shop.example", ""},
		{"another name that Host asks for", serve(with(authority.issue(t, "other.example", now.Add(-time.Hour), now.Add(time.Hour)))), Options{Host: "other.example:8443"}, state.Good, "", "HTTP 200 OK", ""},
		{"another name that TLS asks for", serve(with(authority.issue(t, "other.example", now.Add(-time.Hour), now.Add(time.Hour)))),
			Options{Host: "third.example", TLS: &tls.Config{RootCAs: authority.pool, ServerName: "other.example"}}, state.Good, "", "HTTP 200 OK", ""},
		{"unknown authority", serve(with(newAuthority(t).issue(t, "shop.example", now.Add(-time.Hour), now.Add(time.Hour)))), Options{}, state.TLSError, state.TLS, "the certificate is signed by an authority that is not trusted: CN=Test Authority", ""},
		{"unknown authority that is taken", serve(with(newAuthority(t).issue(t, "shop.example", now.Add(-time.Hour), now.Add(time.Hour)))), Options{TLS: &tls.Config{InsecureSkipVerify: true}}, state.Good, "", "HTTP 200 OK", ""},
		{"no common version", serve(&tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}), Options{}, state.TLSError, state.TLS, "the server broke TLS off: protocol version not supported", ""},
		{"wants a certificate", serve(&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert}), Options{}, state.TLSError, "", "the server broke TLS off: certificate required", ""},
		{"plain HTTP", func(conn net.Conn, _ string) {
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, Options{}, state.TLSError, state.TLS, "the server does not speak TLS on that port; it answers in plain HTTP", ""},
		{"closes at once", func(conn net.Conn, _ string) { _, _ = conn.Read(make([]byte, 4096)) }, Options{}, state.TLSError, state.TLS, "the server closed the connection in the middle of the handshake", ""},
		{"hangs", silent, Options{}, state.Timeout, state.TLS, "the time ran out in the tls phase", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.opt.TLS == nil {
				tt.opt.TLS = trust
			}
			tt.opt.URL = "https://shop.example/"
			n := newNetwork(tt.serve)
			tt.opt.Dialer = n.dialer()
			tt.opt.Dialer.DialContext = n.overTCP(t) // both ends of a handshake may write at once, which a pipe does not bear
			c, err := New(tt.opt)
			if err != nil {
				t.Fatal(err)
			}
			// Real time: certificates are judged by it. Only the last row waits for its end.
			limit := 10 * time.Second
			if tt.name == "hangs" {
				limit = 20 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			got := c.Check(ctx)
			<-n.done
			if got.State != tt.state || (tt.phase != "" && got.Phase != tt.phase) || !strings.HasPrefix(got.Reason, tt.reason) {
				t.Errorf("got %q in phase %q: %s\nwant %q in phase %q: %s", got.State, got.Phase, got.Reason, tt.state, tt.phase, tt.reason)
			}
			if !strings.Contains(strings.Join(got.Evidence, "\n"), tt.has) {
				t.Errorf("evidence %q has no %q", got.Evidence, tt.has)
			}
		})
	}
}

func ExampleSchemes() {
	fmt.Println(Schemes([]string{`Negotiate, NTLM`, `Basic realm="a, b", charset="UTF-8"`}))
	// Output: [Negotiate NTLM Basic]
}

package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/gateway/policy"
)

func TestForwardPlain(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		w.Header().Set("X-Seen", r.Method+" "+r.Host+" "+r.RequestURI)
		fmt.Fprint(w, "hello")
	})
	r := newRig(t, []string{m.URL})
	res := do(t, r.client(), "GET", r.url("/a%2Fb/?x=1&y"), nil, "Host", "shop.example")
	if got := body(t, res); got != "hello" || res.StatusCode != http.StatusOK {
		t.Errorf("got %d %q", res.StatusCode, got)
	}
	if got, want := res.Header.Get("X-Seen"), "GET shop.example /a%2Fb/?x=1&y"; got != want {
		t.Errorf("member saw %q, want %q", got, want)
	}
	if _, ok := res.Header["Content-Type"]; ok {
		t.Error("a content type was guessed")
	}
	if len(res.Header.Get("X-Request-Id")) != 32 {
		t.Errorf("request id %q", res.Header.Get("X-Request-Id"))
	}
	r.stop()
	has(t, r.log.String(), "level=INFO", "status=200", "rule=all", "farm=shop", "member=a", "path=/a%2Fb/", "bytes_out=5", "attempts=1")
	if strings.Contains(r.log.String(), "x=1") {
		t.Error("the query was logged")
	}
}

func TestForwardFields(t *testing.T) {
	seen := make(chan http.Header, 1)
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		w.Header().Set("Connection", "X-Private")
		w.Header().Set("X-Private", "1")
		w.Header().Set("X-Public", "1")
		w.Header().Set("Keep-Alive", "timeout=5")
	})
	r := newRig(t, []string{m.URL})
	res := do(t, r.client(), "GET", r.url("/"), nil, "Host", "shop.example",
		"Connection", "X-Secret, keep-alive", "X-Secret", "1", "Proxy-Authorization", "Basic x", "Te", "trailers, gzip",
		"X-Forwarded-For", "6.6.6.6", "X_Forwarded_For", "6.6.6.6", "Forwarded", "for=6.6.6.6", "X-Forwarded-Port", "1", "X-Request-Id", "spoofed",
		"Cookie", "a=b; "+r.farm.CookieName()+"=forged; c=d")
	_ = body(t, res)
	h := <-seen
	want := map[string]string{
		"X-Secret": "", "Proxy-Authorization": "", "Te": "trailers", "X-Forwarded-For": "127.0.0.1", "X_forwarded_for": "",
		"X-Forwarded-Proto": "http", "X-Forwarded-Host": "shop.example", "X-Forwarded-Port": "",
		"Forwarded": "for=127.0.0.1;host=shop.example;proto=http", "Via": "1.1 gatehouse", "Cookie": "a=b; c=d",
		"X-Request-Id": res.Header.Get("X-Request-Id"),
	}
	for k, v := range want {
		if got := strings.Join(h[k], "|"); got != v {
			t.Errorf("%s: got %q, want %q", k, got, v)
		}
	}
	if res.Header.Get("X-Request-Id") == "spoofed" {
		t.Error("a client that is no trusted proxy named its request")
	}
	if res.Header.Get("X-Private") != "" || res.Header.Get("Keep-Alive") != "" || res.Header.Get("X-Public") != "1" {
		t.Errorf("response fields: %v", res.Header)
	}
}

func TestForwardHostOfMember(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	r := newRig(t, []string{m.URL}, edged(func(o *Options) {
		o.Table = table(t, policy.Rule{Name: "all", Farm: "shop"})
	}))
	if got, want := body(t, do(t, r.client(), "GET", r.url("/"), nil, "Host", "shop.example")), strings.TrimPrefix(m.URL, "http://"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestForwardTrustedProxy(t *testing.T) {
	seen := make(chan http.Header, 1)
	m := memberServer(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone() })
	r := newRig(t, []string{m.URL}, trusting)
	res := do(t, r.client(), "GET", r.url("/"), nil, "Host", "shop.example", "X-Forwarded-For", "198.51.100.7",
		"X-Forwarded-Proto", "https", "X-Request-Id", "from-outside")
	_ = body(t, res)
	h := <-seen
	for k, want := range map[string]string{
		"X-Forwarded-For": "198.51.100.7, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Request-Id": "from-outside",
		"Forwarded": "for=198.51.100.7, for=127.0.0.1;host=shop.example;proto=http",
	} {
		if got := h.Get(k); got != want {
			t.Errorf("%s: got %q, want %q", k, got, want)
		}
	}
	r.stop()
	has(t, r.log.String(), "client=198.51.100.7", "id=from-outside")
}

func TestRefusals(t *testing.T) {
	m := memberServer(t, func(http.ResponseWriter, *http.Request) { t.Error("a member was asked") })
	r := newRig(t, []string{m.URL}, edged(func(o *Options) {
		o.Table = table(t, policy.Rule{Name: "one", Hosts: []string{"shop.example"}, Farm: "shop"})
	}))
	for _, c := range []struct{ name, request, status string }{
		{"connect", "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n", "405"},
		{"absolute form", "GET http://shop.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n", "400"},
		{"absolute form, other host", "GET http://shop.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n", "400"},
		{"trace", "TRACE / HTTP/1.1\r\nHost: shop.example\r\n\r\n", "405"},
		{"options star", "OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n", "204"},
		{"options, no hop left", "OPTIONS / HTTP/1.1\r\nHost: shop.example\r\nMax-Forwards: 0\r\n\r\n", "204"},
		{"no rule", "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n", "404"},
		{"unknown expectation", "GET / HTTP/1.1\r\nHost: shop.example\r\nExpect: tea\r\n\r\n", "417"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := r.dial()
			_, _ = io.WriteString(conn, c.request)
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+c.status) {
				t.Errorf("got %q, %v, want %s", line, err, c.status)
			}
		})
	}
}

func TestOptionsCountsDown(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Max-Forwards")) })
	r := newRig(t, []string{m.URL})
	if got := body(t, do(t, r.client(), "OPTIONS", r.url("/"), nil, "Max-Forwards", "5")); got != "4" {
		t.Errorf("got %q, want 4", got)
	}
}

func TestPages(t *testing.T) {
	r := newRig(t, []string{refusing(t)})
	for _, c := range []struct{ accept, kind string }{
		{"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"},
		{"application/json", "application/problem+json"},
		{"*/*", "text/plain; charset=utf-8"},
	} {
		t.Run(c.accept, func(t *testing.T) {
			res := do(t, r.client(), "GET", r.url("/"), nil, "Accept", c.accept)
			page := body(t, res)
			if res.StatusCode != http.StatusBadGateway || res.Header.Get("Content-Type") != c.kind {
				t.Errorf("got %d %s", res.StatusCode, res.Header.Get("Content-Type"))
			}
			has(t, page, "shop", "connect", res.Header.Get("X-Request-Id"))
			if strings.Contains(page, "127.0.0.1") {
				t.Errorf("the page names an internal address:\n%s", page)
			}
		})
	}
	r.stop()
	has(t, r.log.String(), "level=WARN", "reason=connect", "phase=connect", "member=a", "connection refused")
}

func TestNoMember(t *testing.T) {
	r := newRig(t, []string{refusing(t)})
	if err := r.farm.Remove("a"); err != nil {
		t.Fatal(err)
	}
	res := do(t, r.client(), "GET", r.url("/"), nil)
	has(t, body(t, res), "no member")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("got %d", res.StatusCode)
	}
}

// flaky closes connections without an answer, after reading the request.
func flaky(t *testing.T, asked *atomic.Int64) string {
	return memberServer(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = c.Close()
		}
	}).URL
}

func TestRetry(t *testing.T) {
	good := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "good %s", b)
	})
	for _, c := range []struct {
		name, method, content string
		broken                func(*testing.T, *atomic.Int64) string
		status                int
	}{
		{"get after refused", "GET", "", func(t *testing.T, _ *atomic.Int64) string { return refusing(t) }, 200},
		{"post after refused", "POST", "data", func(t *testing.T, _ *atomic.Int64) string { return refusing(t) }, 200},
		{"get after broken answer", "GET", "", flaky, 200},
		{"put without body after broken answer", "PUT", "", flaky, 200},
		{"post after broken answer", "POST", "data", flaky, 502},
		{"post without body after broken answer", "POST", "", flaky, 502},
		{"put with sent body after broken answer", "PUT", "data", flaky, 502},
		{"put with sent body of unknown length", "PUT", "chunked", flaky, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked atomic.Int64
			r := newRig(t, []string{c.broken(t, &asked), good.URL})
			client, statuses := r.client(), map[int]int{}
			for range 2 { // one of them meets the broken member first
				var content io.Reader = strings.NewReader(c.content)
				if c.content == "chunked" {
					content = io.MultiReader(content)
				}
				res := do(t, client, c.method, r.url("/"), content)
				if got := body(t, res); res.StatusCode == http.StatusOK && got != "good "+c.content {
					t.Errorf("got %q", got)
				}
				statuses[res.StatusCode]++
			}
			if want := 2; c.status == 200 && statuses[200] != want || c.status != 200 && (statuses[c.status] != 1 || statuses[200] != 1) {
				t.Errorf("statuses %v, want one %d beside 200", statuses, c.status)
			}
			if c.status != 200 && asked.Load() != 1 {
				t.Errorf("the broken member was asked %d times", asked.Load())
			}
		})
	}
}

func TestRetryEndsWithAttempts(t *testing.T) {
	var asked atomic.Int64
	r := newRig(t, []string{flaky(t, &asked), flaky(t, &asked), flaky(t, &asked)},
		farmed(func(o *farm.Options) { o.Retry.Attempts, o.Retry.Budget = 2, 100 }))
	res := do(t, r.client(), "GET", r.url("/"), nil)
	has(t, body(t, res), "response")
	if res.StatusCode != http.StatusBadGateway || asked.Load() != 2 {
		t.Errorf("got %d after %d attempts", res.StatusCode, asked.Load())
	}
}

// A member that closes idle connections must cost no request.
func TestStaleConnection(t *testing.T) {
	var n atomic.Int64
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { n.Add(1); fmt.Fprint(w, "ok") })
	r := newRig(t, []string{m.URL})
	c := r.client()
	for range 5 {
		if res := do(t, c, "GET", r.url("/"), nil); body(t, res) != "ok" {
			t.Fatalf("got %d", res.StatusCode)
		}
		m.CloseClientConnections()
	}
}

func TestResponseTimeout(t *testing.T) {
	release := make(chan struct{})
	m := memberServer(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	r := newRig(t, []string{m.URL}, edged(func(o *Options) { o.Farms["shop"].ResponseTimeout = 50 * time.Millisecond }))
	res := do(t, r.client(), "GET", r.url("/"), nil)
	has(t, body(t, res), "timeout")
	if res.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("got %d", res.StatusCode)
	}
	r.stop()
	has(t, r.log.String(), `phase="first byte"`, "reason=timeout")
}

// While the member thinks, BodyTimeout does not count, also after a body.
func TestThinkingIsNoStall(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-time.After(200 * time.Millisecond)
		fmt.Fprint(w, "thought")
	})
	r := newRig(t, []string{m.URL}, limits(func(l *Limits) { l.BodyTimeout = 50 * time.Millisecond }))
	if got := body(t, do(t, r.client(), "POST", r.url("/"), strings.NewReader("x"))); got != "thought" {
		t.Errorf("got %q", got)
	}
}

func TestTrailersBothWays(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprint(w, "data")
		w.Header().Set("X-Sum", r.Trailer.Get("X-In"))
		if r.URL.Path == "/late" {
			w.Header().Set(http.TrailerPrefix+"X-Late", "yes")
		}
	})
	a := newAuthority(t)
	plain := newRig(t, []string{m.URL})
	over := newRig(t, []string{m.URL}, secure(t, a, "shop.example"))
	for _, c := range []struct {
		name, url string
		client    *http.Client
		length    int64
	}{
		{"http/1.1", plain.url("/"), plain.client(), -1},
		{"http/1.1 unannounced", plain.url("/late"), plain.client(), -1},
		{"h2", "https://" + over.addr + "/", over.tlsClient(a, "shop.example", true), -1},
		{"h2 with length", "https://" + over.addr + "/", over.tlsClient(a, "shop.example", true), 1},
		{"h2 unannounced", "https://" + over.addr + "/late", over.tlsClient(a, "shop.example", true), -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, _ := http.NewRequest(http.MethodPost, c.url, io.MultiReader(strings.NewReader("x")))
			req.ContentLength = c.length
			req.Trailer = http.Header{"X-In": {"42"}}
			res, err := c.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if body(t, res) != "data" || res.Trailer.Get("X-Sum") != "42" {
				t.Errorf("trailer %v", res.Trailer)
			}
			if strings.HasSuffix(c.url, "late") && res.Trailer.Get("X-Late") != "yes" {
				t.Errorf("trailer %v", res.Trailer)
			}
		})
	}
}

func TestInterimResponses(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		fmt.Fprint(w, "done")
	})
	r := newRig(t, []string{m.URL})
	var hints atomic.Int64
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == 103 && h.Get("Link") == "</style.css>" {
				hints.Add(1)
			}
			return nil
		},
	})
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, r.url("/"), nil)
	res, err := r.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if body(t, res) != "done" || hints.Load() != 1 || res.Header.Get("Link") != "" {
		t.Errorf("hints %d, header %v", hints.Load(), res.Header)
	}
}

// A member may not send interim responses for ever.
func TestTooManyInterimResponses(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 40 {
			w.WriteHeader(http.StatusEarlyHints)
		}
	})
	r := newRig(t, []string{m.URL})
	req, _ := http.NewRequest(http.MethodGet, r.url("/"), nil)
	req = req.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { return nil },
	}))
	res, err := r.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = body(t, res); res.StatusCode != http.StatusBadGateway {
		t.Errorf("got %d", res.StatusCode)
	}
}

// A response that comes before the request's body has ended ends the connection: the rest of the body is no request.
func TestEarlyResponse(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // answers without reading on
		fmt.Fprint(w, "enough")
	})
	r := newRig(t, []string{m.URL})
	conn := r.dial()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, nil)
	if err != nil || body(t, res) != "enough" || !res.Close {
		t.Fatalf("got %v, %v", res, err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if rest, _ := io.ReadAll(br); len(rest) > 0 {
		t.Errorf("the rest of a body was answered: %q", rest)
	}
}

// Expect: 100-continue goes end to end: the client sends nothing before the member wants it.
func TestExpectContinue(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	r := newRig(t, []string{m.URL})
	for _, c := range []struct{ name, path, first string }{
		{"wanted", "/yes", "HTTP/1.1 100 Continue"},
		{"not wanted", "/no", "HTTP/1.1 403 Forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := r.dial()
			_, _ = io.WriteString(conn, "POST "+c.path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
			br := bufio.NewReader(conn)
			line, err := br.ReadString('\n')
			if err != nil || strings.TrimSpace(line) != c.first {
				t.Fatalf("got %q, %v", line, err)
			}
			if c.path == "/no" {
				return
			}
			_, _ = br.ReadString('\n')
			_, _ = io.WriteString(conn, "data")
			res, err := http.ReadResponse(br, nil)
			if err != nil || body(t, res) != "data" {
				t.Errorf("got %v, %v", res, err)
			}
		})
	}
}

// Events reach the client while the response goes on.
func TestServerSentEvents(t *testing.T) {
	next := make(chan string)
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		for s := range next {
			fmt.Fprintf(w, "data: %s\n\n", s)
			_ = rc.Flush()
		}
	})
	// A stream that is silent for longer than BodyTimeout goes on.
	r := newRig(t, []string{m.URL}, limits(func(l *Limits) { l.BodyTimeout = 20 * time.Millisecond }))
	res := do(t, r.client(), "GET", r.url("/"), nil)
	br := bufio.NewReader(res.Body)
	for _, s := range []string{"one", "two"} {
		<-time.After(60 * time.Millisecond)
		next <- s
		line, err := br.ReadString('\n')
		if err != nil || line != "data: "+s+"\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		_, _ = br.ReadString('\n')
	}
	close(next)
	_ = body(t, res)
}

// Request and response bodies move at the same time, over HTTP/1.1 and HTTP/2.
func TestStreamingBothWays(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		_ = rc.Flush()
		b := make([]byte, 64)
		for {
			n, err := r.Body.Read(b)
			if n > 0 {
				_, _ = w.Write(b[:n])
				_ = rc.Flush()
			}
			if err != nil {
				return
			}
		}
	})
	a := newAuthority(t)
	plain := newRig(t, []string{m.URL})
	over := newRig(t, []string{m.URL}, secure(t, a, "shop.example"))
	for _, c := range []struct {
		name, url string
		client    *http.Client
	}{
		{"http/1.1", plain.url("/"), plain.client()},
		{"h2", "https://" + over.addr + "/", over.tlsClient(a, "shop.example", true)},
	} {
		t.Run(c.name, func(t *testing.T) {
			pr, pw := io.Pipe()
			res := do(t, c.client, "POST", c.url, pr)
			b := make([]byte, 4)
			for _, s := range []string{"ping", "pong"} {
				_, _ = io.WriteString(pw, s)
				if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != s {
					t.Fatalf("got %q, %v", b, err)
				}
			}
			_ = pw.Close()
			if body(t, res) != "" {
				t.Error("more came")
			}
		})
	}
}

func TestLargeBodies(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Got", fmt.Sprint(n))
		_, _ = io.CopyN(w, zeros{}, 5<<20)
	})
	r := newRig(t, []string{m.URL})
	res := do(t, r.client(), "POST", r.url("/"), io.LimitReader(zeros{}, 5<<20))
	if got := len(body(t, res)); got != 5<<20 || res.Header.Get("X-Got") != fmt.Sprint(5<<20) {
		t.Errorf("down %d, up %s", got, res.Header.Get("X-Got"))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A response that breaks off must not look complete.
func TestBrokenResponse(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r := newRig(t, []string{m.URL})
	res := do(t, r.client(), "GET", r.url("/"), nil)
	_, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	r.stop()
	has(t, r.log.String(), "level=WARN", "phase=body", "reason=response")
}

// When the client goes away, the member learns of it.
func TestClientGone(t *testing.T) {
	gone := make(chan struct{})
	asked := make(chan struct{})
	m := memberServer(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		close(gone)
	})
	r := newRig(t, []string{m.URL})
	conn := r.dial()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-asked
	_ = conn.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the member was not told")
	}
	r.stop()
	has(t, r.log.String(), "status=499")
}

func TestAffinityCookie(t *testing.T) {
	name := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	r := newRig(t, []string{memberServer(t, name("a")).URL, memberServer(t, name("b")).URL}, farmed(func(o *farm.Options) { o.Affinity = "cookie" }))
	c := r.client()
	res := do(t, c, "GET", r.url("/"), nil)
	first := body(t, res)
	cookies := res.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly {
		t.Fatalf("cookies %v", cookies)
	}
	for range 4 {
		if got := body(t, do(t, c, "GET", r.url("/"), nil, "Cookie", cookies[0].Name+"="+cookies[0].Value)); got != first {
			t.Errorf("session moved from %s to %s", first, got)
		}
	}
}

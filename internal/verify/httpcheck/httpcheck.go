// Package httpcheck is the connectivity check by one HTTP GET, with or without TLS.
//
// An attempt resolves, connects, shakes hands, asks and reads on a connection of its own, in the goroutine that called
// Check: there is no pool and no background reader, so that nothing can be left behind by a server that hangs, resets or
// sends without end. Everything that a server may send is bounded in bytes, and everything it may do in time.
package httpcheck

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"

	"gatehouse/internal/reach"
	"gatehouse/internal/state"
)

// The bounds that stand where Options names none.
const (
	DefaultBodyBytes   = 64 << 10
	DefaultHeaderBytes = 64 << 10
	maxRedirects       = 5
	// maxTime bounds an attempt whose context has no deadline.
	maxTime = time.Minute
)

// Options says what is asked and how much of the answer is read. Only URL is required.
type Options struct {
	// URL is http://… or https://…, without user name or password: they would show wherever the target does.
	URL string
	// Host is sent as the Host header and, with https, asked for (SNI) and verified, in place of the URL's host.
	Host string
	// FollowRedirects follows up to five redirects, for that attempt only: the next attempt begins at URL again.
	FollowRedirects bool
	// BodyBytes bounds how much of the body is read; 0 is DefaultBodyBytes.
	BodyBytes int64
	// HeaderBytes bounds the head of an answer; 0 is DefaultHeaderBytes.
	HeaderBytes int64
	// TLS says whom to trust. Nil trusts the system's authorities. A ServerName in it wins over Host. It is copied.
	TLS *tls.Config
	// Dialer resolves and connects; nil is the system's.
	Dialer *reach.Dialer
}

// Check is one HTTP check. It is immutable, and may be used by many goroutines at once.
type Check struct {
	first       target
	follow      bool
	bodyBytes   int64
	headerBytes int64
	tls         *tls.Config
	dialer      *reach.Dialer
}

// target is one URL made ready: what to connect to and the bytes to send.
type target struct {
	url        *url.URL
	host       string // name or address to resolve
	port       uint16
	secure     bool
	override   string // Options.Host
	serverName string // asked for and verified with TLS
	request    []byte
}

// New makes a check. It does no I/O.
func New(opt Options) (*Check, error) {
	u, err := url.Parse(opt.URL)
	if err != nil {
		return nil, fmt.Errorf("read URL: %w", err)
	}
	first, err := newTarget(u, opt.Host)
	if err != nil {
		return nil, err
	}
	c := &Check{
		first: first, follow: opt.FollowRedirects,
		bodyBytes: opt.BodyBytes, headerBytes: opt.HeaderBytes,
		tls: &tls.Config{}, dialer: opt.Dialer,
	}
	if c.bodyBytes <= 0 {
		c.bodyBytes = DefaultBodyBytes
	}
	if c.headerBytes <= 0 {
		c.headerBytes = DefaultHeaderBytes
	}
	if c.dialer == nil {
		c.dialer = &reach.Dialer{}
	}
	if opt.TLS != nil {
		c.tls = opt.TLS.Clone()
		if c.tls.ServerName != "" {
			c.first.serverName = c.tls.ServerName
		}
	}
	// HTTP/1.1 alone is spoken here: servers that demand Windows authentication cannot do it over HTTP/2.
	c.tls.NextProtos = []string{"http/1.1"}
	return c, nil
}

// newTarget checks a URL and renders its request. host overrides the URL's own; it may be empty.
func newTarget(u *url.URL, host string) (target, error) {
	t := target{url: u, secure: u.Scheme == "https", port: 80, override: host}
	if t.secure {
		t.port = 443
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return t, fmt.Errorf("check URL: the scheme is %q, not http or https", u.Scheme)
	case u.Hostname() == "":
		return t, errors.New("check URL: there is no host in it")
	case u.User != nil:
		return t, errors.New("check URL: a user name or password does not belong in it")
	}
	if p := u.Port(); p != "" {
		port, err := strconv.ParseUint(p, 10, 16)
		if err != nil || port == 0 {
			return t, fmt.Errorf("check URL: %q is not a port", p)
		}
		t.port = uint16(port)
	}
	t.host = ascii(u.Hostname())
	t.serverName = t.host
	header := hostHeader(t.host, u.Port())
	if host != "" {
		if !httpguts.ValidHostHeader(host) || strings.ContainsAny(host, "/ @") {
			return t, fmt.Errorf("check Host: %q is not a host name", host)
		}
		header = host
		t.serverName = host
		if name, _, err := net.SplitHostPort(host); err == nil {
			t.serverName = name
		}
	}
	t.request = []byte("GET " + u.RequestURI() + " HTTP/1.1\r\n" +
		"Host: " + header + "\r\n" +
		"User-Agent: gatehouse-verifier\r\nAccept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n")
	return t, nil
}

// toward is the target of a redirect: another host goes by its own name, while on the same one the names stay that were
// asked for.
func (t target) toward(u *url.URL) (target, error) {
	if u.Hostname() != t.url.Hostname() {
		return newTarget(u, "")
	}
	next, err := newTarget(u, t.override)
	next.serverName = t.serverName
	return next, err
}

// ascii is the name as DNS and Host know it: http://bücher.example/ is a good target.
func ascii(host string) string {
	if name, err := idna.Lookup.ToASCII(host); err == nil {
		return name
	}
	return host
}

func hostHeader(host, port string) string {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		host = "[" + addr.WithZone("").String() + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return host
}

// Check makes one attempt, bounded by ctx and in any case by a minute.
//
// An answer of 2xx is good, and so is 3xx: a server that redirects is alive and serving, and whether its other place is
// well is the question of another verifier (TMG took whole farms down by confusing the two). 401 and 407 are
// authentication required. Every other answer is an error: something is there, but not what was asked for.
func (c *Check) Check(ctx context.Context) state.Result {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	a := attempt{check: c, target: c.first, start: time.Now()}
	for hop := 0; ; hop++ {
		next, done := a.once(ctx)
		if done {
			return a.result
		}
		if hop == maxRedirects {
			a.finish(state.Error, state.FirstByte, fmt.Sprintf("more than %d redirects", maxRedirects))
			return a.result
		}
		a.target = next
	}
}

// attempt is one run of a check, over all the redirects it follows.
type attempt struct {
	check   *Check
	target  target
	start   time.Time
	timings state.Timings
	address string
	notes   []string // evidence so far
	result  state.Result
}

// finish makes the result; phase is empty for an answer.
func (a *attempt) finish(s state.State, phase state.Phase, reason string, evidence ...string) {
	a.timings.Total = time.Since(a.start)
	a.result = state.Result{
		At: a.start, State: s, Phase: phase, Reason: reason,
		Evidence: append(a.notes, evidence...), Address: a.address, Timings: a.timings,
	}
}

func (a *attempt) fail(f *reach.Failure) {
	a.finish(f.State, f.Phase, f.Reason, f.Evidence...)
}

// once asks the present target. It returns done with the result made, or the target that a redirect leads to.
func (a *attempt) once(ctx context.Context) (next target, done bool) {
	conn, notes, failure := a.check.dialer.Connect(ctx, a.target.host, a.target.port, &a.timings)
	a.notes = append(a.notes, notes...)
	if failure != nil {
		a.fail(failure)
		return next, true
	}
	defer func() { _ = conn.Close() }()
	// However the context ends, reads and writes end with it.
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	a.address = conn.RemoteAddr().String()
	// Closing the TCP connection is enough: a TLS farewell would wait for a server that does not read.
	stream := conn
	if a.target.secure {
		secure, failure := a.secure(ctx, conn)
		if failure != nil {
			a.fail(failure)
			return next, true
		}
		stream = secure
	}
	response, failure := a.exchange(ctx, stream)
	if failure != nil {
		a.fail(failure)
		return next, true
	}
	return a.judge(response)
}

func (a *attempt) secure(ctx context.Context, conn net.Conn) (net.Conn, *reach.Failure) {
	cfg := a.check.tls.Clone()
	cfg.ServerName = a.target.serverName
	secure, failure := reach.Handshake(ctx, conn, cfg, &a.timings.TLS)
	if failure != nil {
		return nil, failure
	}
	cs := secure.ConnectionState()
	a.notes = append(a.notes, tls.VersionName(cs.Version)+", "+tls.CipherSuiteName(cs.CipherSuite))
	if len(cs.PeerCertificates) > 0 {
		a.notes = append(a.notes, reach.Certificate(cs.PeerCertificates[0], time.Now())...)
	}
	return secure, nil
}

// judge says what a complete answer means, or where a redirect leads.
func (a *attempt) judge(r *answer) (next target, done bool) {
	status := r.status()
	a.notes = append(a.notes, r.proto+" "+status)
	if r.longer {
		a.notes = append(a.notes, fmt.Sprintf("the body is longer than %d bytes; the rest was not read", a.check.bodyBytes))
	}
	switch {
	case r.code >= 200 && r.code < 300:
		a.finish(state.Good, "", "HTTP "+status)
	case r.code >= 300 && r.code < 400:
		return a.redirected(r)
	case r.code == http.StatusUnauthorized:
		a.authentication(r, "WWW-Authenticate")
	case r.code == http.StatusProxyAuthRequired:
		a.authentication(r, "Proxy-Authenticate")
	case r.code >= 500:
		a.finish(state.Error, state.FirstByte, fmt.Sprintf("HTTP %s: the server is there, and says that it cannot serve", status), r.retryAfter()...)
	case r.code == http.StatusBadRequest && !a.target.secure && r.wantsTLS:
		a.finish(state.Error, state.FirstByte, fmt.Sprintf("HTTP %s: that port wants https", status))
	default:
		a.finish(state.Error, state.FirstByte, fmt.Sprintf("HTTP %s: the server is there, but does not serve this address", status), r.retryAfter()...)
	}
	return next, true
}

func (a *attempt) redirected(r *answer) (next target, done bool) {
	location := r.header.Get("Location")
	if location == "" || r.code == http.StatusNotModified {
		a.finish(state.Good, "", "HTTP "+r.status())
		return next, true
	}
	to := reach.Clean(redact(location), 200)
	a.notes = append(a.notes, "Location: "+to)
	if !a.check.follow {
		a.finish(state.Good, "", fmt.Sprintf("HTTP %s to %s, not followed", r.status(), to))
		return next, true
	}
	u, err := a.target.url.Parse(location)
	if err == nil {
		next, err = a.target.toward(u)
	}
	if err != nil {
		a.finish(state.Error, state.FirstByte, fmt.Sprintf("HTTP %s to a place that cannot be followed: %v", r.status(), err))
		return next, true
	}
	return next, false
}

// redact hides what a redirect may carry for the browser alone: user information and the query.
func redact(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return location
	}
	u.User, u.Fragment = nil, ""
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	return u.String()
}

func (a *attempt) authentication(r *answer, header string) {
	fields := r.header.Values(header)
	offered := Schemes(fields)
	for _, f := range fields[:min(len(fields), 8)] {
		a.notes = append(a.notes, header+": "+reach.Clean(f, 160))
	}
	what := "no scheme offered"
	if len(offered) > 0 {
		what = list(offered) + " offered"
	}
	a.finish(state.AuthenticationRequired, "", fmt.Sprintf("authentication required (HTTP %d, %s)", r.code, what))
}

// list joins words as a person does: "Negotiate, NTLM and Basic".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

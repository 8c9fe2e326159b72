package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/state"
)

// route is a farm as requests see it: the choice of a member and the ways to get there.
type route struct {
	*Farm
	name    string
	cookie  string // name of the affinity cookie
	ways    *ways
	metrics *farmMetrics
}

// newRoute takes over the connections of an older route to the same farm where nothing about them changed.
func newRoute(name string, f *Farm, old *route, m *metrics) *route {
	r := &route{Farm: f, name: name, cookie: f.CookieName(), metrics: m.farm(name)}
	connect := orDefault(f.ConnectTimeout, 5*time.Second)
	response := orDefault(f.ResponseTimeout, 60*time.Second)
	if old != nil && old.ways.same(connect, response, f.TLS) {
		r.ways = old.ways
		return r
	}
	r.ways = newWays(connect, response, f.TLS)
	return r
}

// ways are the pooled connections to the members of a farm, one pool a protocol.
type ways struct {
	connect, response time.Duration
	trust             *tls.Config     // as configured
	tls               *tls.Config     // as handshakes clone it
	http1             *http.Transport // http, and https where HTTP/1.1 is needed for an upgrade
	https             *http.Transport // https, HTTP/2 where the member offers it
	h2c               *http.Transport // HTTP/2 without TLS
}

func newWays(connect, response time.Duration, trust *tls.Config) *ways {
	w := &ways{connect: connect, response: response, trust: trust, tls: trust.Clone()}
	if w.tls == nil {
		w.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if w.tls.ClientSessionCache == nil {
		w.tls.ClientSessionCache = tls.NewLRUClientSessionCache(64)
	}
	w.http1 = w.transport("http/1.1")
	w.http1.Protocols.SetHTTP1(true)
	w.https = w.transport("h2", "http/1.1")
	w.https.Protocols.SetHTTP1(true)
	w.https.Protocols.SetHTTP2(true)
	w.h2c = w.transport()
	w.h2c.Protocols.SetUnencryptedHTTP2(true)
	return w
}

func (w *ways) same(connect, response time.Duration, trust *tls.Config) bool {
	return w.connect == connect && w.response == response && w.trust == trust
}

// transport makes a pool without the environment's proxies, compression or limits on idle connections.
func (w *ways) transport(alpn ...string) *http.Transport {
	return &http.Transport{
		DialContext: w.dial,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return w.dialTLS(ctx, network, address, alpn)
		},
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second},
		MaxIdleConnsPerHost:    4096,
		IdleConnTimeout:        90 * time.Second,
		ResponseHeaderTimeout:  w.response,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true,
	}
}

// phaseError is a failure before a request could be written, with the phase it happened in.
type phaseError struct {
	phase state.Phase
	err   error
}

func (e *phaseError) Error() string { return string(e.phase) + ": " + e.err.Error() }
func (e *phaseError) Unwrap() error { return e.err }

// connectPhase tells a name that does not resolve from a server that is not there.
func connectPhase(err error) state.Phase {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return state.Resolve
	}
	return state.Connect
}

func (w *ways) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: w.connect, KeepAlive: 30 * time.Second}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, &phaseError{connectPhase(err), err}
	}
	return c, nil
}

// dialTLS makes the handshake itself, so that its failures are told from those of the connection, and both share one
// deadline.
func (w *ways) dialTLS(ctx context.Context, network, address string, alpn []string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, w.connect)
	defer cancel()
	c, err := w.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	cfg := w.tls.Clone()
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		cfg.ServerName = host
	}
	cfg.NextProtos = alpn
	t := tls.Client(c, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, &phaseError{state.TLS, err}
	}
	return t, nil
}

// to returns the pool and the URL scheme for a member.
func (w *ways) to(member *url.URL, upgrade bool) (*http.Transport, string) {
	switch {
	case member.Scheme == "h2c":
		return w.h2c, "http"
	case member.Scheme == "https" && !upgrade:
		return w.https, "https"
	}
	return w.http1, member.Scheme
}

// retire closes idle connections now, and those under way when they become idle, unless another request takes them.
func (w *ways) retire() {
	w.http1.CloseIdleConnections()
	w.https.CloseIdleConnections()
	w.h2c.CloseIdleConnections()
}

package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// listener takes connections from one socket and hands each to the server of the settings that hold at that moment.
type listener struct {
	edge   *Edge
	name   string
	socket net.Listener
	gate   *gate
	stats  listenerMetrics
	done   chan struct{} // closed by stop
	once   sync.Once
	empty  chan struct{} // closed when it has stopped and its last connection is gone, or is no longer waited for

	mu       sync.Mutex
	settings *settings
	server   *server
	run      *running
}

// settings are a listener's as requests and connections see them. They never change.
type settings struct {
	name    string
	tls     *tls.Config
	limits  Limits
	trusted []netip.Prefix
}

// server is an http.Server with the settings that cannot change under it. Reloads retire it.
type server struct {
	listener *listener
	settings atomic.Pointer[settings] // those of the newest configuration, unless it is retired
	http     *http.Server
	feed     *feed
	retired  atomic.Bool
	conns    atomic.Int64
}

func newListener(e *Edge, cfg Listener) *listener {
	l := &listener{
		edge: e, name: cfg.Name, socket: cfg.Net, gate: newGate(), stats: e.metrics.listener(cfg.Name),
		done: make(chan struct{}), empty: make(chan struct{}),
	}
	l.configure(cfg)
	return l
}

// configure makes cfg hold for requests that begin from now on.
func (l *listener) configure(cfg Listener) {
	s := &settings{name: cfg.Name, limits: cfg.Limits.withDefaults(), trusted: cfg.TrustedProxies}
	if cfg.TLS != nil {
		s.tls = cfg.TLS.Clone()
	}
	l.gate.resize(s.limits.Connections)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settings = s
	if l.server == nil {
		return // begin makes it
	}
	if old := l.server.settings.Load().limits; sameServer(old, s.limits) {
		l.server.settings.Store(s)
		return
	}
	retired := l.server
	l.server = newServer(l, s, l.run)
	l.run.serve(l.server)
	retired.retire(l.run)
}

// sameServer reports whether two limits differ only in what a running http.Server need not know.
func sameServer(a, b Limits) bool {
	return a.HeaderBytes == b.HeaderBytes && a.HeaderTimeout == b.HeaderTimeout && a.IdleTimeout == b.IdleTimeout
}

func (l *listener) begin(r *running) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run = r
	l.server = newServer(l, l.settings, r)
	r.serve(l.server)
}

func newServer(l *listener, s *settings, r *running) *server {
	srv := &server{listener: l, feed: newFeed(l.socket.Addr())}
	srv.settings.Store(s)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	srv.http = &http.Server{
		Handler:                      &handler{edge: l.edge, server: srv},
		ReadHeaderTimeout:            s.limits.HeaderTimeout,
		IdleTimeout:                  s.limits.IdleTimeout,
		MaxHeaderBytes:               int(min(s.limits.HeaderBytes, 1<<30)),
		Protocols:                    protocols,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: 250, WriteByteTimeout: s.limits.BodyTimeout},
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(l.edge.log.Handler(), slog.LevelDebug),
		BaseContext:                  func(net.Listener) context.Context { return r.base },
		ConnContext:                  connContext,
	}
	return srv
}

// retire lets a server's connections end with their next response.
func (s *server) retire(r *running) {
	s.retired.Store(true)
	s.feed.stop()
	if s.conns.Load() == 0 {
		r.gone(s)
	}
}

// stop ends the accept loop. Connections that were accepted are still served, each until its next response. It may be
// called more than once.
func (l *listener) stop() {
	l.once.Do(func() {
		close(l.done)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.server != nil {
			l.server.retired.Store(true)
		}
		_ = l.socket.Close()
	})
}

// settle retires the server of a listener that has stopped, once no connection is left or none is waited for any more.
func (l *listener) settle(r *running) {
	l.gate.drained(r.accepting.Done())
	l.mu.Lock()
	srv := l.server
	l.mu.Unlock()
	srv.retire(r)
	close(l.empty)
}

// accept takes connections until stop. A full listener leaves them in the kernel's queue: a client that waits there costs
// nothing, and one that is served is not cut off for it.
func (l *listener) accept(r *running) error {
	var pause time.Duration
	for {
		if !l.gate.enter(l.done, l.stats.full.Inc) {
			return nil
		}
		c, err := l.socket.Accept()
		if err == nil {
			pause = 0
			l.take(c, r)
			continue
		}
		l.gate.leave()
		select {
		case <-l.done:
			return nil
		default:
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept on listener %q: %w", l.name, err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		l.edge.log.Warn("accept failed", "listener", l.name, "error", err, "pause", pause)
		if !wait(l.done, pause) {
			return nil
		}
	}
}

// wait returns true after d, false as soon as done is closed.
func wait(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}

// take gives a new connection to the server. A TLS handshake is made first, on a goroutine of its own, because its
// outcome says whether the guard is needed.
func (l *listener) take(raw net.Conn, r *running) {
	l.mu.Lock()
	s := l.settings
	l.mu.Unlock()
	c := newConn(raw, l, s.tls != nil)
	if s.tls == nil {
		l.give(newGuard(c, c), c)
		return
	}
	r.work.Go(func() {
		if front := l.handshake(c, s, r); front != nil {
			l.give(front, c)
		}
	})
}

// give hands a connection to the newest server; one that a reload retires at this moment is passed over.
func (l *listener) give(front net.Conn, c *conn) {
	for {
		l.mu.Lock()
		srv := l.server
		l.mu.Unlock()
		c.attach(srv)
		if srv.feed.give(front) {
			return
		}
		c.detach()
		select {
		case <-l.done:
			_ = c.Close()
			return
		default:
		}
	}
}

// handshake returns the connection as the server wants it, nil when the handshake failed.
func (l *listener) handshake(c *conn, s *settings, r *running) net.Conn {
	ctx, cancel := context.WithTimeout(r.accepting, s.limits.HeaderTimeout)
	defer cancel()
	t := tls.Server(c, s.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		l.stats.handshakes.Inc()
		l.edge.log.Debug("TLS handshake failed", "listener", l.name, "client", c.RemoteAddr().String(), "error", err)
		return nil
	}
	state := t.ConnectionState()
	if state.NegotiatedProtocol == "h2" {
		return t
	}
	return &tlsGuard{guard: newGuard(t, c), state: state}
}

// gate bounds how many may be inside.
type gate struct {
	mu     sync.Mutex
	inside int
	limit  int
	wake   chan struct{}
}

func newGate() *gate { return &gate{wake: make(chan struct{}, 1)} }

// enter waits until there is room and reports true, or false once done is closed. full is called when it has to wait.
func (g *gate) enter(done <-chan struct{}, full func()) bool {
	for told := false; ; {
		g.mu.Lock()
		if g.inside < g.limit {
			g.inside++
			g.mu.Unlock()
			return true
		}
		g.mu.Unlock()
		if !told {
			full()
			told = true
		}
		select {
		case <-g.wake:
		case <-done:
			return false
		}
	}
}

// drained waits until nobody is inside, or done is closed. Nobody may enter meanwhile.
func (g *gate) drained(done <-chan struct{}) {
	for {
		g.mu.Lock()
		inside := g.inside
		g.mu.Unlock()
		if inside == 0 {
			return
		}
		select {
		case <-g.wake:
		case <-done:
			return
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	g.inside--
	g.mu.Unlock()
	g.signal()
}

func (g *gate) resize(limit int) {
	g.mu.Lock()
	g.limit = limit
	g.mu.Unlock()
	g.signal()
}

func (g *gate) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

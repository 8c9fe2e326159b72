package edge

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// conn is a client's connection as it was accepted. Its Close frees its place in the listener, once.
type conn struct {
	net.Conn
	listener *listener
	server   atomic.Pointer[server] // the server that has it, nil during a handshake
	client   netip.Addr             // the peer's address; invalid when the socket has none
	secure   bool
	once     sync.Once
	guard    *guard // HTTP/1 only
}

func newConn(raw net.Conn, l *listener, secure bool) *conn {
	c := &conn{Conn: raw, listener: l, secure: secure, client: addrOf(raw.RemoteAddr())}
	l.stats.accepted.Inc()
	l.stats.open.Inc()
	return c
}

// attach makes s the server that has the connection.
func (c *conn) attach(s *server) {
	s.conns.Add(1)
	c.server.Store(s)
}

// detach takes the connection from its server.
func (c *conn) detach() {
	s := c.server.Swap(nil)
	if s != nil && s.conns.Add(-1) == 0 && s.retired.Load() {
		s.listener.run.gone(s)
	}
}

// addrOf returns the IP address of a, with IPv4 in IPv6 unwrapped.
func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// Close closes the connection and lets the listener accept another.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.detach()
		c.listener.stats.open.Dec()
		c.listener.gate.leave()
	})
	return err
}

// CloseWrite ends the sending direction where the socket can.
func (c *conn) CloseWrite() error { return closeWrite(c.Conn) }

type writeCloser interface{ CloseWrite() error }

// closeWrite ends the sending direction of c; a connection that cannot is closed as a whole.
func closeWrite(c net.Conn) error {
	if w, ok := c.(writeCloser); ok {
		return w.CloseWrite()
	}
	return c.Close()
}

// tlsGuard is an HTTP/1 connection over TLS; net/http takes Request.TLS from ConnectionState.
type tlsGuard struct {
	*guard
	state tls.ConnectionState
}

// ConnectionState returns the state of the finished handshake.
func (t *tlsGuard) ConnectionState() tls.ConnectionState { return t.state }

type connKey struct{}

// connContext puts the accepted connection into the context of its requests.
func connContext(ctx context.Context, c net.Conn) context.Context {
	switch c := c.(type) {
	case *guard:
		return context.WithValue(ctx, connKey{}, c.base)
	case *tlsGuard:
		return context.WithValue(ctx, connKey{}, c.base)
	case *tls.Conn:
		if base, ok := c.NetConn().(*conn); ok {
			return context.WithValue(ctx, connKey{}, base)
		}
	}
	return ctx
}

func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// feed is the net.Listener that a server accepts from: connections that were given to it.
type feed struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newFeed(addr net.Addr) *feed {
	return &feed{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// give hands c over and reports true, or false when the feed is stopped.
func (f *feed) give(c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		return false
	}
}

func (f *feed) stop() { f.once.Do(func() { close(f.done) }) }

// Accept returns the next connection.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close stops the feed.
func (f *feed) Close() error {
	f.stop()
	return nil
}

// Addr returns the address of the socket behind the feed.
func (f *feed) Addr() net.Addr { return f.addr }

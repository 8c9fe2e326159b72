package edge

import (
	"net"
	"sync"
)

// guard is an HTTP/1 connection whose bytes are checked before net/http reads them. The rest of a head that breaks the
// framing rules is replaced by a line that no reader takes for a field, so that net/http answers what came before, then
// this head with 400, and closes without asking the handler. A body that breaks them ends with an error.
//
// While an upgrade is being decided the guard lets no byte after the head pass but those that net/http fetches to notice
// that the client went away; granted or denied says how it goes on.
type guard struct {
	net.Conn // the connection as HTTP sees it: base, or TLS over it
	base     *conn

	mu    sync.Mutex // guards what follows against granted and denied
	frame framer
	held  []byte // read from the connection, not yet handed out nor checked
	early []byte // handed out unchecked while an upgrade was being decided
	raw   bool   // upgraded: nothing is checked any more
	err   error  // sticky
}

func newGuard(over net.Conn, base *conn) *guard {
	g := &guard{Conn: over, base: base}
	base.guard = g
	return g
}

// CloseWrite ends the sending direction.
func (g *guard) CloseWrite() error { return closeWrite(g.Conn) }

// Read reads what is next and has been checked. It returns an error, and never the rest of the head, where a head is
// unclear.
func (g *guard) Read(p []byte) (int, error) {
	g.mu.Lock()
	if g.err != nil && len(g.held) == 0 {
		g.mu.Unlock()
		return 0, g.err
	}
	if len(g.held) > 0 && len(p) > 0 {
		n := copy(p, g.held)
		g.held = g.held[n:]
		if len(g.held) == 0 {
			g.held = nil
		}
		n, err := g.check(p[:n])
		g.mu.Unlock()
		return n, err
	}
	g.mu.Unlock()
	n, err := g.Conn.Read(p)
	if n <= 0 {
		return n, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n, bad := g.check(p[:n])
	if bad != nil {
		return n, bad
	}
	return n, err
}

// check returns how many of the bytes may be handed out now.
func (g *guard) check(p []byte) (int, error) {
	if g.raw {
		return len(p), nil
	}
	if g.frame.waiting() {
		g.early = append(g.early, p...)
		return len(p), nil
	}
	n, err := g.frame.feed(p)
	if err != nil {
		return g.spoil(p, n, err)
	}
	if n < len(p) { // stopped after the head of an upgrade
		g.held = append(append([]byte(nil), p[n:]...), g.held...)
	}
	return n, nil
}

// spoil ends the stream after the first n bytes of p.
func (g *guard) spoil(p []byte, n int, err error) (int, error) {
	g.held = nil
	if g.frame.inHead() {
		g.raw, g.held = true, poison
		if n == 0 {
			n = copy(p, g.held)
			g.held = g.held[n:]
		}
	}
	g.err = err
	if n == 0 {
		return 0, err
	}
	return n, nil // what is held, then the error come with the next Read
}

// poison ends a head in a way that makes it invalid wherever it begins: NUL may stand in no part of a head.
var poison = []byte("\x00\r\n\r\n")

// granted makes the connection a tunnel: what comes from now on is not HTTP.
func (g *guard) granted() {
	g.mu.Lock()
	g.raw, g.early = true, nil
	g.mu.Unlock()
}

// denied goes on with the next head after an upgrade that was not made. On a connection that waits for no decision it
// does nothing.
func (g *guard) denied() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.frame.waiting() {
		return
	}
	g.frame.next()
	early := g.early
	g.early = nil
	if n, err := g.frame.feed(early); err != nil {
		_, _ = g.spoil(nil, 0, err)
	} else if n < len(early) {
		_, _ = g.spoil(nil, 0, errTooEarly)
	}
}

// errTooEarly stands for a case that needs a whole head within the single byte that net/http reads ahead.
var errTooEarly = &framingError{"bytes before an upgrade was decided"}

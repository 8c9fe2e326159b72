package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/state"
)

// switchProtocols makes a tunnel of the client's connection and the member's, when the member grants what was asked for.
func (x *exchange) switchProtocols(res *http.Response, p *progress) {
	back, ok := res.Body.(io.ReadWriteCloser)
	if !ok || x.upgrade == "" || !strings.EqualFold(res.Header.Get("Upgrade"), x.upgrade) {
		_ = res.Body.Close()
		x.fail = &failure{
			http.StatusBadGateway, classResponse, state.FirstByte, "The server gave no valid answer.",
			fmt.Errorf("switch protocols: asked for %q, granted %q", x.upgrade, res.Header.Get("Upgrade")),
		}
		x.refuse(x.fail)
		return
	}
	defer func() { _ = back.Close() }()
	h := make(http.Header, len(res.Header)+3)
	copyEndToEnd(h, res.Header)
	delete(h, "Content-Length")
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, res.Header["Upgrade"]
	x.mark(h)
	x.dog.stop()
	front, buffered, err := x.rc.Hijack()
	if err != nil {
		x.fail = &failure{status: http.StatusInternalServerError, class: classInternal, text: "The upgrade is not possible.", err: err}
		x.refuse(x.fail)
		return
	}
	defer func() { _ = front.Close() }()
	x.granted, x.status = true, res.StatusCode
	if x.conn != nil && x.conn.guard != nil {
		x.conn.guard.granted()
	}
	if err := writeSwitch(front, buffered.Writer, h, x.set.limits.BodyTimeout); err != nil {
		x.fail = &failure{class: classClientGone, err: err}
		return
	}
	t := &tunnel{edge: x.edge, front: front, early: buffered.Reader, back: back, limit: x.set.limits.TunnelTimeout}
	if c := p.conn.Load(); c != nil {
		t.backConn = *c
	}
	x.route.metrics.upgrades.Inc()
	x.route.metrics.tunnels.Inc()
	defer x.route.metrics.tunnels.Dec()
	cause := t.run(x.context)
	x.sent = t.down.Load()
	x.tunnelled = t.up.Load()
	if cause != nil {
		x.fail = tunnelFailure(cause)
	}
}

// errSilent is why a tunnel ends in which nothing moves.
var errSilent = errors.New("nothing moved through the tunnel for too long")

func tunnelFailure(cause error) *failure {
	switch {
	case errors.Is(cause, errMemberEnded):
		return &failure{class: classEnded, err: cause}
	case errors.Is(cause, errDrained):
		return &failure{class: classStopping, err: cause}
	}
	return &failure{class: classSilent, err: cause}
}

// writeSwitch sends the head of a 101 response.
func writeSwitch(c net.Conn, w *bufio.Writer, h http.Header, limit time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	_, err := w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err == nil {
		err = h.Write(w)
	}
	if err == nil {
		_, err = w.WriteString("\r\n")
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		return fmt.Errorf("write 101: %w", err)
	}
	return nil
}

// tunnel copies bytes both ways between a client and a member.
type tunnel struct {
	edge     *Edge
	front    net.Conn
	early    *bufio.Reader // bytes of the client that were read already
	back     io.ReadWriteCloser
	backConn net.Conn // back's connection, to end one direction of it; nil when it is not known
	limit    time.Duration
	dog      watchdog
	up, down atomic.Int64
}

// run returns when both directions have ended. It ends them when nothing moves in either for the limit, and when ctx ends,
// and returns why; nil when the two sides ended it.
func (t *tunnel) run(ctx context.Context) error {
	var once sync.Once
	var cause error
	end := func(why error) {
		once.Do(func() {
			cause = why
			_ = t.front.Close()
			_ = t.back.Close()
		})
	}
	stop := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	t.dog.start(t.limit, func() { end(errSilent) })
	var other sync.WaitGroup
	other.Go(func() { t.upward(end) })
	t.downward(end)
	other.Wait()
	t.dog.stop()
	stop()
	once.Do(func() {}) // cause is settled from here on
	return cause
}

// upward copies from the client to the member.
func (t *tunnel) upward(end func(error)) {
	if n := t.early.Buffered(); n > 0 {
		first, _ := t.early.Peek(n)
		if _, err := t.back.Write(first); err != nil {
			end(nil)
			return
		}
		t.up.Add(int64(n))
	}
	if !t.pipe(t.back, t.front, &t.up) {
		end(nil)
		return
	}
	if t.backConn == nil || closeWrite(t.backConn) != nil {
		end(nil)
	}
}

// downward copies from the member to the client.
func (t *tunnel) downward(end func(error)) {
	if !t.pipe(t.front, t.back, &t.down) || closeWrite(t.front) != nil {
		end(nil)
	}
}

// smallBuffer is what a direction holds while it is quiet.
const smallBuffer = 2 << 10

// pipe copies until src ends, and reports true then; a failure is false. It holds a small buffer, and a large one only
// while more comes than fits into that. io.Copy is not used: between two sockets it would hold a kernel pipe, four
// descriptors a tunnel, also while nothing moves.
func (t *tunnel) pipe(dst io.Writer, src io.Reader, count *atomic.Int64) bool {
	small := make([]byte, smallBuffer)
	var large *[]byte
	defer func() {
		if large != nil {
			t.edge.buffers.Put(large)
		}
	}()
	buf := small
	for {
		n, err := src.Read(buf)
		t.dog.touch()
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return false
			}
			count.Add(int64(n))
			t.dog.touch()
		}
		if err != nil {
			return err == io.EOF
		}
		switch {
		case large == nil && n == len(buf):
			large = t.edge.buffers.Get().(*[]byte)
			buf = *large
		case large != nil && n < smallBuffer:
			t.edge.buffers.Put(large)
			large, buf = nil, small
		}
	}
}

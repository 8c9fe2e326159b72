package edge

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/state"
)

// forward sends the request to a member, to another one if that fails and the request may be repeated, and the response
// to the client.
func (x *exchange) forward() {
	if x.body != nil {
		x.watch()
	}
	var tried []string
	for {
		fail := x.pick(tried)
		if fail != nil {
			if x.fail == nil { // else what the last member did says more
				x.fail = fail
			}
			x.refuse(x.fail)
			return
		}
		if x.attempts++; x.attempts > 1 {
			x.reportRetry(tried[len(tried)-1])
		}
		res, fail, p := x.attempt()
		if fail == nil {
			x.fail = nil
			x.answer(res, p)
			return
		}
		x.fail = fail
		x.cancel()
		x.release()
		if x.attempts >= x.route.Attempts() || !repeatable(fail, x.r.Method, x.body) || !x.route.AllowRetry() {
			x.refuse(fail)
			return
		}
		tried = append(tried, x.member)
	}
}

// pick gets a lease for a member that was not tried yet.
func (x *exchange) pick(tried []string) *failure {
	lease, err := x.route.Pick(farm.Request{ClientIP: x.peer.client, Cookie: x.cookie, Secure: x.peer.secure, Tried: tried})
	if err != nil {
		return &failure{
			status: http.StatusServiceUnavailable, class: classNoMember,
			text: "No server can take the request at the moment.", err: err,
		}
	}
	x.lease, x.member, x.choice = lease, lease.Member().Name, lease.Reason()
	return nil
}

// watch starts the watchdog over what the client and the member send.
func (x *exchange) watch() {
	x.dog.start(x.set.limits.BodyTimeout, func() {
		cause := errMemberStalled
		if x.writing.Load() || x.body != nil && x.body.reading.Load() {
			cause = errStalled
		}
		x.cancelCause(cause) // first: net/http cancels the request's context when a read fails
		_ = x.rc.SetReadDeadline(time.Unix(1, 0))
		if x.begun.Load() {
			_ = x.rc.SetWriteDeadline(time.Unix(1, 0))
		}
	})
}

// attempt sends the request to the leased member and returns its response head.
func (x *exchange) attempt() (*http.Response, *failure, *progress) {
	m := x.lease.Member()
	ctx := x.begin()
	p := &progress{}
	trace := &httptrace.ClientTrace{}
	p.hook(trace)
	if x.r.ProtoAtLeast(1, 1) {
		trace.Got1xxResponse = x.passInterim
	}
	pool, scheme := x.route.ways.to(m.URL, x.upgrade != "")
	res, err := pool.RoundTrip(x.outgoing(httptrace.WithClientTrace(ctx, trace), m.URL, scheme))
	x.interim.pause()
	if err == nil && (res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols) {
		_ = res.Body.Close()
		err = errBadResponse
	}
	if err != nil {
		return nil, explain(err, context.Cause(ctx), x.body.failure(), p.written.Load()), p
	}
	return res, nil, p
}

// begin makes the context of an attempt: it ends with the request, with the member, by the watchdog, and by x.cancel.
func (x *exchange) begin() context.Context {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	member := x.edge.watches.of(x.route, x.member)
	stop := context.AfterFunc(member, func() { cancel(context.Cause(member)) })
	x.interim.open(cancel)
	x.context = ctx
	x.cancel = func() {
		stop()
		cancel(nil)
	}
	return ctx
}

// cancelCause ends the attempt under way. Unlike x.cancel it may be called by any goroutine.
func (x *exchange) cancelCause(cause error) { x.interim.cancel(cause) }

// outgoing is the request as the member gets it.
func (x *exchange) outgoing(ctx context.Context, to *url.URL, scheme string) *http.Request {
	in := x.r
	out := in.WithContext(ctx)
	out.URL = &url.URL{
		Scheme: scheme, Host: to.Host,
		Path: in.URL.Path, RawPath: in.URL.RawPath, RawQuery: in.URL.RawQuery, ForceQuery: in.URL.ForceQuery,
	}
	out.Proto, out.ProtoMajor, out.ProtoMinor = "HTTP/1.1", 1, 1
	out.Header, out.TransferEncoding, out.Close, out.RequestURI = x.header, nil, false, ""
	out.Body = nil
	if x.body != nil {
		out.Body = x.body
		if len(in.Trailer) > 0 {
			out.ContentLength = -1 // trailers need chunked framing
		}
	}
	if !x.decision.PreserveHost || out.Host == "" {
		out.Host = to.Host
	}
	return out
}

// interim passes 1xx responses on while an attempt is under way, and holds its cancel function for the watchdog.
type interim struct {
	mu    sync.Mutex
	live  bool
	count int
	end   atomic.Pointer[context.CancelCauseFunc]
}

func (i *interim) open(end context.CancelCauseFunc) {
	i.mu.Lock()
	i.live = true
	i.end.Store(&end)
	i.mu.Unlock()
}

func (i *interim) pause() {
	i.mu.Lock()
	i.live = false
	i.mu.Unlock()
}

func (i *interim) close() {
	i.mu.Lock()
	i.live = false
	i.end.Store(nil)
	i.mu.Unlock()
}

func (i *interim) cancel(cause error) {
	if end := i.end.Load(); end != nil {
		(*end)(cause)
	}
}

// passInterim sends an interim response to the client. 100 is not passed on: net/http sends its own as soon as the body
// is read, which happens when the member has sent one.
func (x *exchange) passInterim(code int, header textproto.MIMEHeader) error {
	x.interim.mu.Lock()
	defer x.interim.mu.Unlock()
	if x.interim.count++; x.interim.count > 16 {
		return errTooMany1xx
	}
	if !x.interim.live || code == http.StatusContinue {
		return nil
	}
	h := x.w.Header()
	copyEndToEnd(h, http.Header(header))
	x.w.WriteHeader(code)
	clear(h)
	return nil
}

// answer sends a member's response to the client.
func (x *exchange) answer(res *http.Response, p *progress) {
	if res.StatusCode == http.StatusSwitchingProtocols {
		x.switchProtocols(res, p)
		return
	}
	x.denyUpgrade()
	h := x.w.Header()
	copyEndToEnd(h, res.Header)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // no guess
	}
	x.mark(h)
	announced := len(res.Trailer)
	for k := range res.Trailer {
		h.Add("Trailer", k)
	}
	x.keepOrClose()
	x.status = res.StatusCode
	if res.Body != http.NoBody {
		x.watchResponse(res)
	}
	x.begun.Store(true)
	x.w.WriteHeader(res.StatusCode)
	err := x.copyBody(res)
	_ = res.Body.Close() // also completes res.Trailer
	if err != nil {
		x.broken(err)
		return
	}
	x.trailers(res, announced)
}

// mark adds to a response what is the gateway's to say.
func (x *exchange) mark(h http.Header) {
	if c := x.lease.SetCookie(); c != nil {
		h.Add("Set-Cookie", c.String())
	}
	if _, ok := h["X-Request-Id"]; !ok {
		h["X-Request-Id"] = []string{x.id}
	}
}

// denyUpgrade goes on with HTTP on a connection whose client asked for an upgrade that the member did not make.
func (x *exchange) denyUpgrade() {
	if x.upgrade != "" && x.conn != nil && x.conn.guard != nil {
		x.conn.guard.denied()
		x.upgrade = ""
	}
}

// watchResponse lets the watchdog see the response, patient with streams that are silent by nature.
func (x *exchange) watchResponse(res *http.Response) {
	if x.body == nil {
		x.watch()
	}
	x.dog.resume()
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err == nil {
		if kind == "text/event-stream" || kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+") {
			x.dog.extend(x.set.limits.TunnelTimeout)
		}
	}
}

// copyBody sends the body on as it comes. What is not followed at once by more is flushed.
func (x *exchange) copyBody(res *http.Response) error {
	if res.Body == http.NoBody {
		return nil
	}
	buf := x.edge.buffers.Get().(*[]byte)
	defer x.edge.buffers.Put(buf)
	left := res.ContentLength
	stream := left < 0
	if stream {
		if err := x.write(nil, true); err != nil {
			return err
		}
	}
	for {
		n, err := res.Body.Read(*buf)
		x.dog.touch()
		left -= int64(n)
		if n > 0 {
			more := err == nil && (stream || left > 0 && n < len(*buf))
			if err := x.write((*buf)[:n], more); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &bodyError{err}
		}
	}
}

// bodyError is a failure to read a response body, as opposed to one to write it to the client.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "read response body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

func (x *exchange) write(p []byte, flush bool) error {
	x.writing.Store(true)
	defer x.writing.Store(false)
	if len(p) > 0 {
		n, err := x.w.Write(p)
		x.sent += int64(n)
		if err != nil {
			return err
		}
	}
	if flush {
		if err := x.rc.Flush(); err != nil {
			return err
		}
	}
	x.dog.touch()
	return nil
}

// trailers sends the fields after a body: the announced ones under their names, others under net/http's prefix.
func (x *exchange) trailers(res *http.Response, announced int) {
	if len(res.Trailer) == 0 {
		return
	}
	prefix := ""
	if len(res.Trailer) != announced {
		prefix = http.TrailerPrefix
	}
	h := x.w.Header()
	for k, v := range res.Trailer {
		h[prefix+k] = v
	}
}

// broken notes why a response ended before its end, and breaks off what the client gets, so that it knows.
func (x *exchange) broken(err error) {
	x.aborted = true
	cause := context.Cause(x.context)
	var read *bodyError
	switch {
	case errors.Is(x.body.failure(), errBodyTooLarge):
		x.fail = &failure{class: classTooLarge, err: errBodyTooLarge}
	case errors.Is(cause, errMemberStalled):
		x.fail = &failure{class: classStall, phase: state.Body, err: cause}
	case errors.Is(cause, errStalled):
		x.fail = &failure{class: classSlowClient, err: cause}
	case errors.Is(cause, errMemberEnded):
		x.fail = &failure{class: classEnded, err: cause}
	case errors.Is(cause, errDrained):
		x.fail = &failure{class: classStopping, err: cause}
	case x.r.Context().Err() != nil || !errors.As(err, &read):
		x.fail = &failure{class: classClientGone, err: err}
	default:
		x.fail = &failure{class: classResponse, phase: state.Body, err: err}
	}
}

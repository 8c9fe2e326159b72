package edge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/gateway/policy"
)

// handler is what net/http calls for the requests of one server.
type handler struct {
	edge   *Edge
	server *server
}

// ServeHTTP takes a request on its way.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := h.edge
	e.requests.enter()
	defer e.requests.leave()
	x := &exchange{
		edge: e, server: h.server, gen: e.current.Load(), set: h.server.settings.Load(), conn: connOf(r.Context()),
		w: w, r: r, rc: http.NewResponseController(w), start: e.now(),
	}
	defer x.finish()
	x.serve()
	if x.aborted {
		panic(http.ErrAbortHandler) // net/http's way of breaking off a response
	}
}

// exchange is one request and its response.
type exchange struct {
	edge   *Edge
	server *server
	gen    *generation
	set    *settings
	conn   *conn // nil in tests that have no connection
	w      http.ResponseWriter
	r      *http.Request
	rc     *http.ResponseController
	start  time.Time

	id       string
	peer     peer
	decision policy.Decision
	route    *route      // nil until decided
	header   http.Header // the request's as members get it
	upgrade  string      // the protocol that the client asks to switch to
	cookie   string      // the affinity cookie's value
	body     *requestBody
	dog      watchdog

	lease    *farm.Lease
	cancel   func()          // ends the attempt under way and frees what it holds
	context  context.Context // of that attempt
	member   string
	choice   string // why that member
	attempts int

	interim   interim
	writing   atomic.Bool // a write to the client is under way
	begun     atomic.Bool // the final response was begun
	granted   bool        // upgraded
	counted   bool        // among the active requests of its farm
	status    int
	sent      int64 // body bytes to the client
	tunnelled int64 // bytes from the client in a tunnel
	aborted   bool
	fail      *failure
}

func (x *exchange) serve() {
	h := x.r.Header
	x.identify()
	x.decision = decide(x.gen.table, head{x.set.name, x.r.Method, x.r.Host, x.r.RequestURI})
	x.upgrade = upgradeOf(x.r)
	if x.upgrade == "" && len(h["Upgrade"]) > 0 && x.conn != nil && x.conn.guard != nil {
		x.conn.guard.denied()
	}
	x.prepareBody()
	switch d := &x.decision; {
	case d.Status == http.StatusNoContent:
		x.options()
		return
	case d.Status != 0:
		x.refuse(refusal(d))
		return
	}
	if x.route = x.gen.farms[x.decision.Farm]; x.route == nil {
		x.refuse(&failure{
			status: http.StatusBadGateway, class: classInternal, text: "Nothing serves this site.",
			err: errors.New("find farm: no such farm"),
		})
		return
	}
	if x.r.Method == http.MethodOptions && h.Get("Max-Forwards") == "0" {
		x.options()
		return
	}
	if limit := x.set.limits.BodyBytes; limit > 0 && x.r.ContentLength > limit {
		x.refuse(explain(nil, nil, errBodyTooLarge, false))
		return
	}
	x.prepareHeader()
	x.route.metrics.begin()
	x.counted = true
	x.forward()
}

// refusal turns a decision against a request into a failure.
func refusal(d *policy.Decision) *failure {
	f := &failure{status: d.Status, class: classBadRequest, text: d.Reason}
	switch d.Status {
	case http.StatusNotFound:
		f.class = classNoRule
	case http.StatusMethodNotAllowed:
		f.class = classMethod
	}
	return f
}

// identify finds out who asks and gives the request its name.
func (x *exchange) identify() {
	secure := x.r.TLS != nil
	address := addrOf(nil)
	if x.conn != nil {
		address = x.conn.client
	}
	x.peer = identify(address, secure, x.set.trusted, x.r.Header)
	if id := x.r.Header.Get("X-Request-Id"); x.peer.trusted && validID(id) {
		x.id = id
		return
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	x.id = hex.EncodeToString(b[:])
}

// validID reports whether an id from outside may stand in logs and pages.
func validID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if !tokenByte[id[i]] && !strings.ContainsRune("/=:@", rune(id[i])) {
			return false
		}
	}
	return true
}

func (x *exchange) prepareBody() {
	if x.r.ContentLength == 0 || x.r.Body == nil {
		return
	}
	x.body = &requestBody{from: x.r.Body, dog: &x.dog, limit: x.set.limits.BodyBytes}
}

// prepareHeader makes the request's fields as every member gets them.
func (x *exchange) prepareHeader() {
	in := x.r.Header
	h := make(http.Header, len(in)+8)
	copyEndToEnd(h, in)
	if hasToken(in["Te"], "trailers") {
		h["Te"] = []string{"trailers"}
	}
	if x.upgrade != "" {
		h["Connection"] = []string{"Upgrade"}
		h["Upgrade"] = []string{x.upgrade}
	}
	setForwarded(h, x.peer, x.r.Host, x.r.TLS != nil)
	addVia(h, x.r.ProtoMajor, x.r.ProtoMinor, x.edge.name)
	h["X-Request-Id"] = []string{x.id}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = noUserAgent
	}
	if n, err := strconv.Atoi(h.Get("Max-Forwards")); err == nil && n > 0 && x.r.Method == http.MethodOptions {
		h["Max-Forwards"] = []string{strconv.Itoa(n - 1)}
	}
	x.cookie = takeCookie(h, x.route.cookie)
	x.header = h
}

// noUserAgent keeps the transport from naming itself.
var noUserAgent = []string{""}

// options answers an OPTIONS request that is meant for the gateway itself.
func (x *exchange) options() {
	x.w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	x.status = http.StatusNoContent
	x.denyUpgrade()
	x.keepOrClose()
	x.w.WriteHeader(x.status)
}

// keepOrClose says in the response whether the connection goes on. It ends when its server was retired (HTTP/2 clients get
// GOAWAY), and on HTTP/1 when the request's body is not at its end, because what comes after could not be told from it.
// net/http then also leaves the body alone while the response is written, so that both can go on at once.
func (x *exchange) keepOrClose() {
	if x.server.retired.Load() {
		x.w.Header().Set("Connection", "close")
	}
	if x.body != nil && !x.body.done.Load() && x.r.ProtoMajor == 1 {
		x.w.Header().Set("Connection", "close")
	}
}

// finish leaves the request: no goroutine touches it any more, the farm knows how it ended, and so do log and counters.
func (x *exchange) finish() {
	x.dog.stop()
	x.interim.close()
	if x.cancel != nil {
		x.cancel()
	}
	if !x.granted {
		x.settle()
	}
	x.release()
	x.edge.metrics.end(x)
	x.report()
}

// settle bounds what net/http still does for the request: sending the last buffered bytes, discarding the rest of a body.
func (x *exchange) settle() {
	if x.body != nil && !x.body.done.Load() {
		x.body.finish(func() { _ = x.rc.SetReadDeadline(time.Unix(1, 0)) })
		_ = x.rc.SetReadDeadline(time.Now().Add(lingerTimeout))
	}
	if !x.aborted && x.sent > 0 {
		_ = x.rc.SetWriteDeadline(time.Now().Add(x.set.limits.BodyTimeout))
	}
}

// lingerTimeout is how long a client may go on sending a body that nobody wants, so that it reads the answer first.
const lingerTimeout = time.Second

// release tells the farm how the lease ended.
func (x *exchange) release() {
	if x.lease == nil {
		return
	}
	o := farm.Outcome{}
	if x.fail != nil && x.fail.memberFault() {
		o = farm.Outcome{Failed: true, Phase: string(x.fail.phase), Err: x.fail.err}
	}
	x.lease.Done(o)
	x.lease = nil
}

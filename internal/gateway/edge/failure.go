package edge

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"gatehouse/internal/state"
)

// class is a reason in one of few words, for counters and for the pages that clients see.
type class string

const (
	classMethod     class = "method"         // CONNECT, TRACE
	classBadRequest class = "bad request"    // unclear target or host
	classNoRule     class = "no rule"        // nothing is published there
	classTooLarge   class = "body too large" //
	classSlowClient class = "slow client"    // a body from the client stalled
	classNoMember   class = "no member"      // no member may be used
	classConnect    class = "connect"        // no connection to a member
	classTLS        class = "tls"            //
	classSend       class = "send"           // the request could not be written
	classResponse   class = "response"       // the member gave no proper response
	classTimeout    class = "timeout"        // no response in time
	classStall      class = "stall"          // a response stopped moving
	classSilent     class = "silent tunnel"  //
	classEnded      class = "member ended"   // drained or removed
	classStopping   class = "stopping"       // the gateway is
	classClientGone class = "client gone"    //
	classInternal   class = "internal"       //
)

// classes lists every class, for the counters' sake.
var classes = [...]class{
	classMethod, classBadRequest, classNoRule, classTooLarge, classSlowClient, classNoMember, classConnect, classTLS,
	classSend, classResponse, classTimeout, classStall, classSilent, classEnded, classStopping, classClientGone, classInternal,
}

// failure is why a request did not go well.
type failure struct {
	status int // what the client is told, if it can still be told
	class  class
	phase  state.Phase // of the way to the member; empty when it was not that
	text   string      // for people, without internal addresses
	err    error       // for the log
}

// memberFault reports whether the failure speaks against the member.
func (f *failure) memberFault() bool {
	switch f.class {
	case classConnect, classTLS, classSend, classResponse, classTimeout, classStall:
		return true
	}
	return false
}

var (
	errStalled       = errors.New("the client let the request stall")
	errMemberStalled = errors.New("the member let the request stall")
	errBadResponse   = errors.New("read response: not a valid response")
	errTooMany1xx    = errors.New("read response: too many interim responses")
)

// progress is how far an attempt came; the transport's goroutines write it.
type progress struct {
	written atomic.Bool
	conn    atomic.Pointer[net.Conn]
}

func (p *progress) hook(t *httptrace.ClientTrace) {
	t.GotConn = func(i httptrace.GotConnInfo) { p.conn.Store(&i.Conn) }
	t.WroteRequest = func(i httptrace.WroteRequestInfo) { p.written.Store(i.Err == nil) }
}

// explain says why an attempt failed that gave no response. cause is why its context ended, nil when it did not; client
// is what went wrong with the client's body.
func explain(err, cause, client error, sent bool) *failure {
	var unclear *framingError
	switch {
	case errors.Is(client, errBodyTooLarge):
		return &failure{status: http.StatusRequestEntityTooLarge, class: classTooLarge, text: errBodyTooLarge.Error(), err: client}
	case errors.Is(cause, errMemberEnded):
		return &failure{http.StatusServiceUnavailable, classEnded, "", "The server was taken out of service.", cause}
	case errors.Is(cause, errDrained):
		return &failure{http.StatusServiceUnavailable, classStopping, "", "The gateway is stopping.", cause}
	case errors.Is(cause, errStalled):
		return &failure{http.StatusRequestTimeout, classSlowClient, "", "The request body did not arrive in time.", cause}
	case errors.Is(cause, errMemberStalled):
		return &failure{http.StatusGatewayTimeout, classTimeout, state.Request, "The server did not answer in time.", cause}
	case errors.As(client, &unclear):
		return &failure{http.StatusBadRequest, classBadRequest, "", "The request body could not be read.", client}
	case cause != nil || client != nil:
		return &failure{status: statusClientGone, class: classClientGone, text: "The client went away.", err: err}
	}
	return explainMember(err, sent)
}

// statusClientGone is what the log says of requests whose client went away; it is never sent.
const statusClientGone = 499

func explainMember(err error, sent bool) *failure {
	var before *phaseError
	if errors.As(err, &before) {
		f := &failure{http.StatusBadGateway, classConnect, before.phase, "The server could not be reached.", err}
		if before.phase == state.TLS {
			f.class, f.text = classTLS, "No secure connection to the server could be made."
		}
		if isTimeout(before.err) {
			f.status = http.StatusGatewayTimeout
		}
		return f
	}
	if isTimeout(err) {
		return &failure{http.StatusGatewayTimeout, classTimeout, state.FirstByte, "The server did not answer in time.", err}
	}
	var op *net.OpError
	if (errors.As(err, &op) && op.Op == "write") || (!sent && !errors.Is(err, io.EOF) && op == nil && !errors.Is(err, errBadResponse)) {
		return &failure{http.StatusBadGateway, classSend, state.Request, "The request could not be sent to the server.", err}
	}
	return &failure{http.StatusBadGateway, classResponse, state.FirstByte, "The server gave no valid answer.", err}
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// repeatable reports whether a request whose attempt failed may be sent to another member: nothing was read of its body,
// and either it never left or its method is idempotent, RFC 9110 section 9.2.2.
func repeatable(f *failure, method string, body *requestBody) bool {
	if body != nil && body.touched.Load() {
		return false
	}
	switch f.class {
	case classConnect, classTLS:
		return true
	case classSend, classResponse, classTimeout, classEnded:
		return idempotent(method)
	}
	return false
}

func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

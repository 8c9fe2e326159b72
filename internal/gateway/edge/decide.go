package edge

import (
	"net/http"
	"strings"

	"gatehouse/internal/gateway/policy"
)

// head is what is decided upon: the parts of a request head as they were received.
type head struct {
	listener, method, host, target string
}

// decide says where a request goes. It is a pure function of the head and the rules.
func decide(table *policy.Table, h head) policy.Decision {
	switch {
	case h.method == http.MethodConnect:
		return policy.Decision{Status: http.StatusMethodNotAllowed, Reason: "CONNECT is for forward proxies"}
	case h.method == http.MethodTrace:
		return policy.Decision{Status: http.StatusMethodNotAllowed, Reason: "TRACE is not allowed"}
	case h.target == "*" && h.method == http.MethodOptions:
		return policy.Decision{Status: http.StatusNoContent, Reason: "OPTIONS * is answered here"}
	case !strings.HasPrefix(h.target, "/"):
		return policy.Decision{Status: http.StatusBadRequest, Reason: "the request target is not a path"}
	case table == nil:
		return policy.Decision{Status: http.StatusNotFound, Reason: "no publishing rule"}
	}
	path, _, _ := strings.Cut(h.target, "?")
	return table.Decide(policy.Head{Listener: h.listener, Method: h.method, Host: h.host, Path: path})
}

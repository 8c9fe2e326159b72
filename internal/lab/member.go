// Package lab holds the servers and the leaking programs that the demo and the tests need: real processes with a known
// truth. Nothing in it runs in production.
package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Member is a small web server that a farm can publish: it answers with its name, and can be told to turn slow. Its
// fields are set before Serve; SetDelay may be called at any time.
type Member struct {
	Name         string
	Authenticate bool // demand Windows authentication: every request is answered 401 with Negotiate and NTLM

	delay atomic.Int64 // nanoseconds that every answer takes
}

// SetDelay makes every answer take that long.
func (m *Member) SetDelay(d time.Duration) { m.delay.Store(int64(d)) }

// Serve answers on ln until ctx ends.
func (m *Member) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{Handler: m, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(ln)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve member %s: %w", m.Name, err)
}

// ServeHTTP answers one request. PUT /lab/delay?for=DURATION sets the delay.
func (m *Member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut && r.URL.Path == "/lab/delay" {
		d, err := time.ParseDuration(r.URL.Query().Get("for"))
		if err != nil {
			http.Error(w, "set delay: "+err.Error(), http.StatusBadRequest)
			return
		}
		m.SetDelay(d)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	select {
	case <-time.After(time.Duration(m.delay.Load())):
	case <-r.Context().Done():
		return
	}
	if m.Authenticate {
		w.Header().Add("WWW-Authenticate", "Negotiate")
		w.Header().Add("WWW-Authenticate", "NTLM")
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "%s answers %s\n", m.Name, r.URL.Path)
}

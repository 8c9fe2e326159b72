// Package api is how gatehouse's processes talk to each other: small JSON documents over HTTP on unix sockets in the
// state folder, and server-sent events where something is to be followed.
//
// It carries any document; what the documents mean is defined by the packages whose types they are. A socket belongs to
// the user that runs gatehouse (mode 0600 in a folder of mode 0700): whoever can open it is trusted.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// MaxDocument bounds a document in either direction, in bytes.
const MaxDocument = 64 << 20

// Error is an answer other than success.
type Error struct {
	Status  int    `json:"-"`
	Message string `json:"error"`
}

func (e *Error) Error() string { return e.Message }

// Serve answers on ln with h until ctx ends, then lets requests under way finish for up to two seconds. It closes ln.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	requests, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		end() // event streams would never finish by themselves
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(ln)
	if stop() {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	<-stopped
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// Reply writes v as the JSON answer.
func Reply(w http.ResponseWriter, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		Fail(w, http.StatusInternalServerError, fmt.Errorf("encode answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(data, '\n'))
}

// Fail answers with an error that a client gets back as *Error.
func Fail(w http.ResponseWriter, status int, err error) {
	data, marshalErr := json.Marshal(Error{Message: err.Error()})
	if marshalErr != nil {
		data = []byte(`{"error":"unprintable"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}

// Events is the sending side of a stream of server-sent events. It belongs to the handler's goroutine.
type Events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// NewEvents begins a stream on w.
func NewEvents(w http.ResponseWriter) (*Events, error) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	e := &Events{w: w, control: http.NewResponseController(w)}
	if err := e.control.Flush(); err != nil {
		return nil, fmt.Errorf("begin event stream: %w", err)
	}
	return e, nil
}

// Send sends one event with v as its JSON data and waits until it is handed to the kernel.
func (e *Events) Send(event string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if _, err := fmt.Fprintf(e.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return fmt.Errorf("send event: %w", err)
	}
	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("send event: %w", err)
	}
	return nil
}

// Beat sends a comment, which keeps the stream known to be alive and finds out whether the other side is gone.
func (e *Events) Beat() error {
	if _, err := e.w.Write([]byte(":\n\n")); err != nil {
		return fmt.Errorf("send event: %w", err)
	}
	return e.control.Flush()
}

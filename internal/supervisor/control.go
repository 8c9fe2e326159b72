package supervisor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"gatehouse/internal/api"
)

// apiListener is the supervisor's own unix socket.
type apiListener struct{ net.Listener }

func (s *Supervisor) listenAPI() (apiListener, error) {
	path := SocketPath(s.opt.State, "supervisor")
	file, err := listen(Socket{Name: "supervisor API", Network: "unix", Address: path})
	if err != nil {
		return apiListener{}, err
	}
	defer func() { _ = file.Close() }()
	ln, err := net.FileListener(file)
	if err != nil {
		return apiListener{}, fmt.Errorf("open supervisor API: %w", err)
	}
	return apiListener{ln}, nil
}

// serveAPI answers GET /status, POST /reload and POST /recycle?worker=ROLE until ctx ends.
func (s *Supervisor) serveAPI(ctx context.Context, ln apiListener) error {
	defer func() { _ = os.Remove(SocketPath(s.opt.State, "supervisor")) }()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { api.Reply(w, s.Status()) })
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Reload(context.WithoutCancel(r.Context())); err != nil {
			api.Fail(w, http.StatusUnprocessableEntity, err)
			return
		}
		api.Reply(w, s.Status())
	})
	mux.HandleFunc("POST /recycle", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Recycle(context.WithoutCancel(r.Context()), r.URL.Query().Get("worker")); err != nil {
			api.Fail(w, http.StatusUnprocessableEntity, err)
			return
		}
		api.Reply(w, s.Status())
	})
	return api.Serve(ctx, ln, mux, s.opt.Log)
}

// reloadingNotice is what systemd wants to hear when a reload begins (sd_notify(3), Type=notify-reload).
func reloadingNotice() string {
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonicMicroseconds())
}

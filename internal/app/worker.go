package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/supervisor"
)

// WorkerOptions say what RunWorker runs.
type WorkerOptions struct {
	Role   string
	State  string // the state folder, where the active configuration and the other workers' sockets are
	Origin string // the operator's configuration file, for messages and relative paths
	Getenv func(string) string
	Stdin  io.Reader // the lifeline: at its end the worker drains and goes
}

// part is what a role is made of.
type part interface {
	// run serves until ctx ends, then drains. It calls ready once it serves.
	run(ctx context.Context, ready func()) error
	// reload takes up another configuration; an error leaves the part as it was.
	reload(cfg *config.Config) error
	// routes adds the role's own API.
	routes(mux *http.ServeMux)
}

// worker is what every role has.
type worker struct {
	WorkerOptions
	log       *slog.Logger
	listeners map[string]net.Listener
	metrics   *prometheus.Registry
	cfg       *config.Config
}

// RunWorker is "gatehouse worker ROLE": it takes over the sockets that the supervisor handed to this process and serves
// the role until SIGTERM comes or the supervisor is gone.
func RunWorker(ctx context.Context, opt WorkerOptions) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	ctx, cut := supervisor.Lifeline(ctx, opt.Stdin)
	defer cut()
	handover, err := supervisor.Inherit(opt.Getenv)
	if err != nil {
		return fmt.Errorf("worker %s: %w", opt.Role, err)
	}
	cfg, err := opt.active()
	if err != nil {
		return fmt.Errorf("worker %s: %w", opt.Role, err)
	}
	w := &worker{
		WorkerOptions: opt, listeners: handover.Listeners, cfg: cfg, metrics: prometheus.NewRegistry(),
		log: NewLog(cfg.Log).With("worker", opt.Role),
	}
	w.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p, err := w.part(ctx)
	if err != nil {
		return fmt.Errorf("worker %s: %w", opt.Role, err)
	}
	return w.serve(ctx, p, handover, hup)
}

// part makes the part of the role.
func (w *worker) part(ctx context.Context) (part, error) {
	switch w.Role {
	case Edge:
		return newEdge(w)
	case Verify:
		return newVerify(w)
	case Watch:
		return newWatch(ctx, w)
	}
	return nil, fmt.Errorf("no such role: %q", w.Role)
}

// active reads the configuration that the supervisor found good.
func (opt WorkerOptions) active() (*config.Config, error) {
	data, err := os.ReadFile(activeFile(opt.State))
	if err != nil {
		return nil, fmt.Errorf("read active configuration: %w", err)
	}
	return config.Parse(opt.Origin, data, filepath.Dir(opt.Origin), opt.Getenv)
}

// serve runs the part and its API until ctx ends or one of them fails; everything it starts has ended when it returns.
func (w *worker) serve(ctx context.Context, p part, handover *supervisor.Handover, hup <-chan os.Signal) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ln := w.listeners[apiSocket]
	if ln == nil {
		return errors.New("serve API: no socket was handed over")
	}
	apiCtx, stopAPI := context.WithCancel(context.WithoutCancel(ctx)) // the API answers while the part drains
	var parts sync.WaitGroup
	var apiErr, partErr error
	parts.Go(func() {
		apiErr = api.Serve(apiCtx, ln, w.handler(p), w.log)
		stop()
	})
	parts.Go(func() {
		partErr = p.run(ctx, handover.Ready)
		stop()
		stopAPI()
	})
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-hup:
			w.reload(p, handover)
		}
	}
	parts.Wait()
	return errors.Join(partErr, apiErr)
}

// reload takes up the active configuration again and tells the supervisor how that went.
func (w *worker) reload(p part, handover *supervisor.Handover) {
	cfg, err := w.active()
	if err == nil {
		err = p.reload(cfg)
	}
	if err != nil {
		w.log.Error("reload refused", "error", err)
		handover.Refused(err)
		return
	}
	handover.Ready()
}

// handler is the worker's API: what every role has, and the role's own.
func (w *worker) handler(p part) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /runtime", func(w http.ResponseWriter, _ *http.Request) {
		values := procmem.Runtime()
		api.Reply(w, values.Map())
	})
	pprofRoutes(mux)
	p.routes(mux)
	return mux
}

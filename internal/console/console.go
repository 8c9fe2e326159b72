// Package console is the web console, its JSON API, and the door to the metrics and the Prometheus query API.
//
// The console knows nothing of how the other parts are reached: Options carries one function for each thing that it
// shows or does, and the shapes that they speak are the parts' own snapshots. A function that fails costs its part of a
// page and no more: the page says so in place and shows what was last known.
//
// Every page is rendered on the server and works without scripts. With scripts, a page holds one stream of server-sent
// events open over which the fragments that changed are sent and put in place.
//
// A Console starts no goroutine that outlives the request it was started for.
package console

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

// ErrNotFound is what the functions of Options wrap when there is no such farm, member, verifier or process; it becomes
// a 404.
var ErrNotFound = errors.New("not found")

var errNotConnected = errors.New("not connected")

// Options is what the console stands on. The zero value gives a console that runs and says of everything that it is not
// connected. The functions are called from many goroutines at once and must return soon after their context ends.
type Options struct {
	// Supervisor tells of the workers.
	Supervisor func(ctx context.Context) (supervisor.Status, error)
	// Verifiers tells where each connectivity verifier stands.
	Verifiers func(ctx context.Context) ([]state.Status, error)
	// Results returns the last results of one verifier, oldest first.
	Results func(ctx context.Context, verifier string) ([]state.Result, error)
	// CheckNow makes one check now and returns its result.
	CheckNow func(ctx context.Context, verifier string) (state.Result, error)
	// Farms tells of the web farms and their members.
	Farms func(ctx context.Context) ([]farm.Snapshot, error)
	// FarmAction drains, resumes or removes a member. The deadline is for a drain; 0 is the farm's own.
	FarmAction func(ctx context.Context, farm, member, action string, deadline time.Duration) error
	// Processes tells of the watched processes.
	Processes func(ctx context.Context) ([]watch.Process, error)
	// Chart returns the newest span of a process's memory; a span of 0 is all there is.
	Chart func(ctx context.Context, id string, span time.Duration) (watch.Chart, error)
	// Changes returns a channel that receives whenever something changed that pages show. It is called once for each open
	// page, with a context that ends when the page is closed. Without it pages are brought up to date every two seconds.
	Changes func(ctx context.Context) <-chan struct{}
	// Metrics serves /metrics.
	Metrics http.Handler
	// Query serves the Prometheus API below /api/v1/.
	Query http.Handler

	// Address is the host:port that the console was configured to listen on. Requests whose Host header names neither
	// loopback nor this host are refused, so that no page of another site can reach the console by a name that it makes
	// point here.
	Address string
	// Streams bounds how many pages may be open with live updates. 0 is 64.
	Streams int
	// Log receives a line for each action taken and for what goes wrong in rendering. nil logs nothing.
	Log *slog.Logger
	// Now is the clock that pages are rendered by; its location is the one that times are shown in. nil is time.Now.
	Now func() time.Time
}

// Console serves the console. Make one with New; it is an http.Handler and safe for use by many goroutines.
//
// Streams of events stay open for as long as their request's context lives: a server that is to shut down must end its
// base context first.
type Console struct {
	options   Options
	log       *slog.Logger
	now       func() time.Time
	sources   sources
	assets    *assets
	templates *template.Template
	streams   chan struct{} // one token for each open stream
	wakes     wakes
	routes    []route
	handler   http.Handler
}

// New returns a console. It fails only when what is built into the program does not parse.
func New(o Options) (*Console, error) {
	c := &Console{options: o, log: o.Log, now: o.Now}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	streams := o.Streams
	if streams <= 0 {
		streams = 64
	}
	c.streams = make(chan struct{}, streams)
	c.sources = newSources(o)
	var err error
	if c.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if c.templates, err = parseTemplates(c.assets); err != nil {
		return nil, err
	}
	c.routes = c.apiRoutes()
	c.handler = guard(newHosts(o.Address), c.mux())
	return c, nil
}

// ServeHTTP serves the pages, their assets, the API, /metrics and /healthz.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

func (c *Console) mux() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/{$}", "/connectivity", "/farms", "/memory", "/memory/{id}", "/docs/api"} {
		mux.HandleFunc("GET "+path, c.servePage)
	}
	mux.HandleFunc("GET /memory/{id}/chart.svg", c.serveChartSVG)
	mux.HandleFunc("POST /farms/{farm}/members/{member}/{action}", c.postFarmAction)
	mux.HandleFunc("POST /connectivity/{name}/check", c.postCheckNow)
	mux.HandleFunc("GET /events", c.serveEvents)
	mux.Handle("GET /static/", c.assets)
	mux.HandleFunc("GET /favicon.ico", c.assets.favicon)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	for _, route := range c.routes {
		mux.HandleFunc(route.Method+" "+route.Path, route.serve)
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		c.writeError(w, http.StatusNotFound, "there is no "+r.Method+" "+r.URL.Path)
	})
	if c.options.Metrics != nil {
		mux.Handle("GET /metrics", c.options.Metrics)
	}
	if c.options.Query != nil {
		mux.Handle("/api/v1/", c.options.Query)
	}
	mux.HandleFunc("/", c.serveMissing)
	return mux
}

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/console"
	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/series"
	"gatehouse/internal/memory/trend"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

// watchPart is the role watch: the memory watch, its history, and the console.
type watchPart struct {
	*worker
	others  map[string]*api.Client // the supervisor and the other workers, by name
	history *series.Store
	watch   *watch.Watch
	console http.Handler
	changes *changes
}

func newWatch(ctx context.Context, w *worker) (part, error) {
	p := &watchPart{worker: w, others: map[string]*api.Client{}, changes: newChanges()}
	for _, name := range []string{supervisorName, Edge, Verify} {
		p.others[name] = api.NewClient(name, supervisor.SocketPath(w.State, name))
	}
	var err error
	p.history, err = series.Open(ctx, series.Options{
		Dir: filepath.Join(w.State, "series"), Retention: time.Duration(w.cfg.Memory.Retention),
		MaxBytes: int64(w.cfg.Memory.RetentionBytes), Metadata: watch.Metadata(), Log: w.log,
	})
	if err != nil {
		return nil, err
	}
	p.watch, err = watch.New(watch.Options{
		Interval: time.Duration(w.cfg.Memory.Interval), Look: time.Duration(w.cfg.Memory.Look),
		Hour: time.Duration(w.cfg.Memory.Hour), Selectors: selectors(w.cfg), Workers: p.workers, Loads: p.loads,
		Series: p.history, Judge: trend.JudgeWithCurves, File: filepath.Join(w.State, "verdicts.json"), Log: w.log,
	})
	if err == nil {
		err = w.metrics.Register(p.watch.Collector())
	}
	if err == nil {
		p.console, err = p.newConsole()
	}
	if err != nil {
		return nil, errors.Join(err, p.history.Close())
	}
	return p, nil
}

// supervisorName is the supervisor among the clients.
const supervisorName = "supervisor"

func (p *watchPart) run(ctx context.Context, ready func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	errs := make([]error, 2)
	serve := func(i int, f func(context.Context) error) {
		parts.Go(func() {
			errs[i] = f(ctx)
			stop()
		})
	}
	serve(0, p.watch.Run)
	if ln := p.listeners[consoleSocket]; ln != nil {
		serve(1, func(ctx context.Context) error { return api.Serve(ctx, ln, p.console, p.log) })
	}
	parts.Go(func() { p.followVerify(ctx) })
	parts.Go(func() { p.followWatch(ctx) })
	ready()
	parts.Wait()
	for _, c := range p.others {
		c.Close()
	}
	return errors.Join(errors.Join(errs...), p.history.Close())
}

func (p *watchPart) reload(cfg *config.Config) error { return p.watch.Replace(selectors(cfg)) }

func (p *watchPart) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /processes", func(w http.ResponseWriter, _ *http.Request) { api.Reply(w, p.watch.Processes()) })
}

func (p *watchPart) newConsole() (http.Handler, error) {
	return console.New(console.Options{
		Supervisor: func(ctx context.Context) (s supervisor.Status, err error) {
			return s, p.others[supervisorName].Get(ctx, "/status", &s)
		},
		Verifiers: func(ctx context.Context) (s []state.Status, err error) {
			return s, p.others[Verify].Get(ctx, "/verifiers", &s)
		},
		Results: func(ctx context.Context, verifier string) (r []state.Result, err error) {
			return r, found(p.others[Verify].Get(ctx, "/results?verifier="+url.QueryEscape(verifier), &r))
		},
		CheckNow: func(ctx context.Context, verifier string) (r state.Result, err error) {
			return r, found(p.others[Verify].Post(ctx, "/check?verifier="+url.QueryEscape(verifier), nil, &r))
		},
		Farms: func(ctx context.Context) (s []farm.Snapshot, err error) {
			return s, p.others[Edge].Get(ctx, "/farms", &s)
		},
		FarmAction: func(ctx context.Context, farm, member, action string, deadline time.Duration) error {
			return found(p.others[Edge].Post(ctx, MemberPath(farm, member, action, deadline), nil, nil))
		},
		Processes: func(context.Context) ([]watch.Process, error) { return p.watch.Processes(), nil },
		Chart:     p.chart,
		Changes:   p.changes.subscribe,
		Metrics:   p.allMetrics(),
		Query:     p.history.Handler(),
		Address:   p.cfg.Console.Listen,
		Log:       p.log,
	})
}

// MemberPath is where the role edge takes an order (drain, resume, remove) for a member of a farm, by POST; a deadline of 0
// is the farm's own.
func MemberPath(farm, member, action string, deadline time.Duration) string {
	path := "/farms/" + url.PathEscape(farm) + "/members/" + url.PathEscape(member) + "/" + url.PathEscape(action)
	if deadline > 0 {
		path += "?deadline=" + deadline.String()
	}
	return path
}

// found marks a worker's 404 as the console's.
func found(err error) error {
	var failure *api.Error
	if errors.As(err, &failure) && failure.Status == http.StatusNotFound {
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	}
	return err
}

// chartPoints is how many points a chart is thinned to.
const chartPoints = 600

func (p *watchPart) chart(ctx context.Context, id string, span time.Duration) (watch.Chart, error) {
	to := time.Now()
	from := time.Time{}
	if span > 0 {
		from = to.Add(-span)
	}
	chart, err := p.watch.Chart(ctx, id, from, to, chartPoints)
	if errors.Is(err, watch.ErrUnknown) {
		err = fmt.Errorf("%w: %w", console.ErrNotFound, err)
	}
	return chart, err
}

// workers tells the memory watch which processes are gatehouse's own.
func (p *watchPart) workers(ctx context.Context) ([]watch.Worker, error) {
	var s supervisor.Status
	if err := p.others[supervisorName].Get(ctx, "/status", &s); err != nil {
		return nil, err
	}
	own := []watch.Worker{{Role: supervisorName, PID: s.PID}}
	for _, w := range s.Workers {
		if w.PID != 0 && w.State != "draining" {
			own = append(own, watch.Worker{Role: w.Role, PID: w.PID, Runtime: p.runtime(w.Role)})
		}
	}
	return own, nil
}

// runtime asks a worker for what its Go runtime knows.
func (p *watchPart) runtime(role string) func(context.Context) (procmem.Values, error) {
	if role == Watch {
		return func(context.Context) (procmem.Values, error) { return procmem.Runtime(), nil }
	}
	return func(ctx context.Context) (v procmem.Values, err error) {
		var known map[string]float64
		if err := p.others[role].Get(ctx, "/runtime", &known); err != nil {
			return v, err
		}
		for _, c := range procmem.All() {
			if x, ok := known[c.String()]; ok {
				v.Set(c, x)
			}
		}
		return v, nil
	}
}

// loads tells what the gateway was doing, as ever-growing counts: requests and checks.
func (p *watchPart) loads(ctx context.Context) map[string]float64 {
	counts := map[string]float64{}
	var farms []farm.Snapshot
	if p.others[Edge].Get(ctx, "/farms", &farms) == nil {
		for _, f := range farms {
			for _, m := range f.Members {
				counts["requests"] += float64(m.Requests)
			}
		}
	}
	var verifiers []state.Status
	if p.others[Verify].Get(ctx, "/verifiers", &verifiers) == nil {
		for _, v := range verifiers {
			counts["checks"] += float64(v.Checks)
		}
	}
	return counts
}

// followVerify tells open pages that a verifier changed.
func (p *watchPart) followVerify(ctx context.Context) {
	for ctx.Err() == nil {
		_ = p.others[Verify].Follow(ctx, "/events", func(string, []byte) error {
			p.changes.tell()
			return nil
		})
		p.changes.tell()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// followWatch tells open pages that there are new samples or verdicts, and once a second all the same, for what has no
// stream of its own: farms and workers.
func (p *watchPart) followWatch(ctx context.Context) {
	samples := p.watch.Subscribe(ctx)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-samples:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p.changes.tell()
	}
}

func selectors(cfg *config.Config) []watch.Selector {
	var all []watch.Selector
	for _, name := range sortedKeys(cfg.Memory.Processes) {
		s := cfg.Memory.Processes[name]
		all = append(all, watch.Selector{
			Name: name, PID: s.PID, Process: s.Process, Command: s.Command, Unit: s.Unit, Cgroup: s.Cgroup,
			Metrics: s.Metrics, Pprof: s.Pprof, LimitBytes: float64(s.Limit),
		})
	}
	return all
}

// changes wakes the open pages. A page that has not looked yet is woken once.
type changes struct {
	mu   sync.Mutex
	subs map[chan struct{}]struct{}
}

func newChanges() *changes { return &changes{subs: map[chan struct{}]struct{}{}} }

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for sub := range c.subs {
		select {
		case sub <- struct{}{}:
		default:
		}
	}
}

// subscribe returns a channel that receives after changes until ctx ends.
func (c *changes) subscribe(ctx context.Context) <-chan struct{} {
	sub := make(chan struct{}, 1)
	c.mu.Lock()
	c.subs[sub] = struct{}{}
	c.mu.Unlock()
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.subs, sub)
	})
	return sub
}

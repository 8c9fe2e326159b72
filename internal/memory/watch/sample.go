package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/series"
)

// detailShare is the share of one core that reading smaps_rollup may take, all processes together; each process is read
// so seldom that it holds. detailsPerHour is how often it is read at least, since an hour's floor is made from it.
const (
	detailShare    = 0.0002
	detailsPerHour = 6
)

// detailRound is how long one round may read smaps_rollup before it leaves the rest to the next: a round holds the mutex.
const detailRound = 50 * time.Millisecond

// pprofsPerHour is how often a pprof page is read at most: making one costs the other process far more than a metrics
// page does.
const pprofsPerHour = 60

// scrapesAtOnce bounds the pages that are asked for at the same time.
const scrapesAtOnce = 8

// sample is one round: read every process, find new ones, ask Go programs, store it all. Nothing that goes wrong in it
// ends the watch; it is logged or shown with the process.
func (w *Watch) sample(ctx context.Context) {
	now := w.options.Now()
	workers, loads := w.askOwn(ctx)
	w.mu.Lock()
	w.reader.Begin(now)
	w.detailSpent = 0
	w.applySelection()
	w.readAll(now) // first, so that a process that has ended makes room for its successor
	w.findWorkers(workers, now)
	w.findSelected(now)
	w.expire(now)
	asks := w.asks(workers, now)
	w.mu.Unlock()

	ask(ctx, asks, w.options.Scrape.Timeout)

	w.mu.Lock()
	for _, a := range asks {
		a.take()
	}
	w.collect(now)
	w.mu.Unlock()
	w.collectLoads(loads)
	w.store(ctx, now)
	w.changes.notify()
}

// askOwn asks for gatehouse's own workers and activity, for as long as a scrape may take. Workers that are known already
// are watched on when nobody answers.
func (w *Watch) askOwn(ctx context.Context) ([]Worker, map[string]float64) {
	asking, cancel := context.WithTimeout(ctx, w.options.Scrape.Timeout)
	defer cancel()
	workers, err := w.options.Workers(asking)
	if down := err != nil; down != w.askDown && ctx.Err() == nil {
		w.askDown = down
		if down {
			w.options.Log.Warn("own workers are not known; those that were go on being watched", "err", err)
		}
	}
	return workers, w.options.Loads(asking)
}

// applySelection drops what is no longer selected and takes over changed limits.
func (w *Watch) applySelection() {
	if w.applied == w.selection {
		return
	}
	w.applied = w.selection
	w.full = false
	w.reader.Forget()
	w.tracks = slices.DeleteFunc(w.tracks, func(t *track) bool {
		if t.worker != "" || !t.known {
			return false
		}
		i := slices.IndexFunc(w.applied.selectors, func(s Selector) bool { return s.Name == t.selector })
		if i < 0 || !w.applied.compiled[i].Match(&t.process) {
			return true
		}
		t.limit = w.applied.selectors[i].LimitBytes
		return false
	})
}

// readAll reads every process that was there in the round before.
func (w *Watch) readAll(now time.Time) {
	for _, t := range w.tracks {
		if !t.gone {
			w.read(t, now)
		}
	}
}

// read reads one process into its fresh values.
func (w *Watch) read(t *track, now time.Time) {
	if !t.known {
		p, err := w.reader.Lookup(t.process.PID)
		if err != nil || !p.Same(t.process) {
			t.end(now)
			return
		}
		t.follow(p, now)
	}
	t.fresh = procmem.Values{}
	err := w.reader.Read(&t.process, &t.fresh)
	switch {
	case errors.Is(err, procmem.ErrGone):
		t.end(now)
		return
	case err != nil:
		t.failure = err.Error()
		return
	}
	t.failure = ""
	t.sampled = now
	t.current().Last = now
	w.readDetail(t, now)
	w.reader.Group(t.process.Cgroup, &t.fresh)
}

// readDetail reads smaps_rollup when its turn has come and the round has time left for it, and finds out what that
// costs.
func (w *Watch) readDetail(t *track, now time.Time) {
	if now.Before(t.detailNext) || w.detailSpent > detailRound {
		return
	}
	began := time.Now()
	err := w.reader.Detail(&t.process, &t.fresh)
	cost := time.Since(began)
	w.detailSpent += cost
	if t.detailCost > 0 {
		cost = (7*t.detailCost + 3*cost) / 10 // one reading may have been interrupted
	}
	t.detailCost = cost
	longest := max(w.options.Interval, w.options.Hour/detailsPerHour)
	t.detailNext = now.Add(min(longest, time.Duration(float64(cost)*float64(len(w.tracks))/detailShare)))
	t.memoryNote = ""
	if err != nil && !errors.Is(err, procmem.ErrGone) {
		t.memoryNote = "private bytes cannot be read, resident memory is judged: " + reason(err)
		t.values.Unset(procmem.Private)
		t.values.Unset(procmem.PSS)
		t.detailNext = now.Add(longest)
	}
}

func reason(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "permission denied (it needs the right to trace the process)"
	}
	return err.Error()
}

func (w *Watch) findWorkers(workers []Worker, now time.Time) {
	for _, one := range workers {
		if one.PID <= 0 {
			continue
		}
		i := slices.IndexFunc(w.tracks, func(t *track) bool { return t.worker == one.Role })
		if i >= 0 {
			t := w.tracks[i]
			t.limit = one.LimitBytes
			if t.process.PID == one.PID && !t.gone {
				continue
			}
		}
		p, err := w.reader.Lookup(one.PID)
		if err != nil {
			continue // between its end and the supervisor's notice of it
		}
		var t *track
		if i >= 0 {
			t = w.tracks[i]
		} else if t = w.add("gatehouse "+one.Role, now); t == nil {
			continue
		}
		t.worker, t.limit = one.Role, one.LimitBytes
		t.follow(p, now)
		w.read(t, now)
	}
}

func (w *Watch) findSelected(now time.Time) {
	for i, s := range w.applied.selectors {
		if s.PID == 0 || slices.ContainsFunc(w.tracks, func(t *track) bool { return t.selector == s.Name && !t.gone }) {
			continue
		}
		if p, err := w.reader.Lookup(s.PID); err == nil {
			w.adopt(i, p, now)
		}
	}
	if !w.applied.scan {
		return
	}
	over, err := w.reader.Scan(func(p procmem.Process) {
		for i, c := range w.applied.compiled {
			if c.PID() == 0 && c.Match(&p) {
				w.adopt(i, p, now)
			}
		}
	})
	if down := err != nil || over > 0; down != w.scanDown {
		w.scanDown = down
		if down {
			w.options.Log.Warn("not every process can be looked at", "left out", over, "err", err)
		}
	}
}

// adopt takes a selected process up: one that is watched already gets fresh facts, one whose predecessor under the same
// name has ended continues it, any other is new.
func (w *Watch) adopt(i int, p procmem.Process, now time.Time) {
	s := w.applied.selectors[i]
	var heir *track
	for _, t := range w.tracks {
		if t.selector != s.Name {
			continue
		}
		if t.process.Same(p) {
			if !t.gone {
				t.follow(p, now)
			}
			return
		}
		if t.gone && (heir == nil || t.goneAt.After(heir.goneAt)) {
			heir = t
		}
	}
	if heir == nil {
		if heir = w.add(s.Name, now); heir == nil {
			return
		}
		heir.selector = s.Name
	}
	heir.limit = s.LimitBytes
	heir.follow(p, now)
	w.read(heir, now)
}

// add makes a track when there is room; a process that has ended gives way to one that runs.
func (w *Watch) add(name string, now time.Time) *track {
	if len(w.tracks) >= w.options.MaxProcesses {
		oldest := -1
		for i, t := range w.tracks {
			if t.gone && (oldest < 0 || t.goneAt.Before(w.tracks[oldest].goneAt)) {
				oldest = i
			}
		}
		if oldest < 0 {
			if !w.full {
				w.full = true
				w.options.Log.Warn("more processes are selected than may be watched; the others are left out",
					"watched", w.options.MaxProcesses, "first left out", name)
			}
			return nil
		}
		w.tracks = slices.Delete(w.tracks, oldest, oldest+1)
	}
	t := &track{name: name, nextLook: now}
	w.tracks = append(w.tracks, t)
	return t
}

// expire drops processes that ended long ago. Their samples stay in the store for its retention.
func (w *Watch) expire(now time.Time) {
	w.tracks = slices.DeleteFunc(w.tracks, func(t *track) bool {
		return t.gone && now.Sub(t.goneAt) > keepHours*w.options.Hour || len(t.generations) == 0
	})
}

// collect makes points of what was read in this round.
func (w *Watch) collect(now time.Time) {
	w.points = w.points[:0]
	for _, t := range w.tracks {
		if t.gone || !t.sampled.Equal(now) {
			continue
		}
		for _, c := range procmem.All() {
			if v, ok := t.fresh.Get(c); ok {
				w.points = append(w.points, series.Point{Series: t.handle(c), Value: v})
			}
		}
		t.values.Merge(&t.fresh)
	}
}

// collectLoads adds the activity counters.
func (w *Watch) collectLoads(loads map[string]float64) {
	for name, v := range loads {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if w.activities[name] == nil {
			w.activities[name] = series.NewHandle(metricActivity, map[string]string{labelActivity: name})
		}
		w.points = append(w.points, series.Point{Series: w.activities[name], Value: v})
	}
}

// store appends the round. When that fails the round is lost from the history, which is logged once until it works
// again; what the processes hold now is known all the same.
func (w *Watch) store(ctx context.Context, now time.Time) {
	refused, err := w.options.Series.Append(ctx, now, w.points)
	if ctx.Err() != nil {
		return
	}
	if err == nil && refused > 0 {
		err = fmt.Errorf("%d samples are older than the newest stored: was the clock set back?", refused)
	}
	if down := err != nil; down != w.appendDown {
		w.appendDown = down
		if down {
			w.options.Log.Error("memory samples are not stored", "err", err)
		} else {
			w.options.Log.Info("memory samples are stored again")
		}
	}
}

// request is a question to one Go program.
type request struct {
	track  *track
	do     func(context.Context) (procmem.Values, error)
	values procmem.Values
	err    error
}

// asks lists the Go programs that are to be asked in this round.
func (w *Watch) asks(workers []Worker, now time.Time) []*request {
	var all []*request
	for _, t := range w.tracks {
		if t.gone {
			continue
		}
		if t.worker != "" {
			i := slices.IndexFunc(workers, func(o Worker) bool { return o.Role == t.worker && o.PID == t.process.PID })
			if i >= 0 && workers[i].Runtime != nil {
				all = append(all, &request{track: t, do: workers[i].Runtime})
			}
			continue
		}
		if do := w.askSelected(t, now); do != nil {
			all = append(all, &request{track: t, do: do})
		}
	}
	return all
}

func (w *Watch) askSelected(t *track, now time.Time) func(context.Context) (procmem.Values, error) {
	i := slices.IndexFunc(w.applied.selectors, func(s Selector) bool { return s.Name == t.selector })
	if i < 0 {
		return nil
	}
	s := w.applied.selectors[i]
	if s.Metrics == "" && s.Pprof == "" {
		return nil
	}
	alone := 0
	for _, other := range w.tracks {
		if other.selector == s.Name && !other.gone {
			alone++
		}
	}
	if alone != 1 {
		t.pageNote = fmt.Sprintf("its page is not read: %d processes are selected and nothing tells which one answers", alone)
		return nil
	}
	if s.Metrics != "" {
		return func(ctx context.Context) (procmem.Values, error) { return w.scraper.Metrics(ctx, s.Metrics) }
	}
	if now.Before(t.pprofNext) {
		return nil
	}
	t.pprofNext = now.Add(w.options.Hour / pprofsPerHour)
	return func(ctx context.Context) (procmem.Values, error) { return w.scraper.Pprof(ctx, s.Pprof) }
}

// ask puts all questions, some at a time, and waits for the answers.
func ask(ctx context.Context, all []*request, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(scrapesAtOnce)
	for _, r := range all {
		g.Go(func() error {
			r.values, r.err = r.do(ctx)
			return nil
		})
	}
	_ = g.Wait() // each request carries its own error
}

// take adds an answer to what was read in this round. What the system says of the process comes before what it says of
// itself.
func (r *request) take() {
	t := r.track
	if r.err != nil {
		t.pageNote = "what its runtime knows cannot be read: " + r.err.Error()
		return
	}
	t.pageNote = ""
	r.values.Merge(&t.fresh)
	t.fresh = r.values
}

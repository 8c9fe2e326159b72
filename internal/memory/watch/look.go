package watch

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/trend"
)

// historyPoints is about how many samples a verdict is made from: all, while there are no more, and later as many as make
// twelve an hour of the window. The verdict is made from hourly floors, so that more would cost and say nothing.
const historyPoints = windowHours * 12

// looksPerSpan makes looks rarer as history grows longer, since a look costs in proportion to it: what is spent on a
// process each hour does not grow. A full window is looked at every two hours.
const looksPerSpan = 168

// looksPerTick is how many ticks of the looker fall into Options.Look.
const looksPerTick = 8

// agree is how many looks in a row must say leak before it counts as confirmed, and otherwise before it no longer does.
const agree = 2

func (w *Watch) lookTick() time.Duration {
	return max(w.options.Look/looksPerTick, 50*time.Millisecond)
}

// lookAll judges every process whose turn has come. Turns are spread over the time between looks.
func (w *Watch) lookAll(ctx context.Context) {
	now := w.options.Now()
	var due []*track
	w.mu.Lock()
	for _, t := range w.tracks {
		if !t.gone && t.sampled.After(t.looked) && !now.Before(t.nextLook) {
			due = append(due, t)
		}
	}
	w.mu.Unlock()
	if len(due) == 0 {
		return
	}
	loads := make(map[loadsKey][]trend.Series) // for this time only
	for _, t := range due {
		if ctx.Err() != nil {
			return
		}
		w.look(ctx, t, loads, now)
	}
	w.remember()
	w.changes.notify()
}

// step is how finely history of this length is read: the sampling interval, doubled until it is coarse enough.
func (w *Watch) step(span time.Duration) time.Duration {
	step := w.options.Interval
	for span/step > historyPoints {
		step *= 2
	}
	return step
}

// hour is what the verdict on a process takes for an hour. Own workers are judged by real ones even where a demonstration
// lets the others' hours pass quickly: their warm-up takes the time that it takes.
func (w *Watch) hour(t *track) time.Duration {
	if t.worker != "" {
		return time.Hour
	}
	return w.options.Hour
}

// loadsKey is what the activity is read by.
type loadsKey struct{ step, hour time.Duration }

// look judges one process.
func (w *Watch) look(ctx context.Context, t *track, loads map[loadsKey][]trend.Series, now time.Time) {
	hour := w.hour(t)
	from := now.Add(-windowHours * hour)
	w.mu.Lock()
	t.forgetBefore(from)
	t.nextLook = now.Add(w.options.Look) // should there be no verdict
	s, first := t.subject(), t.generations[0].First
	w.mu.Unlock()
	if first.After(from) {
		from = first
	}
	step := w.step(now.Sub(from))
	in, err := w.input(ctx, s, from, now, step)
	if err != nil {
		if ctx.Err() == nil {
			w.options.Log.Warn("history cannot be read; there is no new verdict", "process", s.name, "pid", s.pid, "err", err)
		}
		return
	}
	if len(in.Memory.Times) == 0 {
		return
	}
	in.Loads = w.loadsOnce(ctx, loads, now, loadsKey{step, hour})
	finding, curves := w.options.Judge(in, trend.Options{Hour: hour})

	w.mu.Lock()
	defer w.mu.Unlock()
	t.looked = now
	t.nextLook = now.Add(w.pause(t, in.Memory.Times))
	t.finding, t.curves = &finding, curves
	if t.judged(finding.Verdict == trend.Leak) {
		w.announce(t)
	}
}

// loadsOnce reads the activity, unless another process has needed the same.
func (w *Watch) loadsOnce(ctx context.Context, known map[loadsKey][]trend.Series, now time.Time, key loadsKey) []trend.Series {
	all, ok := known[key]
	if !ok {
		var err error
		if all, err = w.loads(ctx, now.Add(-windowHours*key.hour), now, key.step); err != nil && ctx.Err() == nil {
			w.options.Log.Warn("activity cannot be read; verdicts are made without it", "err", err)
		}
		known[key] = all
	}
	return all
}

// input makes the judge's input from the store. Where the most exact counter has no history yet, resident memory stands
// in.
func (w *Watch) input(ctx context.Context, s subject, from, to time.Time, step time.Duration) (trend.Input, error) {
	in := trend.Input{Process: s.name, PID: s.pid, LimitBytes: s.limit}
	var err error
	for _, c := range []procmem.Counter{s.counter, procmem.RSS} {
		if in.Memory, in.Restarts, err = w.history(ctx, s, c, from, to, step); err != nil {
			return in, fmt.Errorf("read %s: %w", c, err)
		}
		if len(in.Memory.Times) > 0 {
			break
		}
	}
	if s.limit > 0 {
		in.LimitOf = in.Memory.Name
	}
	use, _, err := w.history(ctx, s, procmem.HeapInUse, from, to, step)
	if err != nil {
		return in, fmt.Errorf("read %s: %w", procmem.HeapInUse, err)
	}
	if len(use.Times) > 0 {
		in.InUse = &use
	}
	return in, nil
}

// pause is the time until a process' next look.
func (w *Watch) pause(t *track, times []time.Time) time.Duration {
	span := times[len(times)-1].Sub(times[0])
	pause := max(w.options.Look, span/looksPerSpan)
	h := fnv.New32a()
	_, _ = h.Write([]byte(t.id(*t.current()) + t.looked.String()))
	return pause*9/10 + pause/5*time.Duration(h.Sum32()%100)/100
}

// judged counts looks in a row and reports whether the track has just become, or is no longer, a confirmed leak.
func (t *track) judged(leak bool) (changed bool) {
	switch {
	case leak && t.streak > 0:
		t.streak++
	case leak:
		t.streak = 1
	case t.streak < 0:
		t.streak--
	default:
		t.streak = -1
	}
	if leak == t.confirmed || max(t.streak, -t.streak) < agree {
		return false
	}
	t.confirmed = leak
	return true
}

func (w *Watch) announce(t *track) {
	if !t.confirmed {
		w.options.Log.Info("memory leak no longer seen", "process", t.name, "pid", t.process.PID, "verdict", t.finding.Verdict)
		return
	}
	attrs := []any{"process", t.name, "pid", t.process.PID, "confidence", t.finding.Confidence}
	if r := t.finding.Rate; r != nil {
		attrs = append(attrs, "bytes_per_day", r.BytesPerDay)
	}
	if l := t.finding.Limit; l != nil && l.Reached != nil {
		attrs = append(attrs, "limit_reached", *l.Reached)
	}
	w.options.Log.Warn("memory leak", attrs...)
}

package watch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"gatehouse/internal/memory/trend"
)

// ErrUnknown says that no watched process has the id.
var ErrUnknown = errors.New("no such process is watched")

// Bounds of Chart.
const (
	defaultPoints = 600
	maxPoints     = 5000
	gapSteps      = 3 // the usual spacing of samples, this many times over, breaks the line
)

// Chart gives the history of the process with this ID, or of the one that continues it, in at most about points points.
// A zero from is the beginning of the verdict's window, a zero to is now, points of 0 is 600.
func (w *Watch) Chart(ctx context.Context, id string, from, to time.Time, points int) (Chart, error) {
	w.mu.Lock()
	i := slices.IndexFunc(w.tracks, func(t *track) bool {
		return slices.ContainsFunc(t.generations, func(g generation) bool { return t.id(g) == id })
	})
	if i < 0 {
		w.mu.Unlock()
		return Chart{}, fmt.Errorf("chart %q: %w", id, ErrUnknown)
	}
	t := w.tracks[i]
	s, curves, first := t.subject(), t.curves, t.generations[0].First
	w.mu.Unlock()

	if to.IsZero() {
		to = w.options.Now()
	}
	if from.IsZero() {
		from = to.Add(-windowHours * w.hour(t))
	}
	if first.After(from) { // points are spread over what there is
		from = first
	}
	if points <= 0 {
		points = defaultPoints
	}
	step := max(w.options.Interval, to.Sub(from)/time.Duration(min(points, maxPoints)))
	in, err := w.input(ctx, s, from, to, step)
	if err != nil {
		return Chart{}, fmt.Errorf("chart %q: %w", id, err)
	}
	return draw(in, curves, step), nil
}

// draw lays the verdict's curves beside the memory. A gap in the samples becomes one point without a value, which breaks
// the line.
func draw(in trend.Input, curves trend.Curves, step time.Duration) Chart {
	c := Chart{
		Process: in.Process, Counter: in.Memory.Name,
		Times: []float64{}, Memory: []*float64{}, Floor: []*float64{}, Trend: []*float64{},
	}
	add := func(at time.Time, v *float64) {
		c.Times = append(c.Times, float64(at.UnixMilli())/1000)
		c.Memory = append(c.Memory, v)
		c.Floor = append(c.Floor, between(curves.Times, curves.Floor, at))
		c.Trend = append(c.Trend, between(curves.Times, curves.Trend, at))
	}
	gap := gapSteps * max(step, spacing(in.Memory.Times))
	for i, at := range in.Memory.Times {
		if i > 0 {
			if before := in.Memory.Times[i-1]; at.Sub(before) > gap {
				add(before.Add(at.Sub(before)/2), nil)
			}
		}
		v := in.Memory.Values[i]
		add(at, &v)
	}
	if in.LimitBytes > 0 {
		c.Limit = &in.LimitBytes
	}
	return c
}

// spacing is the usual time from one sample to the next: counters that are dear to read are read less often.
func spacing(times []time.Time) time.Duration {
	if len(times) < 2 {
		return 0
	}
	all := make([]time.Duration, len(times)-1)
	for i := range all {
		all[i] = times[i+1].Sub(times[i])
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}

// between reads a curve between its points; nil where it has none on either side.
func between(times []time.Time, values []float64, at time.Time) *float64 {
	i := sort.Search(len(times), func(i int) bool { return !times[i].Before(at) })
	if i == len(times) || i >= len(values) {
		return nil
	}
	v := values[i]
	if !times[i].Equal(at) {
		if i == 0 {
			return nil
		}
		share := float64(at.Sub(times[i-1])) / float64(times[i].Sub(times[i-1]))
		v = values[i-1] + share*(values[i]-values[i-1])
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

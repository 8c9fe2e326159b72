package watch

import (
	"context"
	"slices"
	"sort"
	"strconv"
	"time"

	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/series"
	"gatehouse/internal/memory/trend"
)

// subject is what a look or a chart needs of a track, copied so that reading and judging hold no lock.
type subject struct {
	name        string
	pid         int
	generations []generation
	counter     procmem.Counter
	limit       float64
}

func (t *track) subject() subject {
	return subject{
		name: t.name, pid: t.process.PID, generations: slices.Clone(t.generations), counter: t.counter(), limit: t.limitBytes(),
	}
}

// history reads one counter of a subject, its generations joined: where one overlaps the next, the next counts.
func (w *Watch) history(ctx context.Context, s subject, c procmem.Counter, from, to time.Time, step time.Duration) (trend.Series, []time.Time, error) {
	keys := make([]string, 0, len(s.generations))
	for _, g := range s.generations {
		if !g.Last.Before(from) && !slices.Contains(keys, g.Key) {
			keys = append(keys, g.Key)
		}
	}
	out := trend.Series{Name: c.String()}
	if len(keys) == 0 {
		return out, nil, nil
	}
	matches := []series.Match{{Label: labelProcess, Values: []string{s.name}}, {Label: labelStart, Values: keys}}
	parts, err := w.options.Series.Range(ctx, metric(c), matches, from, to, step)
	if err != nil {
		return out, nil, err
	}
	var restarts []time.Time
	for _, g := range s.generations {
		i := slices.IndexFunc(parts, func(p series.Series) bool {
			return p.Labels[labelStart] == g.Key && p.Labels[labelPID] == strconv.Itoa(g.PID)
		})
		if i < 0 || len(parts[i].Times) == 0 {
			continue
		}
		first := parts[i].Times[0]
		keep := sort.Search(len(out.Times), func(i int) bool { return !out.Times[i].Before(first) })
		out.Times, out.Values = out.Times[:keep], out.Values[:keep]
		if keep > 0 {
			restarts = append(restarts, first)
		}
		out.Times = append(out.Times, parts[i].Times...)
		out.Values = append(out.Values, parts[i].Values...)
	}
	return out, restarts, nil
}

// loads reads the activity counters as rates a second. A counter that starts anew, with its process, leaves a gap.
func (w *Watch) loads(ctx context.Context, from, to time.Time, step time.Duration) ([]trend.Series, error) {
	parts, err := w.options.Series.Range(ctx, metricActivity, nil, from, to, step)
	if err != nil {
		return nil, err
	}
	var all []trend.Series
	for _, p := range parts {
		if one := rates(p); len(one.Times) > 1 {
			all = append(all, one)
		}
	}
	return all, nil
}

func rates(p series.Series) trend.Series {
	out := trend.Series{Name: p.Labels[labelActivity] + " per second"}
	for i := 1; i < len(p.Times); i++ {
		events, seconds := p.Values[i]-p.Values[i-1], p.Times[i].Sub(p.Times[i-1]).Seconds()
		if events < 0 || seconds <= 0 {
			continue
		}
		out.Times = append(out.Times, p.Times[i])
		out.Values = append(out.Values, events/seconds)
	}
	return out
}

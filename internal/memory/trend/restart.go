package trend

import (
	"math"
	"sort"
	"time"
)

const (
	restartShare  = 0.5 // a fall below this share of the level before it may be a restart
	restartMost   = 3   // more falls of that kind than this are a sawtooth, not restarts
	restartAround = 5   // samples on either side whose medians are compared
)

// restartTimes are the given restarts and those found, in hours since origin, ascending, within the samples.
func restartTimes(given []time.Time, s samples, virtual *samples, origin time.Time, hour time.Duration) []float64 {
	var out []float64
	if len(s.t) == 0 {
		return nil
	}
	for _, at := range given {
		h := hoursBetween(origin, at, hour)
		if h > s.t[0] && h <= s.t[len(s.t)-1] {
			out = append(out, h)
		}
	}
	if len(out) == 0 {
		out = findRestarts(s, virtual)
	}
	sort.Float64s(out)
	kept := out[:0]
	for _, h := range out {
		if len(kept) == 0 || h > kept[len(kept)-1] {
			kept = append(kept, h)
		}
	}
	return kept
}

// findRestarts looks for falls to a small share of the level that last and that end near the lowest level of the log, as
// a new process starts small. Virtual bytes, where there are any, must fall with them: a trim of the working set or a
// collection keeps the address space.
func findRestarts(s samples, virtual *samples) []float64 {
	var out []float64
	if len(s.v) < 4*restartAround {
		return nil
	}
	low := math.NaN() // found when it is first needed
	for i := restartAround; i+restartAround <= len(s.v); i++ {
		if s.v[i] > restartShare*s.v[i-1] {
			continue
		}
		if math.IsNaN(low) {
			sorted := append([]float64(nil), s.v...)
			sort.Float64s(sorted)
			low = quantileSorted(sorted, 0.02)
		}
		before, after := median(s.v[i-restartAround:i]), median(s.v[i:i+restartAround])
		fell := after < restartShare*before && s.v[i] < low+0.25*(before-low)
		if fell && (virtual == nil || fallsAt(*virtual, s.t[i])) {
			out = append(out, s.t[i])
			i += restartAround
		}
		if len(out) > restartMost {
			return nil
		}
	}
	return out
}

// fallsAt says whether the series falls by a fifth or more around time t.
func fallsAt(s samples, t float64) bool {
	i := sort.SearchFloat64s(s.t, t)
	from, to := max(0, i-restartAround), min(len(s.v), i+restartAround)
	if i <= from || i >= to {
		return true // the virtual series has nothing to say here
	}
	return minOf(s.v[i:to]) < 0.8*median(s.v[from:i])
}

func minOf(x []float64) float64 {
	m := math.Inf(1)
	for _, v := range x {
		m = math.Min(m, v)
	}
	return m
}

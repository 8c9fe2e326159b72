package trend

import (
	"math"
	"sort"
	"time"
)

const (
	minWindowSamples = 4    // samples below which a floor is no quantile
	wantWindows      = 96   // windows aimed at when the log is shorter than as many hours
	maxWindows       = 1500 // windows beyond which they grow wider than an hour
	floorQuantile    = 0.10 // the floor: low enough to lie under a collector's sawtooth, above a single odd reading
	maxBytes         = 1e18 // readings beyond an exabyte are errors of the log, not memory
	maxSegments      = 400  // restarts beyond which a process does not live long enough to be judged
)

// samples is one series made fit for arithmetic: finite values at strictly ascending times, in hours of Options.Hour
// since origin.
type samples struct {
	t, v []float64
}

// clean drops what is missing, infinite, negative or absurd, and what does not come after the sample before it.
func clean(s Series, origin time.Time, hour time.Duration) samples {
	n := min(len(s.Times), len(s.Values))
	out := samples{t: make([]float64, 0, n), v: make([]float64, 0, n)}
	last := math.Inf(-1)
	for i := range n {
		v := s.Values[i]
		t := hoursBetween(origin, s.Times[i], hour)
		if !written(s.Times[i]) || math.IsNaN(v) || v < 0 || v > maxBytes || !(t > last) {
			continue
		}
		out.t, out.v, last = append(out.t, t), append(out.v, v), t
	}
	return out
}

// written says whether a time is one that a log could hold and JSON can: later than year 0 and well before 9999.
func written(t time.Time) bool { return t.Unix() > -62e9 && t.Unix() < 220e9 }

// hoursBetween is exact enough over any distance: time.Duration would overflow after 292 years.
func hoursBetween(from, to time.Time, hour time.Duration) float64 {
	seconds := float64(to.Unix()-from.Unix()) + float64(to.Nanosecond()-from.Nanosecond())/1e9
	return seconds / hour.Seconds()
}

// probes is how many values stand for all where a median of a long series is only a scale.
const probes = 512

// interval is the median distance of neighbouring samples in hours, 0 when there are fewer than two.
func (s samples) interval() float64 {
	n := len(s.t) - 1
	if n < 1 {
		return 0
	}
	stride := n/probes + 1
	d := make([]float64, 0, probes)
	for i := 0; i < n; i += stride {
		d = append(d, s.t[i+1]-s.t[i])
	}
	return median(d)
}

// usual is about the median of the values.
func (s samples) usual() float64 {
	stride := len(s.v)/probes + 1
	d := make([]float64, 0, probes)
	for i := 0; i < len(s.v); i += stride {
		d = append(d, s.v[i])
	}
	return median(d)
}

// covered is the time in hours that the samples stand for: gaps do not count.
func (s samples) covered() float64 {
	dt := s.interval()
	sum := 0.0
	for i := 1; i < len(s.t); i++ {
		if d := s.t[i] - s.t[i-1]; d <= gapIntervals*dt {
			sum += d
		}
	}
	return sum
}

// gapIntervals is how many sampling intervals may lie between two samples before it counts as a gap.
const gapIntervals = 10

// resolution is the smallest difference between two values of the series that are not equal: the size of a page, or a
// megabyte where the log was rounded.
func (s samples) resolution() float64 {
	best := math.Inf(1)
	for i := 1; i < len(s.v); i++ {
		if d := math.Abs(s.v[i] - s.v[i-1]); d > 0 && d < best {
			best = d
		}
	}
	if math.IsInf(best, 1) {
		return 0
	}
	return best
}

const (
	toothShare = 0.5  // falls of this share of the largest ones are the backs of teeth
	toothFew   = 8    // fewer of them are no sawtooth
	toothSkew  = 0.25 // rises of that size, as a share of the falls, beyond which it is mere noise
	toothLeast = 0.01 // share of the level below which a tooth does not matter
)

// sawtooth gives the time in hours that nine of ten teeth of a collector's sawtooth take: slow rises and sudden falls.
// It is 0 for anything else.
func (s samples) sawtooth() float64 {
	var falls []float64 // those that could be the usual tooth
	all, floor := 0, toothLeast/toothShare*s.usual()
	for i := 1; i < len(s.v); i++ {
		if d := s.v[i-1] - s.v[i]; d > 0 {
			all++
			if d > floor {
				falls = append(falls, d)
			}
		}
	}
	// The twentieth from the top is a usual tooth even where a purge or a restart fell further.
	rank := min(20, all/10+1)
	if all < toothFew || len(falls) < rank {
		return 0
	}
	sort.Float64s(falls)
	least := toothShare * falls[len(falls)-rank]
	var gaps []float64
	rises, last := 0, math.NaN()
	for i := 1; i < len(s.v); i++ {
		d := s.v[i-1] - s.v[i]
		if -d >= least {
			rises++
		}
		if d >= least {
			if !math.IsNaN(last) {
				gaps = append(gaps, s.t[i]-last)
			}
			last = s.t[i]
		}
	}
	if len(gaps) < toothFew || float64(rises) > toothSkew*float64(len(gaps)) {
		return 0
	}
	sort.Float64s(gaps)
	return quantileSorted(gaps, 0.9)
}

// windowHours chooses the width of the windows: an hour, less when the log is short, more when it is very long, and
// never so little that a window has fewer than minWindowSamples.
func windowHours(s samples) float64 {
	covered := s.covered()
	w := math.Min(1, covered/wantWindows)
	w = math.Max(w, minWindowSamples*s.interval()*1.001)
	if p := 1.25 * s.sawtooth(); p > w && p < covered/minWindows {
		w = p // a window must hold the foot of a tooth
	}
	return math.Max(w, covered/maxWindows)
}

// grid is the series after windows: one row a window, ascending; windows without samples are not there.
type grid struct {
	width float64   // hours
	index []int     // number of the window, so that gaps are known
	seg   []int     // number of the segment (time between restarts), from 0
	t     []float64 // mean time of the window's samples, hours
	age   []float64 // hours since the segment's first sample
	y     []float64 // floor, bytes
	nseg  int
}

func (g *grid) len() int { return len(g.y) }

// span is the length of the judged time in hours.
func (g *grid) span() float64 {
	if g.len() < 2 {
		return 0
	}
	return g.t[g.len()-1] - g.t[0] + g.width
}

// window is a run of samples [from, to) that became one row of a grid.
type window struct{ from, to, index, seg int }

// cut divides the samples into windows of the given width; a restart (times in hours, ascending) always ends one.
func cut(s samples, width float64, restarts []float64) []window {
	var out []window
	if !(width > 0) {
		return nil
	}
	seg, r := 0, 0
	for i := 0; i < len(s.t); {
		moved := false
		for r < len(restarts) && s.t[i] >= restarts[r] {
			r, moved = r+1, true
		}
		if moved && i > 0 && seg < maxSegments {
			seg++
		}
		k := math.Floor(s.t[i] / width)
		end, j := (k+1)*width, i+1
		if r < len(restarts) {
			end = math.Min(end, restarts[r])
		}
		for j < len(s.t) && s.t[j] < end {
			j++
		}
		out = append(out, window{from: i, to: j, index: int(math.Max(-1e15, math.Min(1e15, k))), seg: seg})
		i = j
	}
	return dropThin(out)
}

// dropThin leaves out windows with less than a third of the usual number of samples: their floor is not comparable.
func dropThin(ws []window) []window {
	if len(ws) < 3 {
		return ws
	}
	sizes := make([]float64, len(ws))
	for i, w := range ws {
		sizes[i] = float64(w.to - w.from)
	}
	least := median(sizes) / 3
	out := ws[:0]
	for _, w := range ws {
		if float64(w.to-w.from) >= least {
			out = append(out, w)
		}
	}
	return out
}

// floors makes the grid: the floorQuantile of each window, interpolated.
func floors(s samples, ws []window, width float64) *grid {
	g := &grid{width: width}
	buf := make([]float64, 0, 64)
	starts := map[int]float64{}
	for _, w := range ws {
		buf = append(buf[:0], s.v[w.from:w.to]...)
		sort.Float64s(buf)
		mid := 0.0
		for _, t := range s.t[w.from:w.to] {
			mid += t
		}
		mid /= float64(w.to - w.from)
		if n := len(g.seg); n == 0 || g.seg[n-1] != w.seg {
			starts[w.seg] = s.t[w.from]
			g.nseg++
		}
		g.index = append(g.index, w.index)
		g.seg = append(g.seg, w.seg)
		g.t = append(g.t, mid)
		g.age = append(g.age, mid-starts[w.seg])
		g.y = append(g.y, quantileSorted(buf, floorQuantile))
	}
	return g
}

// quantileSorted interpolates between order statistics (Hyndman and Fan 1996, type 7).
func quantileSorted(x []float64, q float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	h := q * float64(len(x)-1)
	i := int(h)
	if i+1 >= len(x) {
		return x[len(x)-1]
	}
	return x[i] + (h-float64(i))*(x[i+1]-x[i])
}

// median of x; x is left as it was. NaN when x is empty.
func median(x []float64) float64 {
	c := append([]float64(nil), x...)
	sort.Float64s(c)
	return quantileSorted(c, 0.5)
}

// robustSigma estimates a standard deviation from the median absolute deviation.
func robustSigma(x []float64) float64 {
	m := median(x)
	d := make([]float64, len(x))
	for i := range x {
		d[i] = math.Abs(x[i] - m)
	}
	return 1.4826 * median(d)
}

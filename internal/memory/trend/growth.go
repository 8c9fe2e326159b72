package trend

import (
	"fmt"
	"math"
	"sort"
)

const (
	minHours     = 18.0   // hours covered below which nothing is judged
	minWindows   = 24     // windows below which nothing is judged
	trendLevel   = 2.326  // one-sided 1 % of N(0,1)
	bentLevel    = 3.0    // the same where the place of a bend was searched for
	leastGrowth  = 0.005  // growth over the log, as a share of the level, that is worth a name
	leastSteps   = 2.0    // and in units of the log's resolution
	shapeMargin  = -2.0   // BIC by which growth that stops may be ahead: less than 2 is "not worth more than a mention" (Kass and Raftery 1995)
	secondShare  = 0.35   // pace in the second half of the growth, as a share of the whole
	secondLevel  = 0.8    // and its t
	underWarmUp  = 0.2    // growth beneath a warm-up, as a share of the warm-up, that is more than a warm-up not quite exponential
	afterWarmUp  = 36.0   // hours that must be left after a warm-up
	sureTrend    = 8.0    // t from which that does not matter
	underMargin  = 4.0    // BIC that growth beneath a warm-up must be ahead of a logarithm or a ramp, which have fewer ways to fit
	shortDays    = 4.0    // days below which a log is too short to know the day's cycle well
	backMost     = 0.5    // share of the growth that may be given back
	backStrong   = 0.8    // the same when the trend is beyond strongTrend
	strongTrend  = 5.0    // t beyond which more may be given back
	blocksOfSpan = 10     // given-back is measured on medians of this share of the log, of half a day at most
	power        = 0.8416 // 80 % point of N(0,1), for the detectable rate
)

// growth is what one series says: the model, the test and the rules.
type growth struct {
	name     string
	g        *grid
	m        *model
	grow     shape // the best shape that ends in growth
	stop     shape // the best shape that does not
	flat     shape
	test     trendTest
	slope    float64 // bytes an hour of Options.Hour
	se       float64
	level    float64 // median floor, bytes
	covered  float64 // hours
	total    float64 // growth over the time it lasted, bytes
	back     float64 // share given back
	explains float64 // share of the floors' variance that the loads explain
	swing    float64 // bytes between the 5 % and 95 % points of what the loads and the season add
	steps    []int
	enough   bool
	rules    []Evidence
}

// holds says whether every rule does: the series grows, and goes on growing.
func (w *growth) holds() bool {
	for _, r := range w.rules {
		if !r.Holds {
			return false
		}
	}
	return w.enough
}

// rule finds a rule by name.
func (w *growth) rule(name string) (Evidence, bool) {
	for _, r := range w.rules {
		if r.Rule == name {
			return r, true
		}
	}
	return Evidence{}, false
}

func (w *growth) add(rule string, value, threshold float64, holds bool, text string, args ...any) {
	w.rules = append(w.rules, Evidence{Rule: rule, Value: finite(value), Threshold: threshold, Holds: holds, Text: fmt.Sprintf(text, args...)})
}

// measure runs the whole way over one series. restarts are in hours since the samples' origin.
func measure(name string, s samples, loads []Series, aligned [][]float64, restarts []float64) *growth {
	w := &growth{name: name, covered: s.covered()}
	width := windowHours(s)
	ws := cut(s, width, restarts)
	w.g = floors(s, ws, width)
	w.level = median(w.g.y)
	w.enough = w.covered >= minHours && w.g.len() >= minWindows
	w.add("span", w.covered, minHours, w.enough, "%.1f hours of samples in %d windows; %g hours and %d windows are the least that is judged", w.covered, w.g.len(), minHours, minWindows)
	if w.g.len() < 8 || !(w.covered > 0) {
		w.enough = false
		w.back = fallen(w.g.y)
		return w
	}
	w.m = newModel(w.g)
	w.m.addDriven(loads, aligned, s, ws)
	w.m.addLoads(loadColumns(loads, aligned, s, ws, w.g))
	w.m.addSeason()
	w.steps = w.m.addSteps()
	best := w.m.shapes()
	w.flat = best[flat]
	w.explains, w.swing = w.m.loadShare()
	w.grow, w.stop = choose(best, late, bent, expLine, driven)
	w.estimate()
	if w.grow.kind == expLine && !w.beneath() {
		// Too little to tell growth beneath a warm-up: then it must show without one.
		w.grow, w.stop = choose(best, late, bent, driven)
		w.estimate()
	}
	w.judgeTrend(s.resolution())
	return w
}

// estimate runs the trend test on the chosen shape.
func (w *growth) estimate() {
	cols := append(w.m.with(w.grow.cols...), w.grow.slip...)
	target := len(w.m.base) + w.grow.target
	w.test = perronYabu(w.g, cols, w.m.y, target)
	unit := w.m.scale / w.m.hours
	w.slope, w.se = w.test.slope*unit, w.test.se*unit
	w.total = math.Max(0, w.test.slope) * w.m.scale * w.reach()
	w.back = w.givenBack()
}

// beneath says whether there is enough to tell growth beneath a warm-up: time after it, and more growth than a warm-up
// that is not quite exponential would leave.
func (w *growth) beneath() bool {
	enough := w.test.t >= sureTrend || w.total >= underWarmUp*w.amplitude(w.grow)
	return enough && w.covered-3*w.grow.tau >= afterWarmUp
}

// reach is the share of the log during which the growth lasted.
func (w *growth) reach() float64 {
	if w.grow.kind == late || w.grow.kind == bent {
		return 1 - w.grow.at
	}
	return 1
}

func (w *growth) judgeTrend(resolution float64) {
	level := trendLevel
	searched := w.grow.kind != line && w.grow.kind != driven || len(w.steps) > 0
	if searched || w.covered < 24*shortDays {
		level = bentLevel
	}
	noise := "noise that comes back to its level"
	if w.test.alpha == 1 {
		noise = "noise like a random walk"
	}
	once := math.Round(1 / (0.5 * math.Erfc(level/math.Sqrt2)))
	w.add("trend", w.test.t, level, w.test.ok && w.test.t > level,
		"t of the growth at the end by Perron and Yabu, with %s; of logs that do not grow about one in %g is above %.2f", noise, once, level)
	least := math.Max(leastGrowth*w.level, leastSteps*resolution)
	w.add("size", w.total, least, w.total >= least && w.total > 0, "growth over the log in bytes, against the least that is worth a name at this level and resolution (a two-hundredth of the level, two units of the last digit)")
	margin := w.stop.bic - w.grow.bic
	if nested(w.stop.kind, w.grow.kind) {
		margin = math.Max(margin, 0) // the same without its growth is what the trend test decides
	}
	ahead := shapeMargin
	if w.grow.kind == expLine && !nested(w.stop.kind, expLine) {
		ahead = underMargin
	}
	w.add("shape", margin, ahead, margin >= ahead,
		"BIC by which growth that goes on (%s) is ahead of growth that does not (%s)", w.grow.kind, w.stop.kind)
	share, t := w.secondHalf()
	w.add("persistence", share, secondShare, share > secondShare && t > secondLevel,
		"pace in the second half of the growth as a share of the whole pace, itself with t %.1f", finite(t))
	most := backMost
	if w.test.t >= strongTrend {
		most = backStrong
	}
	w.add("given back", w.back, most, w.back < most, "share of the growth that was given back again")
}

// secondHalf gives the pace of the later half of the growth as a share of the whole and its t, with the same noise.
func (w *growth) secondHalf() (share, t float64) {
	if w.grow.kind == driven {
		return w.secondSum()
	}
	from := 1 - w.reach()/2
	after := make([]float64, len(w.m.u))
	before := make([]float64, len(w.m.u))
	for i, u := range w.m.u {
		before[i], after[i] = math.Min(u, from), math.Max(0, u-from)
	}
	cols := w.m.with(before, after)
	if w.grow.kind == expLine { // the warm-up stays in, else it would pass for an early pace
		cols = append(w.m.with(w.grow.cols[:w.grow.target]...), before, after)
	}
	return w.pace(cols)
}

// secondSum is secondHalf where growth goes with the sum of a load: the sum before and after the middle.
func (w *growth) secondSum() (share, t float64) {
	sum := w.grow.cols[0]
	half := sum[0] + 0.5*(sum[len(sum)-1]-sum[0])
	before, after := make([]float64, len(sum)), make([]float64, len(sum))
	for i, v := range sum {
		before[i], after[i] = math.Min(v, half), math.Max(0, v-half)
	}
	return w.pace(append(w.m.with(before), after))
}

// pace gives the coefficient of the last column as a share of the whole growth's, and its t, with the test's noise.
func (w *growth) pace(cols [][]float64) (share, t float64) {
	target := len(cols) - 1
	tc, ty := quasiDifference(w.g, cols, w.m.y, w.test.alpha)
	f := leastSquares(tc, ty)
	rows := float64(f.n - f.k)
	if !f.ok || rows < 3 || !(w.test.slope > 0) {
		return 0, 0
	}
	se := math.Sqrt(f.variance(target, f.sse/rows))
	b := f.b[target]
	switch {
	case se > 0:
		return b / w.test.slope, b / se
	case b > 0:
		return b / w.test.slope, 99
	}
	return 0, 0
}

// adjusted gives the floors without loads, season, steps, warm-up and intercepts: growth and noise, in bytes.
func (w *growth) adjusted() []float64 {
	cols := w.m.with(w.grow.cols...)
	f := leastSquares(cols, w.m.y)
	target := len(w.m.base) + w.grow.target
	out := make([]float64, len(w.m.y))
	for i := range out {
		out[i] = (f.resid[i] + f.b[target]*cols[target][i]) * w.m.scale
	}
	return out
}

// givenBack is the deepest fall of the adjusted floor's block medians below their highest so far, as a share of the growth.
func (w *growth) givenBack() float64 {
	block := math.Min(12, w.g.span()/blocksOfSpan)
	fall, top, rise := 0.0, math.Inf(-1), 0.0
	low := math.Inf(1)
	adj := w.adjusted()
	for i := 0; i < len(adj); {
		j := i + 1
		for j < len(adj) && w.g.t[j]-w.g.t[i] < block {
			j++
		}
		v := median(adj[i:j])
		top, low = math.Max(top, v), math.Min(low, v)
		fall, rise = math.Max(fall, top-v), math.Max(rise, v-low)
		i = j
	}
	whole := math.Max(w.total, rise)
	if !(whole > 0) {
		return 0
	}
	return math.Min(1, fall/whole)
}

// fallen is the deepest fall below the highest so far, as a share of the whole spread.
func fallen(y []float64) float64 {
	spread, top, fall := spreadOf(y), math.Inf(-1), 0.0
	for _, v := range y {
		top = math.Max(top, v)
		fall = math.Max(fall, top-v)
	}
	if !(spread > 0) {
		return 0
	}
	return math.Min(1, fall/spread)
}

// loadShare is the share of the floors' variance, beside a line, that the loads and the season explain.
func (m *model) loadShare() (share, swing float64) {
	without := intercepts(m.g)
	j := len(without)
	var drop []int
	for _, t := range m.terms {
		for range t.cols {
			if t.step >= 0 {
				without = append(without, m.base[j])
			} else {
				drop = append(drop, j)
			}
			j++
		}
	}
	if len(drop) == 0 {
		return 0, 0
	}
	less := leastSquares(append(without, m.beside), m.y)
	full := leastSquares(m.with(m.beside), m.y)
	if !(less.sse > 0) {
		return 0, 0
	}
	add := make([]float64, len(m.y))
	for _, j := range drop {
		axpy(full.b[j]*m.scale, m.base[j], add)
	}
	sort.Float64s(add)
	return math.Max(0, 1-full.sse/less.sse), quantileSorted(add, 0.95) - quantileSorted(add, 0.05)
}

// finite is x, or 0 or a large number where JSON has no word for x.
func finite(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return 0
	case math.IsInf(x, 1) || x > 1e18:
		return 1e18
	case math.IsInf(x, -1) || x < -1e18:
		return -1e18
	}
	return x
}

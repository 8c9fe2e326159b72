package trend

import "math"

// kind is a shape of growth.
type kind int

const (
	flat    kind = iota // none
	line                // steady
	late                // none until a moment, steady from there
	bent                // steady, at another pace from a moment on
	expLine             // warm-up, and steady growth below it
	driven              // in step with the sum of one load
	expo                // warm-up: 1 - exp(-age/tau)
	ramp                // steady until a moment, none from there
	loga                // slowing: log(1 + age/tau)
)

// nested says that stop is grow with its last growth taken away.
func nested(stop, grow kind) bool {
	return stop == flat || stop == expo && grow == expLine || stop == ramp && grow == bent
}

func (k kind) String() string {
	return [...]string{"flat", "line", "late line", "bent line", "warm-up with line", "in step with a load", "warm-up", "ramp", "logarithm"}[k]
}

const (
	hingePlaces = 15   // places tried for a bend, from a tenth of the log to eight tenths
	coarseTau   = 1.6  // ratio of the time constants tried, first
	fineTau     = 1.25 // and then around the best one
	shortestTau = 1.9  // a warm-up's time constant is at most the age divided by this, else it cannot be told from a bend
	bendMargin  = 6.0  // BIC that a shape with a bend must gain over the straight line
)

// shape is one candidate with its columns; target is the column whose coefficient is the growth at the end, -1 for none.
type shape struct {
	kind   kind
	tau    float64 // hours, for expLine, expo and loga
	at     float64 // scaled time of the bend, for late, bent and ramp
	cols   [][]float64
	target int
	load   int // number of the load, for driven
	bic    float64
	slip   [][]float64 // derivatives by what was searched for: beside cols they carry its error into the growth's
	end    float64     // coefficient of target by least squares
}

// shapes scores every shape and gives the best of each kind.
func (m *model) shapes() map[kind]shape {
	best := map[kind]shape{}
	try := func(s shape, extra float64) {
		cols := m.with(s.cols...)
		s.bic = m.bic(cols, extra)
		if s.target >= 0 {
			s.end = leastSquares(cols, m.y).b[len(m.base)+s.target]
		}
		if b, ok := best[s.kind]; !ok || s.bic < b.bic {
			best[s.kind] = s
		}
	}
	try(shape{kind: flat, target: -1}, 0)
	try(shape{kind: line, cols: [][]float64{m.u}, target: 0}, 0)
	for _, d := range m.driven {
		try(shape{kind: driven, load: d.load, cols: [][]float64{d.sum}, target: 0}, 1)
	}
	longest := longestAge(m.g)
	for tau := math.Max(m.g.width, longest/64); tau < longest/shortestTau; tau *= coarseTau {
		m.warmUps(tau, try)
	}
	for _, k := range []kind{expo, expLine} { // and closer around the best
		for _, f := range []float64{fineTau, 1 / fineTau} {
			if b, ok := best[k]; ok && b.tau*f < longest/shortestTau {
				m.warmUps(b.tau*f, try)
			}
		}
	}
	for tau := m.g.width / 2; tau < longest; tau *= 1.8 {
		l := m.aged(func(age float64) float64 { return math.Log1p(age/tau) / math.Log1p(longest/tau) })
		try(shape{kind: loga, tau: tau, cols: l, target: -1}, 1)
	}
	if m.g.nseg == 1 {
		const step = 0.7 / (hingePlaces - 1)
		for p := range hingePlaces {
			m.bends(0.1+step*float64(p), try)
		}
		for _, k := range []kind{late, ramp, bent} {
			at := best[k].at
			m.bends(at-step/2, try)
			m.bends(at+step/2, try)
		}
	}
	return best
}

// warmUps tries the shapes with one time constant in hours.
func (m *model) warmUps(tau float64, try func(shape, float64)) {
	w := m.aged(func(age float64) float64 { return 1 - math.Exp(-age/tau) })
	try(shape{kind: expo, tau: tau, cols: w, target: -1}, 1)
	d := m.aged(func(age float64) float64 { return age / tau * math.Exp(-age/tau) })
	try(shape{kind: expLine, tau: tau, cols: append(w[:len(w):len(w)], m.u), target: len(w), slip: d}, 1)
}

// bends tries the shapes with one bend at a scaled time.
func (m *model) bends(at float64, try func(shape, float64)) {
	before, after, passed := make([]float64, len(m.u)), make([]float64, len(m.u)), make([]float64, len(m.u))
	for i, u := range m.u {
		before[i], after[i] = math.Min(u, at), math.Max(0, u-at)
		if u > at {
			passed[i] = 1
		}
	}
	slip := [][]float64{passed}
	try(shape{kind: late, at: at, cols: [][]float64{after}, target: 0, slip: slip}, 1)
	try(shape{kind: ramp, at: at, cols: [][]float64{before}, target: -1}, 1)
	try(shape{kind: bent, at: at, cols: [][]float64{before, after}, target: 1, slip: slip}, 1)
}

// aged makes columns of the process's age: one for the first segment, whose start the log may not have seen, and one for
// the segments after a restart.
func (m *model) aged(f func(float64) float64) [][]float64 {
	first := make([]float64, len(m.u))
	rest := make([]float64, len(m.u))
	some := false
	for i, age := range m.g.age {
		if m.g.seg[i] == m.g.seg[0] {
			first[i] = f(age)
			continue
		}
		rest[i], some = f(age), true
	}
	if some {
		return [][]float64{first, rest}
	}
	return [][]float64{first}
}

func longestAge(g *grid) float64 {
	longest := 0.0
	for _, a := range g.age {
		longest = math.Max(longest, a)
	}
	return math.Max(longest, g.width)
}

// choose picks the shape that explains the floors best, among those that end in growth and among those that do not. A
// bend must earn its place: searched breaks fit any slow noise.
func choose(best map[kind]shape, among ...kind) (grow, stop shape) {
	grow, stop = best[line], best[flat]
	for _, k := range among {
		if s, ok := best[k]; ok && s.end > 0 && s.bic < grow.bic && s.bic < best[line].bic-bendMargin {
			grow = s
		}
	}
	for _, k := range []kind{expo, ramp, loga} {
		if s, ok := best[k]; ok && s.bic < stop.bic {
			stop = s
		}
	}
	return grow, stop
}

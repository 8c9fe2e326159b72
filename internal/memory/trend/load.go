package trend

import "math"

const (
	loadMargin  = 6.0  // BIC that a load must gain to be taken: "strong" after Kass and Raftery (1995)
	loadMost    = 3    // loads in one model at most
	loadMissing = 0.25 // share of windows without a value beyond which a load is not used
	countFalls  = 0.01 // falls a rise up to which a series is a running count
	seasonDays  = 2.0  // days that must be covered before the day's cycle is fitted
)

// loadLags are the memories, in hours, with which memory may follow a load: none, an hour, four hours.
var loadLags = [...]float64{0, 1, 4}

// loadColumn is one way in which memory may follow one load series, centred, a value a window.
type loadColumn struct {
	load int
	name string
	lag  float64
	col  []float64
}

// rates turns a running count, which only ever rises except where it starts anew, into events a second; anything else is
// left as it is. A count is no level that memory could follow: beside it every leak would look explained.
func rates(l samples, hour float64) samples {
	falls, rises := 0, 0
	for i := 1; i < len(l.v); i++ {
		switch {
		case l.v[i] < l.v[i-1]:
			falls++
		case l.v[i] > l.v[i-1]:
			rises++
		}
	}
	if rises < 8 || float64(falls) > countFalls*float64(rises) {
		return l
	}
	out := samples{t: l.t[1:], v: make([]float64, len(l.v)-1)}
	for i := 1; i < len(l.v); i++ {
		d := l.v[i] - l.v[i-1]
		if d < 0 {
			d = l.v[i] // it started anew from zero
		}
		out.v[i-1] = d / ((l.t[i] - l.t[i-1]) * hour)
	}
	return out
}

// loadColumns makes the candidates of all series: the mean of the window, its exponentially weighted past, and the value
// at the samples that made the floor.
func loadColumns(loads []Series, aligned [][]float64, s samples, ws []window, g *grid) []loadColumn {
	var out []loadColumn
	for k, raw := range aligned {
		mean, low := windowLoads(raw, s, ws)
		if !fill(mean) || !fill(low) {
			continue
		}
		for _, lag := range loadLags {
			out = append(out, loadColumn{load: k, name: loads[k].Name, lag: lag, col: standard(smooth(mean, g, lag))})
		}
		out = append(out, loadColumn{load: k, name: loads[k].Name, lag: -1, col: standard(low)})
	}
	kept := out[:0]
	for _, c := range out {
		if c.col != nil {
			kept = append(kept, c)
		}
	}
	return kept
}

// align gives the load's value at each sample of memory: the latest one that is not older than a few intervals.
func align(load samples, s samples) []float64 {
	out := make([]float64, len(s.t))
	reach := 3 * math.Max(load.interval(), s.interval())
	j := -1
	for i, t := range s.t {
		for j+1 < len(load.t) && load.t[j+1] <= t+1e-9 {
			j++
		}
		out[i] = math.NaN()
		if j >= 0 && t-load.t[j] <= reach {
			out[i] = load.v[j]
		}
	}
	return out
}

// windowLoads gives, a window, the mean load and the load at the samples at or below the floor.
func windowLoads(raw []float64, s samples, ws []window) (mean, low []float64) {
	mean, low = make([]float64, len(ws)), make([]float64, len(ws))
	for i, w := range ws {
		v := s.v[w.from:w.to]
		cutoff := minOf(v) + 0.1*spreadOf(v)
		var sum, n, lowSum, lowN float64
		for j, l := range raw[w.from:w.to] {
			if math.IsNaN(l) {
				continue
			}
			sum, n = sum+l, n+1
			if v[j] <= cutoff {
				lowSum, lowN = lowSum+l, lowN+1
			}
		}
		mean[i], low[i] = sum/n, lowSum/lowN // NaN where there is none
	}
	return mean, low
}

// fill carries values over missing ones and says whether few enough were missing.
func fill(x []float64) bool {
	missing, last := 0, math.NaN()
	for i, v := range x {
		if math.IsNaN(v) {
			missing++
			x[i] = last
			continue
		}
		last = v
	}
	for i := len(x) - 1; i >= 0; i-- {
		if math.IsNaN(x[i]) {
			x[i] = last
		}
		last = x[i]
	}
	return len(x) > 0 && float64(missing) <= loadMissing*float64(len(x))
}

// smooth is an exponentially weighted mean with the given memory in hours.
func smooth(x []float64, g *grid, lag float64) []float64 {
	out := make([]float64, len(x))
	copy(out, x)
	if lag <= 0 {
		return out
	}
	for i := 1; i < len(out); i++ {
		w := math.Exp(-(g.t[i] - g.t[i-1]) / lag)
		out[i] = w*out[i-1] + (1-w)*x[i]
	}
	return out
}

// standard centres and scales; nil when there is nothing that varies.
func standard(x []float64) []float64 {
	spread := spreadOf(x)
	if !(spread > 0) || math.IsInf(spread, 0) {
		return nil
	}
	mean := 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for i := range x {
		x[i] = (x[i] - mean) / spread
	}
	return x
}

// addLoads takes loads into the model one after the other while each gains loadMargin in BIC beside plain growth, and only
// where memory rises with the load.
func (m *model) addLoads(candidates []loadColumn) {
	used := map[int]bool{}
	for range loadMost {
		now := m.bic(m.with(m.beside), 0)
		pick, best := -1, now-loadMargin
		for i, c := range candidates {
			if used[c.load] {
				continue
			}
			cols := m.with(c.col, m.beside)
			if f := leastSquares(cols, m.y); f.b[len(m.base)] <= 0 {
				continue
			}
			if b := m.bic(cols, 1); b < best {
				pick, best = i, b
			}
		}
		if pick < 0 {
			return
		}
		c := candidates[pick]
		used[c.load] = true
		m.base = append(m.base, c.col)
		m.terms = append(m.terms, term{load: c.load, name: c.name, step: -1, cols: 1})
	}
}

// addSeason takes the day's cycle into the model, 24 and 12 hours, where two days are covered and BIC wants it.
func (m *model) addSeason() {
	if m.g.span() < 24*seasonDays {
		return
	}
	now := m.bic(m.with(m.beside), 0)
	cols := make([][]float64, 4)
	for j := range cols {
		cols[j] = make([]float64, len(m.y))
	}
	for i, t := range m.g.t {
		cols[0][i], cols[1][i] = math.Sincos(2 * math.Pi * t / 24)
		cols[2][i], cols[3][i] = math.Sincos(2 * math.Pi * t / 12)
	}
	if m.bic(append(m.with(cols...), m.beside), 0) < now-loadMargin {
		m.base = append(m.base, cols...)
		m.terms = append(m.terms, term{load: -1, name: "day", step: -1, cols: 4})
	}
}

package trend

import "math"

// model is the regression that explains the floors: intercepts a segment, loads, season and steps as base columns, and a
// shape of growth. y is centred and scaled to a spread of one; time is scaled to the span.
type model struct {
	g      *grid
	y      []float64
	center float64
	scale  float64
	hours  float64 // span in hours: one unit of scaled time
	u      []float64
	base   [][]float64
	beside []float64 // plain growth: time, or the sum of a load, beside which loads, season and steps are chosen
	driven []drive
	terms  []term // what the base columns beyond the intercepts are
}

// term is one regressor that was taken into the model.
type term struct {
	load int // number of the load series, or -1
	name string
	step int // row of a step, or -1
	cols int // how many columns it has
}

func newModel(g *grid) *model {
	n := g.len()
	m := &model{g: g, y: make([]float64, n), u: make([]float64, n)}
	for _, v := range g.y {
		m.center += v / float64(n)
	}
	m.scale = spreadOf(g.y)
	if !(m.scale > 0) {
		m.scale = 1
	}
	m.hours = math.Max(g.t[n-1]-g.t[0], 1e-9)
	for i := range n {
		m.y[i] = (g.y[i] - m.center) / m.scale
		m.u[i] = (g.t[i] - g.t[0]) / m.hours
	}
	m.base, m.beside = intercepts(g), m.u
	return m
}

// intercepts are one column a segment: levels before and after a restart are not compared.
func intercepts(g *grid) [][]float64 {
	cols := make([][]float64, g.nseg)
	for j := range cols {
		cols[j] = make([]float64, g.len())
	}
	j, last := -1, math.MinInt
	for i, s := range g.seg {
		if s != last {
			j, last = j+1, s
		}
		cols[j][i] = 1
	}
	return cols
}

// with gives the base columns and more.
func (m *model) with(more ...[]float64) [][]float64 {
	out := make([][]float64, 0, len(m.base)+len(more))
	return append(append(out, m.base...), more...)
}

// alphaMost keeps the likelihood of the first rows finite while regressors are chosen.
const alphaMost = 0.98

// bic scores regressors by the likelihood of AR(1) errors: without that, slow noise would buy any regressor. extra counts
// parameters that are no column, as a time constant that was searched for.
func (m *model) bic(cols [][]float64, extra float64) float64 {
	f := leastSquares(cols, m.y)
	if !f.ok {
		return math.Inf(1)
	}
	n := float64(len(m.y))
	alpha := lagOne(m.g, f.resid)
	tc, ty := quasiDifference(m.g, cols, m.y, alpha)
	q := leastSquares(tc, ty)
	if !q.ok {
		return math.Inf(1)
	}
	// Noise below a ten-thousandth of the spread is rounding, not information.
	sse := math.Max(q.sse, n*1e-8)
	return n*math.Log(sse/n) - float64(m.g.nseg)*math.Log(1-alpha*alpha) + (float64(f.k)+extra)*math.Log(n)
}

// lagOne is the AR(1) coefficient of residuals, from 0 to alphaMost.
func lagOne(g *grid, u []float64) float64 {
	var num, den float64
	for i := 1; i < len(u); i++ {
		if g.seg[i] == g.seg[i-1] {
			num += u[i] * u[i-1]
			den += u[i-1] * u[i-1]
		}
	}
	if !(den > 0) {
		return 0
	}
	return math.Max(0, math.Min(alphaMost, num/den))
}

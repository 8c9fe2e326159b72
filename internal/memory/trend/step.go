package trend

import "math"

const (
	stepSigmas  = 6.0   // innovations beyond this many robust deviations may be steps
	stepMost    = 2     // upward steps that count as one-off; more are a leak in batches and stay in
	stepMargin  = 10.0  // BIC that a step must gain: "very strong" after Kass and Raftery (1995)
	stepLasting = 8.0   // hours that a step must last
	stepShare   = 0.5   // share of the jump that must still be there then
	stepLeast   = 0.008 // and as a share of the level, below which a step does not matter
)

// addSteps finds one-off changes of level and takes them into the model; it gives their rows and sizes in bytes.
func (m *model) addSteps() []int {
	rows := m.stepRows()
	up := 0
	for _, r := range rows {
		if r > 0 {
			up++
		}
	}
	if up > stepMost || len(rows)-up > stepMost {
		return nil
	}
	var taken []int
	for _, r := range rows {
		i := r
		if i < 0 {
			i = -i
		}
		col := make([]float64, len(m.y))
		for j := i; j < len(col) && m.g.seg[j] == m.g.seg[i]; j++ {
			col[j] = 1
		}
		if m.bic(m.with(col, m.beside), 1) > m.bic(m.with(m.beside), 0)-stepMargin {
			continue
		}
		m.base = append(m.base, col)
		m.terms = append(m.terms, term{load: -1, name: "step", step: i, cols: 1})
		taken = append(taken, i)
	}
	return taken
}

// stepRows are the rows where the level changes at once and stays: negative where it falls.
func (m *model) stepRows() []int {
	cols := m.with(m.beside)
	f := leastSquares(cols, m.y)
	if !f.ok {
		return nil
	}
	tc, ty := quasiDifference(m.g, cols, m.y, lagOne(m.g, f.resid))
	e := leastSquares(tc, ty).resid
	least := math.Max(stepSigmas*robustSigma(e), stepLeast*math.Abs(m.center)/m.scale)
	keep := max(3, int(stepLasting/m.g.width+0.5))
	keep = min(keep, max(3, len(m.y)/12))
	var rows []int
	for i := keep; i+keep <= len(e); i++ {
		if math.Abs(e[i]) < least || m.g.seg[i-keep] != m.g.seg[i+keep-1] {
			continue
		}
		jump := median(f.resid[i:i+keep]) - median(f.resid[i-keep:i])
		switch {
		case e[i] > 0 && jump > stepShare*e[i]:
			rows = append(rows, i)
		case e[i] < 0 && jump < stepShare*e[i]:
			rows = append(rows, -i)
		}
	}
	return mergeNear(rows, e)
}

// mergeNear keeps of neighbouring candidates the greater one: a step in the middle of a window shows in two.
func mergeNear(rows []int, e []float64) []int {
	abs := func(r int) int { return max(r, -r) }
	var out []int
	for _, r := range rows {
		n := len(out)
		if n > 0 && abs(r)-abs(out[n-1]) <= 1 {
			if math.Abs(e[abs(r)]) > math.Abs(e[abs(out[n-1])]) {
				out[n-1] = r
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

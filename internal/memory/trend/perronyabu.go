package trend

import "math"

// The trend test of Perron and Yabu, "Estimating deterministic trends with an integrated or stationary noise component",
// Journal of Econometrics 151 (2009) 56-69. Feasible GLS with an estimate of the sum of the autoregressive coefficients
// that is corrected for bias (Roy and Fuller 2001) and set to one when it is within T^-1/2 of one; then the t statistic of
// the slope is N(0,1) whether the noise is stationary or a random walk.
const (
	pyPercentile = -2.85 // section 4: the percentile of the unit-root t statistic that the correction aims at
	pyK          = 10    // section 4
	maxLags      = 6     // longest autoregression that BIC may choose
)

// trendTest is the outcome of the test on one regressor.
type trendTest struct {
	slope, se, t float64
	alpha        float64 // the truncated estimate; 1 is a random walk
	fit          fit     // the GLS fit
	ok           bool
}

// perronYabu tests column target of cols. The grid gives segments and gaps; quasi-differences never cross a restart.
func perronYabu(g *grid, cols [][]float64, y []float64, target int) trendTest {
	o := leastSquares(cols, y)
	if !o.ok || o.sse <= 0 {
		return exactTrend(g, cols, y, target)
	}
	ar := fitAR(g, o.resid)
	if !ar.ok {
		return trendTest{}
	}
	n := float64(len(y))
	alpha := ar.alpha + biasCorrection(ar.tau, n, ar.lags, max(2, o.k-g.nseg+1))*ar.se
	alpha = math.Max(alpha, -0.99)
	if math.Abs(alpha-1) <= 1/math.Sqrt(n) || alpha > 1 {
		alpha = 1
	}
	tc, ty := quasiDifference(g, cols, y, alpha)
	f := leastSquares(tc, ty)
	rows := float64(len(y) - f.k)
	if alpha == 1 {
		rows = float64(len(y) - max(f.k, 1) - g.nseg + 1)
	}
	if !f.ok || rows < 3 {
		return trendTest{}
	}
	h := f.sse / rows
	if ar.lags > 0 {
		h = longRun(f.resid, h, ar, alpha)
	}
	se := math.Sqrt(f.variance(target, h))
	tt := trendTest{slope: f.b[target], se: se, alpha: alpha, fit: f}
	tt.ok = se > 0 && !math.IsInf(se, 0) && !math.IsNaN(tt.slope)
	if tt.ok {
		tt.t = tt.slope / se
	}
	return tt
}

// exactTrend answers for series without any noise, where there is nothing to estimate it from.
func exactTrend(g *grid, cols [][]float64, y []float64, target int) trendTest {
	f := leastSquares(cols, y)
	if !f.ok {
		return trendTest{}
	}
	// A slope without noise is as certain as its own rounding.
	se := 1e-9 * math.Max(math.Abs(f.b[target]), spreadOf(y)/math.Max(g.span(), 1e-9))
	tt := trendTest{slope: f.b[target], se: se, fit: f, ok: true}
	if se > 0 {
		tt.t = tt.slope / se
	}
	return tt
}

func spreadOf(y []float64) float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range y {
		lo, hi = math.Min(lo, v), math.Max(hi, v)
	}
	if hi < lo {
		return 0
	}
	return hi - lo
}

// biasCorrection is C(tau) of Roy and Fuller (2001) as Perron and Yabu use it; p lags, r deterministic regressors.
func biasCorrection(tau, n float64, p, r int) float64 {
	ip := math.Floor(float64(p+2) / 2) // [(p+1)/2] of an AR(p+1)
	r1 := 1 + float64(r)
	c1 := r1 * n
	c2 := (r1*n - pyPercentile*pyPercentile*(ip+n)) / (pyPercentile * (pyK + pyPercentile) * (ip + n))
	switch {
	case tau > pyPercentile:
		return -tau
	case tau > -pyK:
		return ip*tau/n - r1/(tau+c2*(tau+pyK))
	case tau > -math.Sqrt(c1):
		return ip*tau/n - r1/tau
	}
	return 0
}

// autoregression is u_t = alpha u_{t-1} + sum phi_j (u_{t-j} - u_{t-j-1}) + e_t.
type autoregression struct {
	alpha, se, tau float64
	lags           int
	sigma2, phiSum float64
	ok             bool
}

// fitAR chooses the number of lags by BIC on the same rows; rows that would reach over a gap or a restart are left out.
func fitAR(g *grid, u []float64) autoregression {
	most := min(maxLags, len(u)/12)
	var rows []int
	for i := most + 1; i < len(u); i++ {
		if g.seg[i] == g.seg[i-most-1] && g.index[i]-g.index[i-most-1] == most+1 {
			rows = append(rows, i)
		}
	}
	if len(rows) < 2*most+6 { // too many gaps for lags: neighbours only
		most, rows = 0, rows[:0]
		for i := 1; i < len(u); i++ {
			if g.seg[i] == g.seg[i-1] {
				rows = append(rows, i)
			}
		}
	}
	if len(rows) < 6 {
		return autoregression{}
	}
	y := make([]float64, len(rows))
	cols := make([][]float64, most+1)
	for j := range cols {
		cols[j] = make([]float64, len(rows))
	}
	for r, i := range rows {
		y[r] = u[i]
		cols[0][r] = u[i-1]
		for j := 1; j <= most; j++ {
			cols[j][r] = u[i-j] - u[i-j-1]
		}
	}
	return bestAR(cols, y, most)
}

func bestAR(cols [][]float64, y []float64, most int) autoregression {
	var best autoregression
	least := math.Inf(1)
	n := float64(len(y))
	for p := 0; p <= most; p++ {
		f := leastSquares(cols[:p+1], y)
		if !f.ok || !(f.sse > 0) || !(f.inv[0] > 0) {
			continue
		}
		bic := n*math.Log(f.sse/n) + float64(p+1)*2
		if bic >= least {
			continue
		}
		least = bic
		s2 := f.sse / (n - float64(p+1))
		a := autoregression{alpha: f.b[0], se: math.Sqrt(f.variance(0, s2)), lags: p, sigma2: s2, ok: true}
		a.tau = (a.alpha - 1) / a.se
		for _, b := range f.b[1:] {
			a.phiSum += b
		}
		best = a
	}
	return best
}

// quasiDifference turns rows into u_t - alpha^g u_{t-g}, scaled to equal variance over gaps g; the first row of a segment
// is weighted by its stationary variance (Prais and Winsten), which is no weight at all when alpha is 1.
func quasiDifference(g *grid, cols [][]float64, y []float64, alpha float64) ([][]float64, []float64) {
	n := len(y)
	lagged, scale := make([]float64, n), make([]float64, n)
	first := math.Sqrt(math.Max(0, 1-alpha*alpha))
	for i := range n {
		scale[i] = first
		if i == 0 || g.seg[i] != g.seg[i-1] {
			continue
		}
		gap := math.Max(1, float64(g.index[i]-g.index[i-1]))
		switch {
		case gap == 1:
			lagged[i], scale[i] = alpha, 1
		case alpha == 1:
			lagged[i], scale[i] = 1, 1/math.Sqrt(gap)
		default:
			p := math.Pow(math.Abs(alpha), gap)
			lagged[i], scale[i] = math.Copysign(p, alpha), math.Sqrt((1-alpha*alpha)/(1-p*p))
		}
	}
	turn := func(x []float64) []float64 {
		out := make([]float64, n)
		prev := 0.0
		for i, v := range x[:n] {
			out[i] = (v - lagged[i]*prev) * scale[i]
			prev = v
		}
		return out
	}
	tc := make([][]float64, len(cols))
	for j := range cols {
		tc[j] = turn(cols[j])
	}
	return tc, turn(y)
}

// longRun estimates the variance that short memory beyond the AR(1) leaves: from the autoregression when the noise is a
// random walk, else by the quadratic spectral kernel with Andrews' (1991) bandwidth, as in the paper's section 3.
func longRun(e []float64, s2 float64, ar autoregression, alpha float64) float64 {
	if alpha == 1 {
		d := 1 - ar.phiSum
		if d < 0.1 {
			d = 0.1
		}
		return ar.sigma2 / (d * d)
	}
	n := float64(len(e))
	var num, den float64
	for i := 1; i < len(e); i++ {
		num += e[i] * e[i-1]
		den += e[i-1] * e[i-1]
	}
	rho := 0.0
	if den > 0 {
		rho = math.Max(-0.9, math.Min(0.9, num/den))
	}
	a2 := 4 * rho * rho / math.Pow(1-rho, 4)
	m := math.Max(1e-3, 1.3221*math.Pow(a2*n, 0.2))
	sum := s2
	for j := 1; j < len(e) && float64(j) < 6*m+1; j++ {
		c := dot(e[j:], e[:len(e)-j]) / n
		sum += 2 * quadraticSpectral(float64(j)/m) * c
	}
	if sum <= 0.05*s2 {
		return 0.05 * s2
	}
	return sum
}

func quadraticSpectral(x float64) float64 {
	z := 6 * math.Pi * x / 5
	if z == 0 {
		return 1
	}
	return 3 / (z * z) * (math.Sin(z)/z - math.Cos(z))
}

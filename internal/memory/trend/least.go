package trend

import "math"

// fit is a least-squares solution: y = sum b_j col_j + residual.
type fit struct {
	b     []float64
	inv   []float64 // inverse of X'X, k by k, row by row; rows and columns of dropped regressors are zero
	sse   float64
	n, k  int // rows, and regressors that were not dropped
	resid []float64
	ok    bool
}

// variance of the j-th coefficient for residual variance s2.
func (f *fit) variance(j int, s2 float64) float64 { return s2 * f.inv[j*len(f.b)+j] }

// collinear is the share of a regressor's sum of squares that must be its own; below it the regressor is dropped.
const collinear = 1e-9

// leastSquares solves by Cholesky on the scaled normal equations: few columns, many rows. Regressors that the earlier
// ones explain are dropped (coefficient 0).
func leastSquares(cols [][]float64, y []float64) fit {
	k, n := len(cols), len(y)
	f := fit{b: make([]float64, k), inv: make([]float64, k*k), n: n}
	g := make([]float64, k*k)
	rhs := make([]float64, k)
	for i := range k {
		ci := cols[i][:n]
		for j := 0; j <= i; j++ {
			g[i*k+j] = dot(ci, cols[j][:n])
		}
		rhs[i] = dot(ci, y)
	}
	live := cholesky(g, k)
	solveCholesky(g, k, live, rhs, f.b)
	invertCholesky(g, k, live, f.inv)
	f.resid = make([]float64, n)
	copy(f.resid, y)
	for j := range k {
		if live[j] {
			f.k++
			axpy(-f.b[j], cols[j][:n], f.resid)
		}
	}
	f.sse = dot(f.resid, f.resid)
	f.ok = n > f.k && !math.IsNaN(f.sse) && !math.IsInf(f.sse, 0)
	return f
}

func dot(a, b []float64) float64 {
	s := 0.0
	b = b[:len(a)]
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func axpy(f float64, x, y []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += f * v
	}
}

// cholesky turns the lower half of g into its factor in place and says which columns are live.
func cholesky(g []float64, k int) []bool {
	live := make([]bool, k)
	for j := range k {
		own := g[j*k+j]
		d := own
		for m := range j {
			if live[m] {
				d -= g[j*k+m] * g[j*k+m]
			}
		}
		if !(own > 0) || d <= collinear*own {
			continue
		}
		live[j] = true
		g[j*k+j] = math.Sqrt(d)
		for i := j + 1; i < k; i++ {
			s := g[i*k+j]
			for m := range j {
				if live[m] {
					s -= g[i*k+m] * g[j*k+m]
				}
			}
			g[i*k+j] = s / g[j*k+j]
		}
	}
	return live
}

func solveCholesky(g []float64, k int, live []bool, rhs, out []float64) {
	for i := range k {
		if !live[i] {
			out[i] = 0
			continue
		}
		s := rhs[i]
		for m := range i {
			if live[m] {
				s -= g[i*k+m] * out[m]
			}
		}
		out[i] = s / g[i*k+i]
	}
	for i := k - 1; i >= 0; i-- {
		if !live[i] {
			continue
		}
		s := out[i]
		for m := i + 1; m < k; m++ {
			if live[m] {
				s -= g[m*k+i] * out[m]
			}
		}
		out[i] = s / g[i*k+i]
	}
}

func invertCholesky(g []float64, k int, live []bool, inv []float64) {
	e, x := make([]float64, k), make([]float64, k)
	for j := range k {
		if !live[j] {
			continue
		}
		clear(e)
		e[j] = 1
		solveCholesky(g, k, live, e, x)
		for i := range k {
			inv[i*k+j] = x[i]
		}
	}
}

package trend

import "math"

// weights of a logistic: the constant, two margins that depend on the verdict, and the logarithm of the days covered.
// They were fitted with a small ridge on the generated families with the tuning seed (TestFitConfidence, FIT=1) and are
// frozen here; so a confidence speaks of a population like those families, half of which leak.
type weights [4]float64

func weightsOf(v Verdict) weights {
	switch v {
	case Leak, Fragmentation:
		return weights{-0.32, 1.97, 0.40, 0.36}
	case WarmUp:
		return weights{-3.39, 0.88, -0.39, 0.98}
	case Load:
		return weights{3.54, 1.12, -0.07, 1.77}
	case Step:
		return weights{3.80, 0.66, 0.38, 1.42}
	case Stable, Retention:
		return weights{1.96, 0.47, -0.24, -0.02}
	}
	return weights{} // inconclusive: a half, for nothing is claimed
}

const (
	leastConfidence = 0.3
	mostConfidence  = 0.999
)

// confidence is the probability that the verdict is right.
func (c *judgement) confidence() float64 {
	if c.finding.Verdict == Inconclusive {
		return 0.5
	}
	w, x := weightsOf(c.finding.Verdict), c.margins()
	sum := 0.0
	for i := range w {
		sum += w[i] * x[i]
	}
	p := 1 / (1 + math.Exp(-sum))
	if math.IsNaN(p) {
		return leastConfidence
	}
	return math.Max(leastConfidence, math.Min(mostConfidence, p))
}

// margins says by how much the verdict's rules were met: logarithms, held between bounds.
func (c *judgement) margins() weights {
	w := c.lead
	x := weights{1, 0, 0, bounded(math.Log(w.covered/24), -1, 4)}
	if w.m == nil {
		return x
	}
	switch c.finding.Verdict {
	case Leak, Fragmentation:
		t, _ := w.rule("trend")
		x[1] = bounded(math.Log(t.Value/t.Threshold), 0, 3)
		s, _ := w.rule("shape")
		x[2] = bounded(math.Log1p(s.Value-s.Threshold), 0, 4)
	case WarmUp:
		x[1] = bounded(math.Log1p(w.flat.bic-w.stop.bic), 0, 7)
		x[2] = bounded(math.Log(math.Max(w.test.t, 0.1)), -2, 3)
	case Load:
		x[1] = bounded(math.Log(w.swing/(loadSwing*w.level)), 0, 3)
		x[2] = bounded(w.test.t, -3, 5)
	default:
		x[1] = bounded(math.Log(vagueRate*w.level/24/w.detectable()), -2, 4)
		x[2] = bounded(w.test.t, -3, 5)
	}
	return x
}

func bounded(x, lo, hi float64) float64 {
	if math.IsNaN(x) {
		return lo
	}
	return math.Max(lo, math.Min(hi, x))
}

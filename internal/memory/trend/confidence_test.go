package trend

import (
	"math"
	"os"
	"testing"
	"time"
)

// example is one judged process of the families.
type example struct {
	verdict    Verdict
	x          weights
	confidence float64
	right      bool
}

func examples(seed uint64, each int) []example {
	var out []example
	for _, days := range []float64{1, 2, 3, 5, 7, 14} {
		for _, f := range makers() {
			if f.long && days <= 3 {
				continue
			}
			for i := range each {
				m := generate(f, seed, i, days, i%2 == 0)
				c := &judgement{in: m.input, hour: time.Hour, finding: Finding{Drivers: []Driver{}}}
				c.read()
				c.measureAll()
				c.classify()
				c.report()
				var sc score
				right := sc.add(c.finding, m.want, m.rate)
				out = append(out, example{c.finding.Verdict, c.margins(), c.finding.Confidence, right})
			}
		}
	}
	return out
}

// TestFitConfidence prints the weights that weightsOf should hold; it runs with FIT=1 only.
func TestFitConfidence(t *testing.T) {
	if os.Getenv("FIT") == "" {
		t.Skip("set FIT=1 to fit the confidence on the tuning seed")
	}
	all := examples(tuningSeed, 40)
	for _, v := range []Verdict{Leak, WarmUp, Load, Step, Stable} {
		var w weights
		n := 0
		for range 4000 {
			var g weights
			n = 0
			for _, e := range all {
				if e.verdict != v {
					continue
				}
				n++
				z := 0.0
				for k := range w {
					z += w[k] * e.x[k]
				}
				d := -1 / (1 + math.Exp(-z))
				if e.right {
					d++
				}
				for k := range w {
					g[k] += d * e.x[k]
				}
			}
			for k := range w {
				w[k] += 0.3 * (g[k]/float64(n) - 0.001*w[k])
			}
		}
		t.Logf("%s (%d): %.2f", v, n, w)
	}
}

// TestConfidence holds the calibration on seeds that were not fitted on: of the answers given with a confidence, that
// share is right.
func TestConfidence(t *testing.T) {
	bins := []float64{0, 0.7, 0.9, 0.97, 1.01}
	var n, right, sum [4]float64
	for _, e := range examples(heldOutSeed, 3) {
		if e.verdict == Inconclusive {
			continue
		}
		for b := range n {
			if e.confidence >= bins[b] && e.confidence < bins[b+1] {
				n[b]++
				sum[b] += e.confidence
				if e.right {
					right[b]++
				}
			}
		}
	}
	for b := range n {
		t.Logf("confidence %.2f to %.2f: %.0f answers, mean %.3f, right %.3f", bins[b], bins[b+1], n[b], sum[b]/n[b], right[b]/n[b])
		if n[b] >= 40 && math.Abs(sum[b]-right[b])/n[b] > 0.12 {
			t.Errorf("confidence %.2f to %.2f is off: mean %.3f, right %.3f", bins[b], bins[b+1], sum[b]/n[b], right[b]/n[b])
		}
	}
}

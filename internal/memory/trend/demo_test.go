package trend

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// demoProcess is a Go program in fast time: a sample every 250 ms, an hour of two seconds, a collector's sawtooth, pages,
// and now and then a jump of some megabytes. grow gives the live bytes after some seconds.
func demoProcess(seed uint64, seconds float64, grow func(s float64) float64) Input {
	r := rand.New(rand.NewPCG(seed, 77))
	s := Series{Name: "rss"}
	start := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	jumps, top, saw := 0.0, 2e6+6e6*r.Float64(), 0.0
	period := 1.5 + 5*r.Float64()
	for t := 0.0; t < seconds; t += 0.25 {
		saw += top * 0.25 / period * (0.6 + 0.8*r.Float64())
		if saw > top {
			saw = 0
		}
		if r.Float64() < 0.01 {
			jumps = float64(1+r.IntN(4)) * 1e6 // the scavenger gives it back with the next one
		}
		v := 30e6 + grow(t) + saw + jumps
		s.Times = append(s.Times, start.Add(time.Duration(t*1e9)))
		s.Values = append(s.Values, math.Round(v/4096)*4096)
	}
	return Input{Process: "demo", Memory: s}
}

// TestDemo is what the demonstration promises: within minutes the program that leaks is named, and the one that warms up
// is not, at any look.
func TestDemo(t *testing.T) {
	opt := Options{Hour: 2 * time.Second}
	named, falseLooks, twice, looks := 0, 0, 0, 0
	const programs = 30
	var errs []float64
	for seed := range uint64(programs) {
		rate := []float64{0.1e6, 0.3e6, 1e6}[seed%3]
		leak := func(s float64) float64 { return rate * s }
		f := Judge(demoProcess(seed, 150, leak), opt)
		if f.Verdict != Leak && rate >= 1e6 {
			t.Errorf("a leak of 1 MB/s is not named")
		}
		if f.Verdict == Leak {
			named++
			errs = append(errs, math.Abs(f.Rate.BytesPerDay/86400-rate)/rate)
		} else {
			t.Logf("leak %d of %.1f MB/s: %s %s", seed, rate/1e6, f.Verdict, brief(f))
		}
		size, tau := []float64{20e6, 50e6, 100e6}[seed/3%3], 10+6*float64(seed%4)/3
		warm := func(s float64) float64 { return size * (1 - math.Exp(-s/tau)) }
		last := false
		for s := 30.0; s <= 150; s += 10 {
			looks++
			w := Judge(demoProcess(seed+1000, s, warm), opt)
			if w.Verdict == Leak {
				t.Logf("warm-up %d of %.0f MB, tau %.0f s, after %.0f s: leak %s", seed, size/1e6, tau, s, brief(w))
				falseLooks++
				if last {
					twice++
				}
			}
			last = w.Verdict == Leak
		}
		if v := Judge(demoProcess(seed+1000, 150, warm), opt).Verdict; v != WarmUp && v != Stable {
			t.Errorf("warm-up %d at the end: %s", seed, v)
		}
	}
	t.Logf("named %d of %d, rate error median %.3f; false looks %d of %d, twice in a row %d", named, programs, median(errs), falseLooks, looks, twice)
	if named < programs*8/10 {
		t.Errorf("named %d of %d leaks", named, programs)
	}
	if twice > 0 || falseLooks > looks/100 {
		t.Errorf("%d false looks of %d", falseLooks, looks)
	}
}

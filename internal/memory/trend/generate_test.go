package trend

import (
	"math"
	"math/rand/v2"
	"time"
)

// made is a generated process whose truth is known.
type made struct {
	input Input
	want  Verdict
	rate  float64 // bytes a day where want is Leak
}

// plan is what every family starts from.
type plan struct {
	r        *rand.Rand
	days     float64
	step     float64 // seconds
	n        int
	level    float64   // bytes
	sessions []float64 // a working day's load
	requests []float64
	noise    []float64 // bytes
	coupling float64   // bytes a session
	input    Input
}

// short says that the log has no more than three days.
func (p *plan) short() bool { return p.days <= 3 }

func (p *plan) between(lo, hi float64) float64 { return lo + (hi-lo)*p.r.Float64() }

func (p *plan) logBetween(lo, hi float64) float64 {
	return math.Exp(p.between(math.Log(lo), math.Log(hi)))
}

// day is the time of row i in days.
func (p *plan) day(i int) float64 { return float64(i) * p.step / 86400 }

// rate draws a leak in bytes a day: what a log of this length should show.
func (p *plan) rate() float64 {
	if p.short() {
		return p.level * p.logBetween(0.04, 0.2)
	}
	return p.level * p.logBetween(0.01, 0.08)
}

func newPlan(seed1, seed2 uint64, days float64) *plan {
	p := &plan{r: rand.New(rand.NewPCG(seed1, seed2)), days: days, step: 300}
	if p.short() {
		p.step = 60
	}
	p.n = int(days * 86400 / p.step)
	p.level = p.logBetween(50e6, 1500e6)
	peak, night := p.logBetween(100, 8000), p.between(0.03, 0.3)
	start, weekday := p.between(0, 24), p.r.IntN(7)
	wobble := p.ar(0.3, 2)
	for i := range p.n {
		h := math.Mod(start+float64(i)*p.step/3600, 24)
		d := weekday + int((start+float64(i)*p.step/3600)/24)
		bell := math.Exp(-math.Pow((h-13)/4, 2) / 2)
		if d%7 >= 5 {
			bell *= 0.15
		}
		l := peak * (night + (1-night)*bell) * math.Exp(0.5*wobble[i])
		p.sessions = append(p.sessions, math.Round(l))
		p.requests = append(p.requests, l*0.1*math.Exp(0.1*p.r.NormFloat64()))
	}
	p.noise = p.ar(p.level*p.logBetween(0.002, 0.015), p.logBetween(0.2, 4))
	p.coupling = p.level * p.between(0, 0.05) / peak
	return p
}

// ar is AR(1) noise of the given deviation and correlation time in hours.
func (p *plan) ar(sd, hours float64) []float64 {
	a := math.Exp(-p.step / 3600 / hours)
	out := make([]float64, p.n)
	u := p.r.NormFloat64()
	for i := range out {
		u = a*u + math.Sqrt(1-a*a)*p.r.NormFloat64()
		out[i] = u * sd
	}
	return out
}

// finish adds noise and load and makes the input. withLoads says whether the judge sees the load.
func (p *plan) finish(y []float64, withLoads bool) Input {
	t0 := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	mem := Series{Name: "Private Bytes"}
	ses, req := Series{Name: "Sessions"}, Series{Name: "Requests/sec"}
	for i, v := range y {
		at := t0.Add(time.Duration(float64(i) * p.step * 1e9))
		v += p.noise[i] + p.coupling*p.sessions[i]
		if math.IsNaN(v) {
			continue
		}
		mem.Times, mem.Values = append(mem.Times, at), append(mem.Values, math.Max(4096, math.Round(v/4096)*4096))
		ses.Times, ses.Values = append(ses.Times, at), append(ses.Values, p.sessions[i])
		req.Times, req.Values = append(req.Times, at), append(req.Values, p.requests[i])
	}
	p.input.Process, p.input.Memory = "made", mem
	p.input.LimitBytes, p.input.LimitOf = 2<<30, mem.Name
	if withLoads {
		p.input.Loads = []Series{ses, req}
	}
	return p.input
}

// curve fills a series from a function of the day.
func (p *plan) curve(f func(day float64) float64) []float64 {
	y := make([]float64, p.n)
	for i := range y {
		y[i] = f(p.day(i))
	}
	return y
}

// maker is one family of processes.
type maker struct {
	name string
	leak bool
	long bool // only for logs of more than three days
	make func(p *plan) (y []float64, want Verdict, rate float64)
}

func makers() []maker {
	return []maker{
		{"P1 linear", true, false, func(p *plan) ([]float64, Verdict, float64) {
			r := p.rate()
			return p.curve(func(d float64) float64 { return p.level + r*d }), Leak, r
		}},
		{"P2 with load", true, false, func(p *plan) ([]float64, Verdict, float64) {
			r := p.rate()
			sum, y := 0.0, make([]float64, p.n)
			for _, s := range p.requests {
				sum += s
			}
			run := 0.0
			for i, s := range p.requests {
				run += s
				y[i] = p.level + r*p.days*run/sum
			}
			return y, Leak, r
		}},
		{"P3 sawtooth", true, false, func(p *plan) ([]float64, Verdict, float64) {
			r := p.rate()
			saw := p.saw()
			y := p.curve(func(d float64) float64 { return p.level + r*d })
			for i := range y {
				y[i] += saw[i]
			}
			return y, Leak, r
		}},
		{"P4 batch", true, true, func(p *plan) ([]float64, Verdict, float64) {
			r, at := p.rate(), p.r.Float64()
			return p.curve(func(d float64) float64 { return p.level + r*math.Floor(d+at) }), Leak, r
		}},
		{"P5 warm-up, leak", true, false, func(p *plan) ([]float64, Verdict, float64) {
			r, a, tau := p.rate(), p.level*p.between(0.2, 0.6), p.tau()
			return p.curve(func(d float64) float64 { return p.level + a*(1-math.Exp(-d/tau)) + r*d }), Leak, r
		}},
		{"P6 late", true, false, func(p *plan) ([]float64, Verdict, float64) {
			r, at := p.rate(), p.days*p.between(0.3, 0.6)
			return p.curve(func(d float64) float64 { return p.level + r*math.Max(0, d-at) }), Leak, r
		}},
		{"P7 slow", true, true, func(p *plan) ([]float64, Verdict, float64) {
			r := p.level * p.between(0.0012, 0.004)
			return p.curve(func(d float64) float64 { return p.level + r*d }), Leak, r
		}},
		{"PR restarts", true, false, func(p *plan) ([]float64, Verdict, float64) {
			r := p.rate()
			age := p.ages(1 + p.r.IntN(3))
			return p.over(age, func(d float64) float64 { return p.level + r*d }), Leak, r
		}},
		{"PG gaps", true, false, func(p *plan) ([]float64, Verdict, float64) {
			r := p.rate()
			y := p.curve(func(d float64) float64 { return p.level + r*d })
			return p.holes(y), Leak, r
		}},
		{"PM megabytes", true, false, func(p *plan) ([]float64, Verdict, float64) {
			r := p.rate()
			return p.megabytes(p.curve(func(d float64) float64 { return p.level + r*d })), Leak, r
		}},
		{"N1 flat", false, false, func(p *plan) ([]float64, Verdict, float64) {
			return p.curve(func(float64) float64 { return p.level }), Stable, 0
		}},
		{"N2 random walk", false, false, func(p *plan) ([]float64, Verdict, float64) {
			p.noise = p.ar(p.level*p.between(0.02, 0.04), p.between(24, 72))
			return p.curve(func(float64) float64 { return p.level }), Stable, 0
		}},
		{"N3 season", false, false, func(p *plan) ([]float64, Verdict, float64) {
			p.coupling *= p.between(6, 20)
			return p.curve(func(float64) float64 { return p.level }), Load, 0
		}},
		{"N4 warm-up", false, false, func(p *plan) ([]float64, Verdict, float64) {
			a, tau := p.level*p.between(0.2, 0.6), p.tau()
			return p.curve(func(d float64) float64 { return p.level + a*(1-math.Exp(-d/tau)) }), WarmUp, 0
		}},
		{"N5 steps", false, false, func(p *plan) ([]float64, Verdict, float64) {
			n := 1 + p.r.IntN(2)
			at, by := make([]float64, n), make([]float64, n)
			for k := range at {
				at[k], by[k] = p.days*p.between(0.2, 0.8), p.level*p.between(0.1, 0.3)
			}
			return p.curve(func(d float64) float64 {
				v := p.level
				for k := range at {
					if d >= at[k] {
						v += by[k]
					}
				}
				return v
			}), Step, 0
		}},
		{"N6 logarithm", false, false, func(p *plan) ([]float64, Verdict, float64) {
			tau := p.logBetween(0.2, 2) / 24
			a := p.level * p.between(0.15, 0.4) / math.Log1p(p.days/tau)
			return p.curve(func(d float64) float64 { return p.level + a*math.Log1p(d/tau) }), WarmUp, 0
		}},
		{"N7 traffic", false, false, func(p *plan) ([]float64, Verdict, float64) {
			g := p.between(0.02, 0.06)
			for i := range p.sessions {
				p.sessions[i] *= 1 + g*p.day(i)
				p.requests[i] *= 1 + g*p.day(i)
			}
			p.coupling *= p.between(4, 12)
			return p.curve(func(float64) float64 { return p.level }), Load, 0
		}},
		{"N8 slow cycle", false, true, func(p *plan) ([]float64, Verdict, float64) {
			a, period, ph := p.level*p.between(0.03, 0.1), p.between(2.5, 5), p.between(0, 2*math.Pi)
			return p.curve(func(d float64) float64 { return p.level + a*math.Sin(ph+2*math.Pi*d/period) }), Stable, 0
		}},
		{"NR restarts", false, false, func(p *plan) ([]float64, Verdict, float64) {
			a, tau := p.level*p.between(0.2, 0.5), p.tau()/2
			age := p.ages(1 + p.r.IntN(3))
			return p.over(age, func(d float64) float64 { return p.level + a*(1-math.Exp(-d/tau)) }), Stable, 0
		}},
		{"NG sawtooth", false, false, func(p *plan) ([]float64, Verdict, float64) {
			saw := p.saw()
			for i := range saw {
				saw[i] += p.level
			}
			return saw, Stable, 0
		}},
		{"NH gaps", false, false, func(p *plan) ([]float64, Verdict, float64) {
			return p.holes(p.curve(func(float64) float64 { return p.level })), Stable, 0
		}},
		{"NM megabytes", false, false, func(p *plan) ([]float64, Verdict, float64) {
			return p.megabytes(p.curve(func(float64) float64 { return p.level })), Stable, 0
		}},
		{"NP ramp, plateau", false, false, func(p *plan) ([]float64, Verdict, float64) {
			end, a := p.days*p.between(0.2, 0.5), p.level*p.between(0.2, 0.6)
			return p.curve(func(d float64) float64 { return p.level + a*math.Min(1, d/end) }), WarmUp, 0
		}},
		{"NS spikes", false, false, func(p *plan) ([]float64, Verdict, float64) {
			y := p.curve(func(float64) float64 { return p.level })
			for range int(3 * p.days) {
				from, size := p.r.IntN(p.n), p.level*p.between(0.1, 0.5)
				for i := from; i < min(p.n, from+1+p.r.IntN(int(1800/p.step)+1)); i++ {
					y[i] += size
				}
			}
			return y, Stable, 0
		}},
	}
}

// tau is a time constant of warm-up in days that the log can show to its end.
func (p *plan) tau() float64 { return p.logBetween(0.02, 0.08) * p.days }

// saw is a collector's sawtooth: up in a random time, down at once.
func (p *plan) saw() []float64 {
	y := make([]float64, p.n)
	size, hours := p.level*p.between(0.1, 0.4), p.logBetween(0.3, 3)
	if p.short() {
		hours = p.logBetween(0.1, 0.7)
	}
	v, top := 0.0, size
	for i := range y {
		v += size * p.step / 3600 / hours * p.between(0.5, 1.5)
		if v > top {
			v, top = size*0.05*p.r.Float64(), size*p.between(0.8, 1.2)
		}
		y[i] = v
	}
	return y
}

// ages gives the process's age in days a row, with the given number of restarts.
func (p *plan) ages(restarts int) []float64 {
	at := map[int]bool{}
	for range restarts {
		at[int(float64(p.n)*p.between(0.15, 0.85))] = true
	}
	out := make([]float64, p.n)
	age := 0.0
	for i := range out {
		if at[i] {
			age = 0
			p.input.Restarts = append(p.input.Restarts, time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC).Add(time.Duration(float64(i)*p.step*1e9)))
		}
		out[i] = age
		age += p.step / 86400
	}
	return out
}

func (p *plan) over(age []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(age))
	for i, a := range age {
		y[i] = f(a)
	}
	return y
}

// holes loses a tenth of the samples and one stretch of the log.
func (p *plan) holes(y []float64) []float64 {
	from := int(float64(p.n) * p.between(0.1, 0.7))
	to := from + int(float64(p.n)*p.between(0.05, 0.2))
	for i := range y {
		if i >= from && i < to || p.r.Float64() < 0.1 {
			y[i] = math.NaN()
		}
	}
	return y
}

// megabytes rounds what finish will make to whole megabytes.
func (p *plan) megabytes(y []float64) []float64 {
	for i := range y {
		v := y[i] + p.noise[i] + p.coupling*p.sessions[i]
		y[i], p.noise[i] = math.Round(v/(1<<20))*(1<<20), 0
	}
	p.coupling = 0
	return y
}

// generate makes one process of a family.
func generate(f maker, seed uint64, number int, days float64, withLoads bool) made {
	p := newPlan(seed, uint64(number)<<20|uint64(days*10)<<4|uint64(len(f.name)), days)
	y, want, rate := f.make(p)
	return made{input: p.finish(y, withLoads), want: want, rate: rate}
}

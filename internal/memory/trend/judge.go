package trend

import (
	"math"
	"slices"
	"time"
)

// Judge gives the memory verdict on one process. It is a pure function: no I/O, no clock, the same answer for the same
// input. Any input ends in a Finding; one that cannot be judged is Inconclusive with the reason in its evidence.
func Judge(in Input, opt Options) Finding {
	f, _ := JudgeWithCurves(in, opt)
	return f
}

// JudgeWithCurves is Judge with what it saw, for charts.
func JudgeWithCurves(in Input, opt Options) (Finding, Curves) {
	if opt.Hour <= 0 {
		opt.Hour = time.Hour
	}
	c := &judgement{in: in, hour: opt.Hour, finding: Finding{
		Host: in.Host, Process: in.Process, PID: in.PID, Counter: in.Memory.Name,
		Drivers: []Driver{}, Restarts: []time.Time{}, Steps: []StepAt{}, Evidence: []Evidence{},
	}}
	c.read()
	if len(c.memory.t) == 0 {
		c.nothing()
		return c.finding, Curves{}
	}
	c.measureAll()
	c.classify()
	c.report()
	c.drivers()
	return c.finding, c.curves()
}

// judgement carries one call of Judge from the input to the finding.
type judgement struct {
	in       Input
	hour     time.Duration
	origin   time.Time
	memory   samples
	inUse    *samples
	virtual  *samples
	restarts []float64

	mem, use, virt *growth    // virt is the address space beyond memory
	lead           *growth    // the series that the verdict was read from
	extra          []Evidence // beside the rules of lead
	finding        Finding
}

// read makes the input fit for arithmetic.
func (c *judgement) read() {
	i := slices.IndexFunc(c.in.Memory.Times, written)
	if i < 0 {
		return
	}
	c.origin = c.in.Memory.Times[i]
	c.memory = clean(c.in.Memory, c.origin, c.hour)
	c.inUse = c.second(c.in.InUse)
	c.virtual = c.second(c.in.Virtual)
	c.restarts = restartTimes(c.in.Restarts, c.memory, c.virtual, c.origin, c.hour)
}

// second reads a series beside memory; nil when it is not there or covers less than half of the time.
func (c *judgement) second(s *Series) *samples {
	if s == nil {
		return nil
	}
	out := clean(*s, c.origin, c.hour)
	if len(out.t) < 8 || out.covered() < 0.5*c.memory.covered() {
		return nil
	}
	return &out
}

// nothing answers for a series without a single usable sample.
func (c *judgement) nothing() {
	c.finding.Verdict = Inconclusive
	c.finding.Decreases = &Decreases{}
	c.finding.Confidence = 0.5
	c.finding.DaysNeeded = c.realDays(minHours / 24)
	c.finding.Evidence = append(c.finding.Evidence, Evidence{Rule: "span", Threshold: minHours, Text: "there is no usable sample"})
}

// measureAll runs the measurement over every series that there is.
func (c *judgement) measureAll() {
	c.mem = c.measureOne(c.in.Memory.Name, c.memory)
	c.lead = c.mem
	if c.inUse != nil {
		c.use = c.measureOne(c.in.InUse.Name, *c.inUse)
	}
	if c.virtual != nil {
		c.virt = c.measureOne(c.in.Virtual.Name, difference(*c.virtual, c.memory))
	}
}

func (c *judgement) measureOne(name string, s samples) *growth {
	aligned := make([][]float64, len(c.in.Loads))
	for i, l := range c.in.Loads {
		aligned[i] = align(rates(clean(l, c.origin, c.hour), c.hour.Seconds()), s)
	}
	return measure(name, s, c.in.Loads, aligned, c.restarts)
}

// difference is a minus b at a's times, where b has a value near; never below zero.
func difference(a, b samples) samples {
	at := align(b, a)
	out := samples{}
	for i, v := range at {
		if !math.IsNaN(v) {
			out.t, out.v = append(out.t, a.t[i]), append(out.v, math.Max(0, a.v[i]-v))
		}
	}
	return out
}

// time gives the moment h hours after the origin.
func (c *judgement) time(h float64) time.Time {
	seconds := h * c.hour.Seconds()
	whole := math.Floor(seconds)
	return time.Unix(c.origin.Unix()+int64(whole), int64(c.origin.Nanosecond())+int64((seconds-whole)*1e9)).In(c.origin.Location())
}

// realDays turns days of Options.Hour into real ones.
func (c *judgement) realDays(days float64) float64 { return days * c.hour.Hours() }

// perDay turns a pace per hour of Options.Hour into one per real day.
func (c *judgement) perDay(slope float64) float64 { return slope * 86400 / c.hour.Seconds() }

// curves is what was seen of the leading series.
func (c *judgement) curves() Curves {
	g := c.lead.g
	out := Curves{Times: make([]time.Time, g.len()), Floor: g.y, Trend: make([]float64, g.len())}
	for i := range g.t {
		out.Times[i] = c.time(g.t[i])
		out.Trend[i] = math.NaN()
	}
	w := c.lead
	if w.m == nil || !w.test.ok {
		return out
	}
	line := w.line()
	for i := range line {
		if w.m.u[i] >= 1-w.reach() {
			out.Trend[i] = line[i]
		}
	}
	return out
}

// line is the fitted level with the loads at their mean, in bytes: intercepts, steps and shape.
func (w *growth) line() []float64 {
	cols := w.m.with(w.grow.cols...)
	f := leastSquares(cols, w.m.y)
	use := make([]bool, len(cols))
	for j := range w.g.nseg {
		use[j] = true
	}
	j := w.g.nseg
	for _, t := range w.m.terms {
		for range t.cols {
			use[j] = t.step >= 0
			j++
		}
	}
	for ; j < len(cols); j++ {
		use[j] = true
	}
	out := make([]float64, len(w.m.y))
	for j, col := range cols {
		if use[j] {
			axpy(f.b[j], col, out)
		}
	}
	for i := range out {
		out[i] = out[i]*w.m.scale + w.m.center
	}
	return out
}

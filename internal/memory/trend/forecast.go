package trend

import (
	"math"
	"time"
)

const (
	z95         = 1.96
	widen       = 1.4          // factor on the test's error, set on the tuning seed so that the 95 % intervals cover about that
	leastError  = 0.01         // relative error that no interval goes below
	farthest    = 100 * 365.25 // days beyond which a date is "never"
	everBack    = 0.05         // share given back from which memory is said to decrease
	mostWaiting = 365.0        // days that are asked for at most
)

// report fills the finding from the verdict and its series.
func (c *judgement) report() {
	f, w := &c.finding, c.lead
	first, last := c.time(c.memory.t[0]), c.time(c.memory.t[len(c.memory.t)-1])
	f.First, f.Last, f.Counter = &first, &last, w.name
	for _, h := range c.restarts {
		f.Restarts = append(f.Restarts, c.time(h))
	}
	f.Evidence = append(f.Evidence, w.rules...)
	f.Confidence = finite(c.confidence())
	f.Evidence = append(f.Evidence, c.extra...)
	f.Decreases = &Decreases{Ever: w.back > everBack, GivenBack: finite(w.back)}
	if w.m == nil {
		f.DaysNeeded = finite(c.realDays(math.Max(0, minHours-w.covered) / 24))
		return
	}
	for i, b := range w.stepSizes() {
		f.Steps = append(f.Steps, StepAt{At: c.time(w.g.t[w.steps[i]] - w.g.width/2), Bytes: finite(b)})
	}
	if d := c.perDay(w.detectable()); w.covered >= minHours && !math.IsInf(d, 0) && !math.IsNaN(d) {
		d = finite(d)
		f.DetectableRate = &d
	}
	if (f.Verdict == Leak || f.Verdict == Fragmentation) && w.holds() {
		f.Rate = c.rate(w)
		since := c.time(w.g.t[0] - w.g.width/2)
		if w.reach() < 1 {
			since = c.time(w.g.t[0] + w.grow.at*w.m.hours)
		}
		if since.Before(first) {
			since = first
		}
		f.Since = &since
		c.limit()
	}
	if f.Verdict == Inconclusive {
		f.DaysNeeded = finite(c.realDays(w.needs()))
	}
}

// rate is the pace of a series with its interval, a real day.
func (c *judgement) rate(w *growth) *Rate {
	half := z95 * math.Max(widen*w.se, leastError*math.Abs(w.slope))
	return &Rate{BytesPerDay: finite(c.perDay(w.slope)), Low: finite(math.Max(0, c.perDay(w.slope-half))), High: finite(c.perDay(w.slope + half))}
}

// limit fills in when the limit is reached: by the growth of memory, and of the address space where that is the limit.
func (c *judgement) limit() {
	if !(c.in.LimitBytes > 0) || c.in.LimitBytes > maxBytes {
		return
	}
	r := c.finding.Rate
	l := &Limit{Bytes: c.in.LimitBytes, Of: c.in.Memory.Name}
	level := endLevel(c.mem)
	rate := *r
	if c.in.Virtual != nil && c.in.LimitOf == c.in.Virtual.Name && c.virt != nil {
		l.Of = c.in.Virtual.Name
		if c.virt.m == nil {
			return
		}
		level += endLevel(c.virt)
		if c.virt.holds() && c.lead != c.virt {
			v := c.rate(c.virt)
			rate = Rate{rate.BytesPerDay + v.BytesPerDay, rate.Low + v.Low, rate.High + v.High}
		}
	}
	l.Reached, l.Low, l.High = c.when(level, rate.BytesPerDay), c.when(level, rate.High), c.when(level, rate.Low)
	if l.Reached == nil {
		l.Low, l.High = nil, nil
	}
	c.finding.Limit = l
}

// when is the moment at which a level that grows by rate a real day meets the limit; nil when it never does.
func (c *judgement) when(level, rate float64) *time.Time {
	days := (c.in.LimitBytes - level) / rate
	if !(rate > 0) || math.IsNaN(days) || days > farthest {
		return nil
	}
	last := c.time(c.memory.t[len(c.memory.t)-1])
	seconds := math.Max(0, days) * 86400
	at := time.Unix(last.Unix()+int64(seconds), int64(last.Nanosecond())).In(last.Location())
	return &at
}

// endLevel is the floor at the end of the log, with the load at its mean.
func endLevel(w *growth) float64 {
	if w.m == nil || w.g.len() == 0 {
		return lastFloor(w)
	}
	l := w.line()
	return l[len(l)-1]
}

// needs is how many days of Options.Hour more would decide: the error of a slope falls with the time to the
// power 1.5 when the noise comes back to its level, and 0.5 when it wanders. A log that is too short to be judged at all
// needs what it lacks; its noise is not known well enough to say more.
func (w *growth) needs() float64 {
	have := w.covered / 24
	if short := minHours/24 - have; short > 0 {
		return short
	}
	if !w.test.ok || w.se <= 0 {
		return 1
	}
	exponent := 1.5
	if w.test.alpha == 1 {
		exponent = 0.5
	}
	t := w.test.t
	wanted := (trendLevel + power) * w.se
	if t > 1 && t < trendLevel+power {
		return math.Min(mostWaiting, have*(math.Pow((trendLevel+power)/t, 1/exponent)-1))
	}
	if pace := vagueRate * w.level / 24; wanted > pace && pace > 0 {
		return math.Min(mostWaiting, have*(math.Pow(wanted/pace, 1/exponent)-1))
	}
	return math.Max(0.5, have/2)
}

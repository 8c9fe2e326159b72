package trend

import "math"

const (
	loadExplains  = 0.5  // share of the variance above which memory follows its load
	loadSwing     = 0.2  // and the share of the level by which the loads move it
	stopAmplitude = 0.05 // amplitude of a warm-up as a share of the level
	stopMargin    = 6.0  // BIC that growth which stops must gain over none
	holesBeyond   = 0.25 // share of memory beyond the highest in-use ever: holes that nothing fits in
	heldShare     = 0.4  // share of memory beyond what is usually in use that is retention when it does not grow
	flatShare     = 0.4  // in use is flat when it surely grows by less than this share of memory's growth
	alongLevel    = 1.28 // t of in use from which it may be said to grow along with memory
	vagueRate     = 0.10 // a log that could not show growth of this share of the level a day says nothing
)

// classify turns the measurements into a verdict (facts: in use grows = leak; memory grows beyond a flat in use, or the
// address space beyond flat memory = fragmentation).
func (c *judgement) classify() {
	switch {
	case c.use != nil && c.use.holds():
		c.say(Leak, c.use)
	case c.use != nil && c.use.enough:
		c.classifyGap()
	case c.mem.holds():
		c.say(Leak, c.mem)
	case c.virt != nil && c.virt.holds():
		c.say(Fragmentation, c.virt)
	default:
		c.say(alone(c.mem), c.mem)
	}
}

func (c *judgement) say(v Verdict, w *growth) { c.finding.Verdict, c.lead = v, w }

// classifyGap decides where in use is known and does not grow.
func (c *judgement) classifyGap() {
	peak := maxOf(c.inUse.v)
	beyond := 0.0
	if last := lastFloor(c.mem); last > 0 {
		beyond = (last - peak) / last
	}
	held := 0.0
	if last := lastFloor(c.mem); last > 0 {
		held = (last - c.use.level) / last
	}
	own := alone(c.use)
	for _, r := range c.use.rules {
		r.Rule = "in use: " + r.Rule
		c.extra = append(c.extra, r)
	}
	still := c.mem.holds() && c.use.slope+c.use.se*trendLevel < flatShare*c.mem.slope
	switch {
	case c.mem.holds() && still:
		c.say(Fragmentation, c.mem)
	case c.mem.holds() && (c.use.wants() || c.use.test.t > alongLevel && c.use.slope > flatShare*c.mem.slope):
		c.say(Leak, c.mem) // what is in use grows along, too noisily to carry a test of its own
	case c.mem.holds():
		c.say(Inconclusive, c.mem)
	case c.virt != nil && c.virt.holds():
		c.say(Fragmentation, c.virt)
	case c.use.wants() && own == Inconclusive:
		c.say(Inconclusive, c.use)
	case beyond > holesBeyond:
		c.say(Fragmentation, c.mem)
	case held > heldShare && (own == Stable || own == Load || own == Step) && !c.mem.wants():
		c.say(Retention, c.mem)
	default:
		c.say(own, c.use)
		c.extra = c.extra[:0]
	}
	c.extra = append(c.extra,
		Evidence{Rule: "beyond the peak in use", Value: finite(beyond), Threshold: holesBeyond, Holds: beyond > holesBeyond,
			Text: "share of memory beyond the most that was ever in use: holes that nothing fits in"},
		Evidence{Rule: "held beyond use", Value: finite(held), Threshold: heldShare, Holds: held > heldShare,
			Text: "share of memory beyond what is usually in use: kept for the next peak"})
}

// wants says that the trend is there but another rule stands against it.
func (w *growth) wants() bool {
	t, _ := w.rule("trend")
	s, _ := w.rule("size")
	return t.Holds && s.Holds
}

// alone names what a series that does not hold as growth is by itself.
func alone(w *growth) Verdict {
	switch {
	case !w.enough || w.m == nil:
		return Inconclusive
	case w.stopped():
		return WarmUp
	case w.settled():
		return Stable
	case w.wants():
		return Inconclusive
	case w.upSteps() > 0:
		return Step
	case w.explains > loadExplains && w.swing > loadSwing*w.level:
		return Load
	case w.detectable()*24 > vagueRate*math.Max(w.level, 1):
		return Inconclusive
	}
	return Stable
}

// stopped says whether there was growth that ended or slows.
func (w *growth) stopped() bool {
	s := w.stop
	if w.slackened() {
		return true
	}
	if s.kind == flat || s.bic > w.flat.bic-stopMargin {
		return false
	}
	if s.bic > w.grow.bic && (w.grow.kind != expLine || w.holds()) {
		return false
	}
	if w.g.nseg > 1 && (s.kind != expo || lastAge(w.g) > 3*s.tau) {
		return false // each new process warms up, and this one has
	}
	return w.amplitude(s) > stopAmplitude*w.level
}

// slackened says whether growth went on at a pace, and from a bend on at surely less than a third of it or none at all.
func (w *growth) slackened() bool {
	t := w.test
	if w.grow.kind != bent || !t.ok || t.t > trendLevel || t.t < -trendLevel {
		return false
	}
	early := leastSquares(w.m.with(w.grow.cols...), w.m.y).b[len(w.m.base)]
	return early > 0 && t.slope+alongLevel*t.se < secondShare*early && w.amplitude(w.grow) > stopAmplitude*w.level
}

// amplitude is the greatest rise that a column of the shape, other than its growth at the end, stands for, in bytes.
func (w *growth) amplitude(s shape) float64 {
	f := leastSquares(w.m.with(s.cols...), w.m.y)
	most := 0.0
	for j, col := range s.cols {
		if j != s.target {
			most = math.Max(most, f.b[len(w.m.base)+j]*spreadOf(col)*w.m.scale)
		}
	}
	return most
}

// settled says whether the growth was that of new processes which each warmed up and then grew no more.
func (w *growth) settled() bool {
	s := w.stop
	return w.g.nseg > 1 && s.kind == expo && s.bic < w.grow.bic && lastAge(w.g) > 3*s.tau
}

func (w *growth) upSteps() int {
	n := 0
	for _, s := range w.stepSizes() {
		if s > 0 {
			n++
		}
	}
	return n
}

// stepSizes gives the bytes of each step in w.steps.
func (w *growth) stepSizes() []float64 {
	f := leastSquares(w.m.with(w.grow.cols...), w.m.y)
	var out []float64
	j := w.g.nseg
	for _, t := range w.m.terms {
		if t.step >= 0 {
			out = append(out, f.b[j]*w.m.scale)
		}
		j += t.cols
	}
	return out
}

// detectable is the smallest pace, in bytes an hour, that the test would have seen in four of five such logs.
func (w *growth) detectable() float64 {
	if !w.test.ok {
		return math.Inf(1)
	}
	return math.Max((trendLevel+power)*w.se, leastGrowth*w.level/math.Max(w.g.span(), 1e-9))
}

func lastFloor(w *growth) float64 {
	n := w.g.len()
	if n == 0 {
		return 0
	}
	return median(w.g.y[max(0, n-5):])
}

func maxOf(x []float64) float64 {
	m := math.Inf(-1)
	for _, v := range x {
		m = math.Max(m, v)
	}
	return m
}

func lastAge(g *grid) float64 { return g.age[len(g.age)-1] }

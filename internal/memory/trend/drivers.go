package trend

import (
	"math"
	"sort"
	"strings"
)

// driverMargin is the BIC by which growth in step with one load must be ahead of every other explanation.
const driverMargin = 6.0

// drivers names the load whose sum the growth follows, where one is clearly ahead of time and of the others; else it
// says in the note what could not be told apart. This is the first form: it tells only by the shape of the growth.
func (c *judgement) drivers() {
	w := c.lead
	if c.finding.Verdict != Leak || w.m == nil || len(w.m.driven) == 0 {
		return
	}
	type scored struct {
		d   drive
		bic float64
	}
	var all []scored
	for _, d := range w.m.driven {
		cols := w.m.with(d.sum)
		if leastSquares(cols, w.m.y).b[len(cols)-1] > 0 {
			all = append(all, scored{d, w.m.bic(cols, 1)})
		}
	}
	if len(all) == 0 {
		c.finding.DriversNote = "memory does not grow in step with any of the activities in the log"
		return
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].bic < all[j].bic })
	best := all[0]
	if w.grow.kind != driven && w.grow.bic < best.bic+driverMargin || w.m.bic(w.m.with(w.m.u), 0) < best.bic+driverMargin {
		c.finding.DriversNote = "the growth is as steady as time itself, so no activity can be named; switching one off and on for some hours would tell"
		return
	}
	var alike []string
	for _, s := range all {
		if s.bic < best.bic+driverMargin {
			alike = append(alike, s.d.name)
		}
	}
	if len(alike) > 1 {
		c.finding.DriversNote = strings.Join(alike, " and ") + " rise and fall together and cannot be told apart; switching one of them off and on for some hours would tell"
		return
	}
	c.name(best.d)
}

// name puts the drive into the finding with its bytes an event and their interval.
func (c *judgement) name(d drive) {
	w := c.lead
	cols := w.m.with(d.sum)
	tt := perronYabu(w.g, cols, w.m.y, len(cols)-1)
	if !tt.ok || tt.t < trendLevel {
		return
	}
	unit := w.m.scale / (d.events * c.hour.Seconds()) // the sum is in units of load times hours
	half := z95 * math.Max(widen*tt.se, leastError*math.Abs(tt.slope)) * unit
	b := tt.slope * unit
	grown := math.Max(w.total, 1e-9)
	c.finding.Drivers = append(c.finding.Drivers, Driver{
		Counter: d.name, BytesPerEvent: finite(b), Low: finite(math.Max(0, b-half)), High: finite(b + half),
		Share: finite(math.Max(0, math.Min(1, tt.slope*w.m.scale/grown))),
		P:     0.5 * math.Erfc(tt.t/math.Sqrt2),
	})
}

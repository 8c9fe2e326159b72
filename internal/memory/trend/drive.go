package trend

import "math"

// drive is the running sum of one load: memory that leaks at each event grows in step with it.
type drive struct {
	load   int
	name   string
	sum    []float64 // scaled from 0 to 1 over the log
	events float64   // what 1 stands for: the load's unit times hours of Options.Hour
}

// addDriven sums every load, and picks what plain growth is: time, or the sum of a load where BIC is clear about it.
func (m *model) addDriven(loads []Series, aligned [][]float64, s samples, ws []window) {
	best := m.bic(m.with(m.u), 0) - loadMargin
	for k, raw := range aligned {
		mean, _ := windowLoads(raw, s, ws)
		if !fill(mean) || minOf(mean) < 0 {
			continue
		}
		d := drive{load: k, name: loads[k].Name, sum: make([]float64, len(mean))}
		for i := 1; i < len(mean); i++ {
			d.sum[i] = d.sum[i-1] + 0.5*(mean[i]+mean[i-1])*(m.g.t[i]-m.g.t[i-1])
		}
		d.events = d.sum[len(mean)-1]
		if !(d.events > 0) || math.IsInf(d.events, 0) {
			continue
		}
		for i := range d.sum {
			d.sum[i] /= d.events
		}
		m.driven = append(m.driven, d)
		if b := m.bic(m.with(d.sum), 1); b < best {
			best, m.beside = b, d.sum
		}
	}
}

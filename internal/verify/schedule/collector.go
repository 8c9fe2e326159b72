package schedule

import (
	"sort"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/internal/state"
)

// bounds are the upper bounds of the lateness histogram, in seconds.
func bounds() []float64 { return []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10} }

// histogram counts durations. The schedule's mutex guards it.
type histogram struct {
	bounds []float64
	counts []uint64 // not cumulative; the last is for what is beyond all bounds
	sum    float64
	count  uint64
}

func newHistogram() histogram {
	b := bounds()
	return histogram{bounds: b, counts: make([]uint64, len(b)+1)}
}

func (h *histogram) observe(d time.Duration) {
	seconds := d.Seconds()
	h.counts[sort.SearchFloat64s(h.bounds, seconds)]++
	h.sum += seconds
	h.count++
}

func (h *histogram) cumulative() map[float64]uint64 {
	buckets := make(map[float64]uint64, len(h.bounds))
	var n uint64
	for i, b := range h.bounds {
		n += h.counts[i]
		buckets[b] = n
	}
	return buckets
}

// descriptions are the metrics of a schedule.
type descriptions struct {
	state, usable, duration, checks, failures, lateness, running, waiting *prometheus.Desc
}

func describe() descriptions {
	labels := []string{"verifier", "group", "farm", "member"}
	one := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc("gatehouse_verifier_"+name, help, append(labels[:len(labels):len(labels)], more...), nil)
	}
	all := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("gatehouse_verify_"+name, help, nil, nil)
	}
	return descriptions{
		state:    one("state", "1 for the state in which the verifier is, 0 for the others.", "state"),
		usable:   one("usable", "1 when traffic may be sent to what the verifier checks."),
		duration: one("duration_seconds", "How long each phase of the last check took.", "phase"),
		checks:   one("checks_total", "Checks made."),
		failures: one("failures_total", "Checks that were not answered."),
		lateness: all("schedule_lateness_seconds", "How long after their time checks began."),
		running:  all("checks_running", "Checks under way."),
		waiting:  all("checks_waiting", "Checks whose time has come, and that wait for others to end."),
	}
}

// Describe implements prometheus.Collector.
func (s *Schedule) Describe(out chan<- *prometheus.Desc) {
	d := describe()
	for _, desc := range []*prometheus.Desc{d.state, d.usable, d.duration, d.checks, d.failures, d.lateness, d.running, d.waiting} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (s *Schedule) Collect(out chan<- prometheus.Metric) {
	d := describe()
	for _, st := range s.Snapshot() {
		d.verifier(out, st)
	}
	s.mu.Lock()
	count, sum, buckets := s.lateness.count, s.lateness.sum, s.lateness.cumulative()
	var places [gone + 1]float64
	for _, e := range s.order {
		places[e.place]++
	}
	s.mu.Unlock()
	out <- prometheus.MustNewConstHistogram(d.lateness, count, sum, buckets)
	out <- prometheus.MustNewConstMetric(d.running, prometheus.GaugeValue, places[running])
	out <- prometheus.MustNewConstMetric(d.waiting, prometheus.GaugeValue, places[ready])
}

func (d descriptions) verifier(out chan<- prometheus.Metric, st state.Status) {
	labels := []string{st.Verifier, string(st.Group), st.Farm, st.Member}
	with := func(more string) []string { return append(labels[:len(labels):len(labels)], more) }
	for _, word := range state.States() {
		out <- prometheus.MustNewConstMetric(d.state, prometheus.GaugeValue, bit(word == st.State), with(string(word))...)
	}
	out <- prometheus.MustNewConstMetric(d.usable, prometheus.GaugeValue, bit(st.Usable), labels...)
	out <- prometheus.MustNewConstMetric(d.checks, prometheus.CounterValue, float64(st.Checks), labels...)
	out <- prometheus.MustNewConstMetric(d.failures, prometheus.CounterValue, float64(st.Failures), labels...)
	if st.Last == nil {
		return
	}
	t := st.Last.Timings
	for _, p := range []struct {
		name  string
		value time.Duration
	}{
		{string(state.Resolve), t.Resolve}, {string(state.Connect), t.Connect}, {string(state.TLS), t.TLS},
		{string(state.Request), t.Request}, {string(state.FirstByte), t.FirstByte}, {string(state.Body), t.Body}, {"total", t.Total},
	} {
		out <- prometheus.MustNewConstMetric(d.duration, prometheus.GaugeValue, p.value.Seconds(), with(p.name)...)
	}
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

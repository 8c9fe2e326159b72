package edge

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are an Edge's counters. They belong to no registry until Metrics is called.
type metrics struct {
	requests    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	active      *prometheus.GaugeVec
	tunnels     *prometheus.GaugeVec
	upgrades    *prometheus.CounterVec
	retries     *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	bytes       *prometheus.CounterVec
	connections *prometheus.GaugeVec
	accepted    *prometheus.CounterVec
	full        *prometheus.CounterVec
	handshakes  *prometheus.CounterVec

	mu    sync.RWMutex
	farms map[string]*farmMetrics
	none  *farmMetrics // of requests that no farm was found for
}

// farmMetrics are the counters of one farm, found once.
type farmMetrics struct {
	duration        prometheus.Observer
	active, tunnels prometheus.Gauge
	retries         prometheus.Counter
	upgrades        prometheus.Counter
	in, out         prometheus.Counter

	mu       sync.RWMutex
	requests map[requestKey]prometheus.Counter
}

type requestKey struct {
	member string
	class  int // first digit of the status
}

type listenerMetrics struct {
	open                       prometheus.Gauge
	accepted, full, handshakes prometheus.Counter
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "gatehouse", Subsystem: "edge", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "gatehouse", Subsystem: "edge", Name: name, Help: help}, labels)
	}
	m := &metrics{
		requests: counter("requests_total", "Requests that ended, by farm, member and class of the status sent; member is empty where none was chosen.", "farm", "member", "code"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gatehouse", Subsystem: "edge", Name: "request_duration_seconds",
			Help:    "Time from a request's head to the end of its response, without tunnels.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"farm"}),
		active:      gauge("requests_active", "Requests and tunnels under way.", "farm"),
		tunnels:     gauge("tunnels_active", "Upgraded connections under way.", "farm"),
		upgrades:    counter("upgrades_total", "Connections that were upgraded.", "farm"),
		retries:     counter("retries_total", "Attempts that were followed by another.", "farm"),
		refusals:    counter("refusals_total", "Requests that were not served or not to their end, by reason.", "reason"),
		bytes:       counter("body_bytes_total", "Bytes of bodies and tunnels; in is from clients.", "farm", "direction"),
		connections: gauge("connections", "Open connections of clients.", "listener"),
		accepted:    counter("connections_accepted_total", "Connections accepted.", "listener"),
		full:        counter("listener_full_total", "Times that a listener stopped accepting because it had its connections.", "listener"),
		handshakes:  counter("handshake_failures_total", "TLS handshakes that failed.", "listener"),
		farms:       map[string]*farmMetrics{},
	}
	m.none = m.farm("")
	for _, c := range classes {
		m.refusals.WithLabelValues(string(c))
	}
	return m
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.requests, m.duration, m.active, m.tunnels, m.upgrades, m.retries, m.refusals, m.bytes, m.connections, m.accepted, m.full, m.handshakes,
	}
}

// Describe sends what the Edge counts.
func (e *Edge) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range e.metrics.all() {
		c.Describe(ch)
	}
}

// Collect sends the counters. An Edge is a prometheus.Collector: register it where its numbers shall appear.
func (e *Edge) Collect(ch chan<- prometheus.Metric) {
	for _, c := range e.metrics.all() {
		c.Collect(ch)
	}
}

func (m *metrics) listener(name string) listenerMetrics {
	return listenerMetrics{
		open: m.connections.WithLabelValues(name), accepted: m.accepted.WithLabelValues(name),
		full: m.full.WithLabelValues(name), handshakes: m.handshakes.WithLabelValues(name),
	}
}

func (m *metrics) farm(name string) *farmMetrics {
	m.mu.RLock()
	f := m.farms[name]
	m.mu.RUnlock()
	if f != nil {
		return f
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if f = m.farms[name]; f == nil {
		f = &farmMetrics{
			duration: m.duration.WithLabelValues(name), active: m.active.WithLabelValues(name), tunnels: m.tunnels.WithLabelValues(name),
			retries: m.retries.WithLabelValues(name), upgrades: m.upgrades.WithLabelValues(name),
			in: m.bytes.WithLabelValues(name, "in"), out: m.bytes.WithLabelValues(name, "out"),
			requests: map[requestKey]prometheus.Counter{},
		}
		m.farms[name] = f
	}
	return f
}

// forget drops the numbers of a farm that is no longer configured.
func (m *metrics) forget(name string) {
	m.mu.Lock()
	delete(m.farms, name)
	m.mu.Unlock()
	farm := prometheus.Labels{"farm": name}
	m.requests.DeletePartialMatch(farm)
	m.bytes.DeletePartialMatch(farm)
	m.duration.Delete(farm)
	m.active.Delete(farm)
	m.tunnels.Delete(farm)
	m.retries.Delete(farm)
	m.upgrades.Delete(farm)
}

// count finds the counter of a member's requests with a class of status.
func (m *metrics) count(f *farmMetrics, farm, member string, status int) prometheus.Counter {
	key := requestKey{member, status / 100}
	f.mu.RLock()
	c := f.requests[key]
	f.mu.RUnlock()
	if c == nil {
		c = m.requests.WithLabelValues(farm, member, strconv.Itoa(key.class)+"xx")
		f.mu.Lock()
		f.requests[key] = c
		f.mu.Unlock()
	}
	return c
}

// begin counts a request that a farm is asked for.
func (f *farmMetrics) begin() { f.active.Inc() }

// end counts a request that is over.
func (m *metrics) end(x *exchange) {
	f, name := m.none, ""
	if x.route != nil {
		f, name = x.route.metrics, x.route.name
	}
	if x.counted {
		f.active.Dec()
	}
	m.count(f, name, x.member, x.status).Inc()
	if n := x.received(); n > 0 {
		f.in.Add(float64(n))
	}
	if x.sent > 0 {
		f.out.Add(float64(x.sent))
	}
	if !x.granted {
		f.duration.Observe(x.edge.now().Sub(x.start).Seconds())
	}
	if x.fail != nil {
		m.refusals.WithLabelValues(string(x.fail.class)).Inc()
	}
}

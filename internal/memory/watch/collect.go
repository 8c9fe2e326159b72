package watch

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/trend"
)

// collector gives the newest of every watched process that runs.
type collector struct {
	watch                    *Watch
	memory, leak, verdict    *prometheus.Desc
	threads, fds, goroutines *prometheus.Desc
	cpu                      *prometheus.Desc
}

// Collector makes a Prometheus collector of the newest values and verdicts; the caller registers it.
func (w *Watch) Collector() prometheus.Collector {
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc("gatehouse_process_"+name, help, append([]string{labelProcess, labelPID}, more...), nil)
	}
	return &collector{
		watch:      w,
		memory:     desc("memory_bytes", "Memory of a watched process, by counter.", "counter"),
		leak:       desc("leak_bytes_per_day", "Growth of a process whose memory verdict is leak."),
		verdict:    desc("verdict", "1 for the memory verdict on a process.", "verdict"),
		threads:    desc("threads", help(procmem.Threads)),
		fds:        desc("fds", help(procmem.FDs)),
		goroutines: desc("goroutines", help(procmem.Goroutines)),
		cpu:        desc("cpu_seconds_total", help(procmem.CPUSeconds)),
	}
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.memory, c.leak, c.verdict, c.threads, c.fds, c.goroutines, c.cpu} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, p := range c.watch.Processes() {
		if p.Gone {
			continue
		}
		pid := strconv.Itoa(p.PID)
		gauge := func(d *prometheus.Desc, v float64, more ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{p.Name, pid}, more...)...)
		}
		for _, counter := range procmem.All() {
			if v, ok := p.Values[counter.String()]; ok && counter.Memory() {
				gauge(c.memory, v, counter.String())
			}
		}
		for counter, d := range map[procmem.Counter]*prometheus.Desc{
			procmem.Threads: c.threads, procmem.FDs: c.fds, procmem.Goroutines: c.goroutines,
		} {
			if v, ok := p.Values[counter.String()]; ok {
				gauge(d, v)
			}
		}
		if v, ok := p.Values[procmem.CPUSeconds.String()]; ok {
			ch <- prometheus.MustNewConstMetric(c.cpu, prometheus.CounterValue, v, p.Name, pid)
		}
		if f := p.Finding; f != nil {
			gauge(c.verdict, 1, string(f.Verdict))
			if f.Verdict == trend.Leak && f.Rate != nil {
				gauge(c.leak, f.Rate.BytesPerDay)
			}
		}
	}
}

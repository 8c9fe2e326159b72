package schedule

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"gatehouse/internal/state"
)

// instant is a check that costs nothing and always says the same.
type instant struct{ evidence []string }

func (c *instant) Check(context.Context) state.Result {
	return state.Result{State: state.Good, Reason: "HTTP 200 OK", Address: "192.0.2.1:80", Evidence: c.evidence, Timings: state.Timings{Total: time.Millisecond}}
}

// BenchmarkSchedule runs 10,000 verifiers that cost nothing at a rate of 10,000 checks a second, and reports what the
// schedule itself needs: CPU a check, and bytes a verifier with one result and with a full history.
func BenchmarkSchedule(b *testing.B) {
	const n = 10_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	verifiers := make([]Verifier, n)
	for i := range verifiers {
		verifiers[i] = Verifier{Name: fmt.Sprint("farm/member", i), Kind: "http", Target: fmt.Sprintf("http://192.0.2.1/%d", i), Check: &instant{}, Period: time.Second}
	}
	if err := s.Replace(verifiers); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	total := func() (checks uint64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, e := range s.order {
			checks += e.checks
		}
		return checks
	}
	for total() < n {
		time.Sleep(100 * time.Millisecond)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ResetTimer()
	cpu, checks := processCPU(), total()
	for b.Loop() {
		time.Sleep(time.Second)
	}
	b.ReportMetric(float64(processCPU()-cpu)/float64(total()-checks), "cpu-ns/check")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/verifier")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(s.lateness.sum)/float64(s.lateness.count)*1e6, "late-us")
	for _, e := range s.order {
		for e.history.len() < s.opt.History {
			e.history.add(state.Result{State: state.Good, Reason: "HTTP 200 OK", Address: "192.0.2.1:80"}, s.opt.History)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/verifier-full")
	runtime.KeepAlive(s)
}

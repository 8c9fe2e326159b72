package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/series"
	"gatehouse/internal/memory/trend"
)

// real makes a Watch over this machine's processes, with a clock that the test moves.
func real(t testing.TB, now *time.Time, o Options) *Watch {
	t.Helper()
	o.Now = func() time.Time { return *now }
	if o.Series == nil {
		o.Series = openStore(t, filepath.Join(t.TempDir(), "series"), o.Now)
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.scraper.Close)
	return w
}

func TestFollowsAProcessThatGrows(t *testing.T) {
	mark := fmt.Sprintf("grower-%d", os.Getpid())
	child := start(t, "hold", mark)
	child.take(1)
	var in trend.Input
	now := begin
	w := real(t, &now, Options{
		Hour:      time.Minute, // smaps_rollup is due every ten seconds at the latest
		Selectors: []Selector{{Name: "grower", Command: mark}},
		Judge: func(i trend.Input, _ trend.Options) (trend.Finding, trend.Curves) {
			in = i
			return trend.Finding{}, trend.Curves{}
		},
	})
	const rounds, step = 6, 8
	for range rounds {
		w.sample(t.Context())
		now = now.Add(defaultInterval)
		child.take(step)
	}
	w.lookAll(t.Context())
	if in.Process != "grower" || in.PID != child.cmd.Process.Pid || in.Memory.Name != "private" || len(in.Memory.Values) != rounds {
		t.Fatalf("input: %+v", in)
	}
	for i := 1; i < rounds; i++ {
		if grown := (in.Memory.Values[i] - in.Memory.Values[i-1]) / (1 << 20); grown < step-1 || grown > 2*step {
			t.Errorf("sample %d: grew %.1f MiB, want %d", i, grown, step)
		}
	}
	p := w.Processes()[0]
	if age := time.Since(p.Started); age < -2*time.Second || age > time.Minute {
		t.Errorf("started %v ago", age)
	}
	if p.Values["fds"] < 3 || p.Values["threads"] < 1 || p.Values["cpu_seconds"] < 0 {
		t.Errorf("values: %v", p.Values)
	}
	child.kill()
	w.sample(t.Context())
	if p := w.Processes()[0]; !p.Gone {
		t.Errorf("after its end: %+v", p)
	}
}

func TestVerdictAndHistorySurviveSIGKILL(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pid"), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	other := start(t, "watch="+dir)
	other.answer()
	if err := other.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	other.kill()
	if info, err := os.Stat(filepath.Join(dir, "verdicts.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file of verdicts: %v, %v", info, err)
	}

	store := openStore(t, filepath.Join(dir, "series"), time.Now)
	w, err := New(realOptions(dir, store))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.scraper.Close)
	before := w.Processes()
	if len(before) != 1 || !before[0].Confirmed || before[0].Finding == nil || before[0].PID != os.Getpid() {
		t.Fatalf("remembered: %+v", before)
	}
	w.sample(t.Context())
	w.lookAll(t.Context())
	after := w.Processes()
	if len(after) != 1 || after[0].ID != before[0].ID || after[0].Gone {
		t.Fatalf("after a round: %+v", after)
	}
	if n := after[0].Finding.Confidence; n < before[0].Finding.Confidence+1 {
		t.Errorf("judged by %v samples, before by %v: history was lost", n, before[0].Finding.Confidence)
	}
}

func TestRunAndSubscribe(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pid"), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := series.Open(t.Context(), series.Options{Dir: filepath.Join(dir, "series")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	w, err := New(realOptions(dir, store))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changed := w.Subscribe(ctx)
	idle := w.Subscribe(ctx) // never read: must hold nobody up
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	for range changed {
		if all := w.Processes(); len(all) == 1 && all[0].Confirmed {
			break
		}
	}
	if err := w.Replace(nil); err != nil {
		t.Error(err)
	}
	for range changed {
		if len(w.Processes()) == 0 {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	for range changed { // closed when ctx has ended
	}
	for range idle {
	}
	text, err := os.ReadFile(filepath.Join(dir, "verdicts.json"))
	if err != nil || !strings.Contains(string(text), `"processes":[]`) {
		t.Errorf("remembered at the end: %s, %v", text, err)
	}
}

// BenchmarkRound is the cost of one round over 200 processes of this benchmark's own, as it is every 15 seconds: sampling,
// scan and store. It reports processor time, of which 15 ms are a thousandth of a core.
func BenchmarkRound(b *testing.B) {
	const processes = 200
	mark := fmt.Sprintf("sleeper-%d", os.Getpid())
	for range processes {
		start(b, "hold", mark).take(1)
	}
	for name, hour := range map[string]time.Duration{"hours": time.Hour, "rollup each round": time.Nanosecond} {
		b.Run(name, func(b *testing.B) {
			now := time.Now()
			o := Options{Hour: hour, Selectors: []Selector{{Name: "sleeper", Command: mark}}}
			if hour < time.Second {
				o.Interval = time.Millisecond
			}
			w := real(b, &now, o)
			for range 10 {
				w.sample(b.Context())
				now = now.Add(defaultInterval)
			}
			if n := len(w.Processes()); n != processes {
				b.Fatalf("%d processes", n)
			}
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				w.sample(b.Context())
				now = now.Add(defaultInterval)
			}
			spent := processorTime(b) - before
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "cpu-µs/round")
		})
	}
}

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ready is a store that has its answer ready.
type ready struct {
	Store
	answer series.Series
}

func (r ready) Range(_ context.Context, name string, _ []series.Match, _, _ time.Time, _ time.Duration) ([]series.Series, error) {
	if name != metric(procmem.Private) {
		return nil, nil
	}
	return []series.Series{r.answer}, nil
}

// BenchmarkLook is one look with the real judge at 14 days of one process, without the reading from the store (that is
// BenchmarkRange of series), as it is once an hour for each process.
func BenchmarkLook(b *testing.B) {
	now := begin.Add(14 * 24 * time.Hour)
	r := ready{Store: openStore(b, filepath.Join(b.TempDir(), "series"), func() time.Time { return now })}
	w := real(b, &now, Options{Series: &r, Selectors: []Selector{{Name: "self", PID: os.Getpid()}}})
	w.sample(b.Context())
	t := w.tracks[0]
	step := w.step(14 * 24 * time.Hour)
	for at := begin; at.Before(now); at = at.Add(step) {
		r.answer.Times = append(r.answer.Times, at)
		r.answer.Values = append(r.answer.Values, 100e6+float64(at.Unix()%3600)*1000+at.Sub(begin).Hours()*200e3)
	}
	g := t.current()
	r.answer.Labels = map[string]string{labelStart: g.Key, labelPID: fmt.Sprint(g.PID)}
	g.First = begin
	for b.Loop() {
		t.nextLook, t.sampled, t.looked = time.Time{}, now, time.Time{}
		w.lookAll(b.Context())
	}
	if t.finding == nil || t.finding.Verdict != trend.Leak {
		b.Errorf("found %+v in %d samples", t.finding, len(r.answer.Times))
	}
}

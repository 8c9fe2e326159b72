package watch

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/series"
	"gatehouse/internal/memory/trend"
)

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// bench is a Watch over a made-up /proc, with a clock and a judge that the test moves.
type bench struct {
	*Watch
	t       *testing.T
	proc    string
	now     time.Time
	log     bytes.Buffer
	verdict trend.Verdict
	inputs  []trend.Input // what the judge was given
}

func openStore(t testing.TB, dir string, now func() time.Time) *series.Store {
	t.Helper()
	s, err := series.Open(t.Context(), series.Options{Dir: dir, Now: now, Metadata: Metadata()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	b := &bench{t: t, proc: t.TempDir(), now: begin, verdict: trend.Stable}
	b.write("stat", "cpu 1\nbtime 1700000000\n")
	o.Proc.Proc = b.proc
	o.Now = func() time.Time { return b.now }
	o.Log = slog.New(slog.NewTextHandler(&b.log, nil))
	o.Judge = func(in trend.Input, _ trend.Options) (trend.Finding, trend.Curves) {
		b.inputs = append(b.inputs, in)
		floor := make([]float64, len(in.Memory.Values))
		copy(floor, in.Memory.Values)
		rate := &trend.Rate{BytesPerDay: 5}
		return trend.Finding{Process: in.Process, Verdict: b.verdict, Rate: rate}, trend.Curves{Times: in.Memory.Times, Floor: floor, Trend: floor}
	}
	if o.Series == nil {
		o.Series = openStore(t, filepath.Join(t.TempDir(), "series"), o.Now)
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.scraper.Close)
	b.Watch = w
	return b
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	file := filepath.Join(b.proc, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// run makes a process of so many private KiB; its resident memory is twice that.
func (b *bench) run(pid, start int, comm string, kib int) {
	b.t.Helper()
	b.write(fmt.Sprintf("%d/stat", pid), fmt.Sprintf("%d (%s) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 3 0 %d 1000000 %d\n",
		pid, comm, start, 2*kib*1024/os.Getpagesize()))
	b.write(fmt.Sprintf("%d/smaps_rollup", pid), fmt.Sprintf("Pss: %d kB\nPrivate_Dirty: %d kB\nSwapPss: 0 kB\n", kib, kib))
	b.write(fmt.Sprintf("%d/cmdline", pid), "/bin/"+comm+"\x00--serve\x00")
}

func (b *bench) end(pid int) {
	b.t.Helper()
	if err := os.RemoveAll(filepath.Join(b.proc, fmt.Sprint(pid))); err != nil {
		b.t.Fatal(err)
	}
}

// round samples, then lets an interval pass.
func (b *bench) round() {
	b.sample(b.t.Context())
	b.now = b.now.Add(b.options.Interval)
}

// brief tells what is watched: name, pid, and whether it has ended.
func brief(all []Process) []string {
	var out []string
	for _, p := range all {
		line := fmt.Sprintf("%s %d", p.Name, p.PID)
		if p.Gone {
			line += " gone"
		}
		out = append(out, line)
	}
	return out
}

func (b *bench) watched(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, brief(b.Processes())); diff != "" {
		b.t.Errorf("watched: (-want +got)\n%s", diff)
	}
}

func TestSelectsAndSamples(t *testing.T) {
	b := newBench(t, Options{Selectors: []Selector{
		{Name: "shop", Process: "shop", LimitBytes: 1 << 30}, {Name: "one", PID: 7}, {Name: "serving", Command: "--serve"},
	}})
	b.run(5, 100, "shop", 100)
	b.run(6, 100, "shop", 200)
	b.round()
	b.watched("serving 5", "serving 6", "shop 5", "shop 6")
	b.run(7, 100, "later", 300)
	b.round()
	b.watched("one 7", "serving 5", "serving 6", "serving 7", "shop 5", "shop 6")
	one := b.Processes()[0]
	want := map[string]float64{"rss": 600 << 10, "pss": 300 << 10, "private": 300 << 10, "virtual": 1000000, "threads": 3, "cpu_seconds": 0.02}
	if diff := cmp.Diff(want, one.Values); diff != "" {
		t.Errorf("values: (-want +got)\n%s", diff)
	}
	if !one.Sampled.Equal(begin.Add(defaultInterval)) || one.Error != "" || one.Note != "" {
		t.Errorf("sampled %v, error %q, note %q", one.Sampled, one.Error, one.Note)
	}
}

func TestRestartContinuesTheHistory(t *testing.T) {
	worker := Worker{Role: "edge", PID: 10}
	b := newBench(t, Options{
		Selectors: []Selector{{Name: "shop", Process: "shop"}},
		Workers:   func(context.Context) ([]Worker, error) { return []Worker{worker}, nil },
	})
	b.run(5, 100, "shop", 100)
	b.run(10, 100, "gatehouse", 1000)
	b.round()
	b.end(5)
	b.run(6, 200, "shop", 10) // in the same interval
	b.run(11, 200, "gatehouse", 50)
	worker.PID = 11 // the old worker still drains
	b.round()
	b.watched("gatehouse edge 11", "shop 6")
	if p := b.Processes()[0]; p.Worker != "edge" {
		t.Errorf("worker %q", p.Worker)
	}
	b.round()
	b.lookAll(t.Context())
	if len(b.inputs) != 2 {
		t.Fatalf("%d looks", len(b.inputs))
	}
	slices.SortFunc(b.inputs, func(a, c trend.Input) int { return strings.Compare(a.Process, c.Process) })
	edge, shop := b.inputs[0], b.inputs[1]
	if diff := cmp.Diff([]float64{100 << 10, 10 << 10, 10 << 10}, shop.Memory.Values); diff != "" {
		t.Errorf("history of shop: (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]float64{1000 << 10, 50 << 10, 50 << 10}, edge.Memory.Values); diff != "" {
		t.Errorf("history of edge: (-want +got)\n%s", diff)
	}
	for _, in := range b.inputs {
		if diff := cmp.Diff([]time.Time{begin.Add(defaultInterval)}, in.Restarts); diff != "" {
			t.Errorf("restarts of %s: (-want +got)\n%s", in.Process, diff)
		}
		if in.Memory.Name != "private" || in.LimitBytes != 0 {
			t.Errorf("%s: judged by %s, limit %v", in.Process, in.Memory.Name, in.LimitBytes)
		}
	}
}

func TestPidUsedAgainIsAnotherProcess(t *testing.T) {
	b := newBench(t, Options{Selectors: []Selector{{Name: "shop", Process: "shop"}}})
	b.run(5, 100, "shop", 100)
	b.round()
	old := b.Processes()[0].ID
	b.end(5)
	b.run(5, 101, "other", 900)
	b.round()
	b.watched("shop 5 gone")
	b.end(5)
	b.run(5, 102, "shop", 300)
	b.round()
	b.watched("shop 5")
	p := b.Processes()[0]
	if p.ID == old || p.Values["private"] != 300<<10 {
		t.Errorf("id %q, was %q; values %v", p.ID, old, p.Values)
	}
	c, err := b.Chart(t.Context(), old, time.Time{}, time.Time{}, 0)
	if err != nil {
		t.Fatalf("chart by the id before: %v", err)
	}
	if len(c.Times) != 2 || *c.Memory[0] != 100<<10 || *c.Memory[1] != 300<<10 {
		t.Errorf("chart: %v", c.Times)
	}
}

func TestGoneProcessesAreKeptForAWhile(t *testing.T) {
	b := newBench(t, Options{Selectors: []Selector{{Name: "shop", Process: "shop"}}})
	b.run(5, 100, "shop", 100)
	b.round()
	b.end(5)
	b.round()
	b.now = b.now.Add(keepHours*time.Hour - time.Minute)
	b.round()
	b.watched("shop 5 gone")
	if v := b.Processes()[0].Values["private"]; v != 100<<10 {
		t.Errorf("last value %v", v)
	}
	b.now = b.now.Add(2 * time.Minute)
	b.round()
	b.watched()
}

func TestMaxProcesses(t *testing.T) {
	b := newBench(t, Options{MaxProcesses: 2, Selectors: []Selector{{Name: "shop", Process: "shop"}}})
	for pid := 5; pid < 9; pid++ {
		b.run(pid, 100, "shop", 100)
	}
	b.round()
	if n := len(b.Processes()); n != 2 {
		t.Errorf("%d watched", n)
	}
	b.round()
	if n := strings.Count(b.log.String(), "more processes are selected"); n != 1 {
		t.Errorf("%d warnings: %s", n, b.log.String())
	}
}

func TestReplace(t *testing.T) {
	b := newBench(t, Options{Selectors: []Selector{{Name: "shop", Process: "shop"}, {Name: "bank", Process: "bank"}}})
	b.run(5, 100, "shop", 100)
	b.run(6, 100, "bank", 100)
	b.round()
	shop := b.Processes()[1].ID
	for range 3 {
		b.round() // past the rounds in which a scan reads new processes again
	}
	if err := b.Replace([]Selector{{Name: "x", Process: "a", PID: 3}}); err == nil {
		t.Error("a wrong selector was taken")
	}
	b.round()
	b.watched("bank 6", "shop 5")
	err := b.Replace([]Selector{{Name: "shop", Command: "shop", LimitBytes: 9}, {Name: "all", Command: "serve"}})
	if err != nil {
		t.Fatal(err)
	}
	b.round()
	b.watched("all 5", "all 6", "shop 5")
	if id := b.Processes()[2].ID; id != shop {
		t.Errorf("the process that stayed selected is %s, was %s", id, shop)
	}
	b.lookAll(t.Context())
	for _, in := range b.inputs {
		if in.Process == "shop" && (in.LimitBytes != 9 || in.LimitOf != "private" || len(in.Memory.Times) != 6) {
			t.Errorf("limit %v of %s, %d samples", in.LimitBytes, in.LimitOf, len(in.Memory.Times))
		}
	}
}

func TestConfirmedAfterTwoLooks(t *testing.T) {
	b := newBench(t, Options{Selectors: []Selector{{Name: "shop", Process: "shop"}}})
	b.run(5, 100, "shop", 100)
	for i, row := range []struct {
		verdict trend.Verdict
		want    bool
	}{
		{trend.Leak, false}, {trend.Stable, false}, {trend.Leak, false}, {trend.Leak, true}, {trend.Leak, true},
		{trend.Stable, true}, {trend.Leak, true}, {trend.Stable, true}, {trend.Stable, false},
	} {
		b.verdict = row.verdict
		b.round()
		b.now = b.now.Add(time.Hour)
		b.lookAll(t.Context())
		b.now = b.now.Add(time.Second)
		if got := b.Processes()[0].Confirmed; got != row.want {
			t.Errorf("look %d (%s): confirmed %v", i, row.verdict, got)
		}
	}
	if n := strings.Count(b.log.String(), "msg=\"memory leak\""); n != 1 {
		t.Errorf("announced %d times: %s", n, b.log.String())
	}
}

func TestLooksTakeTurns(t *testing.T) {
	b := newBench(t, Options{Selectors: []Selector{{Name: "shop", Process: "shop"}}})
	b.run(5, 100, "shop", 100)
	b.lookAll(t.Context())
	b.round()
	b.lookAll(t.Context())
	b.lookAll(t.Context())
	if len(b.inputs) != 1 {
		t.Errorf("%d looks after one sample, want 1", len(b.inputs))
	}
	b.round()
	b.lookAll(t.Context())
	if len(b.inputs) != 1 {
		t.Errorf("%d looks before the next was due", len(b.inputs))
	}
	b.now = b.now.Add(defaultLook + defaultLook/5)
	b.round()
	b.lookAll(t.Context())
	if len(b.inputs) != 2 {
		t.Errorf("%d looks, want 2", len(b.inputs))
	}
	long := []time.Time{begin, begin.Add(14 * 24 * time.Hour)}
	if p := b.pause(b.tracks[0], long); p < 100*time.Minute || p > 140*time.Minute {
		t.Errorf("pause with a long history: %v", p)
	}
}

func TestLoadsAreRates(t *testing.T) {
	count := 0.0
	b := newBench(t, Options{
		Interval: 5 * time.Minute, Selectors: []Selector{{Name: "shop", Process: "shop"}},
		Loads: func(context.Context) map[string]float64 { return map[string]float64{"requests": count} },
	})
	b.run(5, 100, "shop", 100)
	for _, more := range []float64{0, 300, 600, -800, 300} { // the counter starts anew once
		count += more
		b.round()
	}
	b.lookAll(t.Context())
	if len(b.inputs) != 1 || len(b.inputs[0].Loads) != 1 {
		t.Fatalf("inputs: %+v", b.inputs)
	}
	load := b.inputs[0].Loads[0]
	if diff := cmp.Diff([]float64{1, 2, 1}, load.Values); diff != "" || load.Name != "requests per second" || len(load.Times) != 3 {
		t.Errorf("%s: (-want +got)\n%s", load.Name, diff)
	}
}

func TestMemoryThatMayNotBeTraced(t *testing.T) {
	b := newBench(t, Options{Selectors: []Selector{{Name: "shop", Process: "shop"}}})
	b.run(5, 100, "shop", 100)
	b.end(5)
	b.run(5, 100, "shop", 100)
	if err := os.Remove(filepath.Join(b.proc, "5/smaps_rollup")); err != nil {
		t.Fatal(err)
	}
	b.write("5/smaps_rollup", "") // what a process without memory of its own gives
	b.round()
	b.lookAll(t.Context())
	p := b.Processes()[0]
	if !strings.Contains(p.Note, "resident memory is judged") || b.inputs[0].Memory.Name != "rss" {
		t.Errorf("note %q, judged by %s", p.Note, b.inputs[0].Memory.Name)
	}
	if _, has := p.Values["private"]; has {
		t.Error("private bytes that cannot be read must be absent")
	}
}

func TestChart(t *testing.T) {
	b := newBench(t, Options{Selectors: []Selector{{Name: "a shop/ä", Process: "shop", LimitBytes: 1 << 20}}})
	b.run(5, 100, "shop", 100)
	b.round()
	b.round()
	b.now = b.now.Add(time.Hour) // the watch was away
	b.run(5, 100, "shop", 200)
	b.round()
	b.lookAll(t.Context())
	p := b.Processes()[0]
	if want := "a-shop---5-"; !strings.HasPrefix(p.ID, want) {
		t.Errorf("id %q", p.ID)
	}
	c, err := b.Chart(t.Context(), p.ID, time.Time{}, time.Time{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if c.Counter != "private" || *c.Limit != 1<<20 || len(c.Times) != 4 {
		t.Fatalf("chart: %+v", c)
	}
	if c.Memory[2] != nil || *c.Memory[3] != 200<<10 || *c.Floor[3] != 200<<10 || *c.Trend[0] != 100<<10 {
		t.Errorf("memory %v, floor %v, trend %v; the third point is the gap", c.Memory, c.Floor, c.Trend)
	}
	if c.Times[0] != float64(begin.Unix()) {
		t.Errorf("begins at %v", c.Times[0])
	}
	if _, err := b.Chart(t.Context(), "other", time.Time{}, time.Time{}, 0); err == nil {
		t.Error("a chart of no process")
	}
}

// failing is a store that cannot write.
type failing struct {
	Store
	err error
}

func (f *failing) Append(ctx context.Context, at time.Time, points []series.Point) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Store.Append(ctx, at, points)
}

func TestStoreThatFailsIsLoggedOnce(t *testing.T) {
	f := &failing{Store: openStore(t, filepath.Join(t.TempDir(), "series"), func() time.Time { return begin }), err: os.ErrPermission}
	b := newBench(t, Options{Series: f, Selectors: []Selector{{Name: "shop", Process: "shop"}}})
	b.run(5, 100, "shop", 100)
	b.round()
	b.round()
	f.err = nil
	b.round()
	log := b.log.String()
	if strings.Count(log, "are not stored") != 1 || strings.Count(log, "are stored again") != 1 {
		t.Errorf("log: %s", log)
	}
	if v := b.Processes()[0].Values["private"]; v != 100<<10 {
		t.Errorf("newest value: %v", v)
	}
}

func TestRuntimeOfPrograms(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	server := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	b := newBench(t, Options{
		Selectors: []Selector{{Name: "shop", Process: "shop", Metrics: server.URL}, {Name: "dead", Process: "bank", Pprof: "http://127.0.0.1:1"}},
		Workers: func(context.Context) ([]Worker, error) {
			return []Worker{{Role: "edge", PID: 10, LimitBytes: 77, Runtime: func(context.Context) (procmem.Values, error) {
				return procmem.Runtime(), nil
			}}}, nil
		},
	})
	b.run(5, 100, "shop", 100)
	b.run(6, 100, "bank", 100)
	b.run(10, 100, "gatehouse", 100)
	b.round()
	b.watched("dead 6", "gatehouse edge 10", "shop 5")
	dead, edge, shop := b.Processes()[0], b.Processes()[1], b.Processes()[2]
	if !strings.Contains(dead.Note, "cannot be read") {
		t.Errorf("note: %q", dead.Note)
	}
	for _, p := range []Process{edge, shop} {
		if p.Values["heap_in_use"] <= 0 || p.Values["goroutines"] <= 0 {
			t.Errorf("%s: %v", p.Name, p.Values)
		}
		if p.Values["rss"] != 200<<10 {
			t.Errorf("%s: what the system says must come first: rss %v", p.Name, p.Values["rss"])
		}
	}
	b.lookAll(t.Context())
	for _, in := range b.inputs {
		if (in.InUse != nil) != (in.Process != "dead") {
			t.Errorf("%s: heap in use %v", in.Process, in.InUse)
		}
	}
	b.run(8, 100, "shop", 100)
	b.round()
	if note := b.Processes()[2].Note; !strings.Contains(note, "2 processes are selected") {
		t.Errorf("note with two processes and one page: %q", note)
	}
}

func TestCollector(t *testing.T) {
	b := newBench(t, Options{Selectors: []Selector{{Name: "shop", Process: "shop"}, {Name: "bank", Process: "bank"}}})
	b.run(5, 100, "shop", 100)
	b.run(6, 100, "bank", 100)
	b.verdict = trend.Leak
	b.round()
	b.end(6)
	b.round()
	b.lookAll(t.Context())
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(b.Collector())
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	page := w.Body.String()
	for _, line := range []string{
		`gatehouse_process_memory_bytes{counter="private",pid="5",process="shop"} 102400`,
		`gatehouse_process_leak_bytes_per_day{pid="5",process="shop"} 5`,
		`gatehouse_process_verdict{pid="5",process="shop",verdict="leak"} 1`,
		`gatehouse_process_threads{pid="5",process="shop"} 3`,
		`gatehouse_process_cpu_seconds_total{pid="5",process="shop"} 0.02`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no line %s in\n%s", line, page)
		}
	}
	if strings.Contains(page, "bank") {
		t.Error("a process that has ended is still there")
	}
}

func TestSupervisorThatDoesNotAnswer(t *testing.T) {
	var down error
	b := newBench(t, Options{Workers: func(ctx context.Context) ([]Worker, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("asked without a deadline")
		}
		if down != nil {
			return nil, down
		}
		return []Worker{{Role: "edge", PID: 10}}, nil
	}})
	b.run(10, 100, "gatehouse", 100)
	b.round()
	down = os.ErrDeadlineExceeded
	b.run(10, 100, "gatehouse", 300)
	b.round()
	b.round()
	b.watched("gatehouse edge 10")
	if v := b.Processes()[0].Values["private"]; v != 300<<10 {
		t.Errorf("not sampled any more: %v", v)
	}
	if n := strings.Count(b.log.String(), "own workers are not known"); n != 1 {
		t.Errorf("%d warnings: %s", n, b.log.String())
	}
}

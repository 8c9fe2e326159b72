package console

import (
	"context"
	"errors"
	"fmt"
	"gatehouse/internal/words"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/trend"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

// at is the moment of these tests, in a zone that is not UTC.
var at = words.Clock{Now: time.Date(2026, time.November, 22, 14, 2, 11, 0, time.FixedZone("", 3600))}

func ago(d time.Duration) *time.Time { t := at.Now.Add(-d).UTC(); return &t }

const day = 24 * time.Hour

func TestProblems(t *testing.T) {
	leak := func(reached time.Duration) *trend.Finding {
		return &trend.Finding{Verdict: trend.Leak, Limit: &trend.Limit{Bytes: 1 << 30, Reached: ago(-reached)}}
	}
	worker := func(w supervisor.WorkerStatus) (s supervisor.Status) {
		w.Role = "verify"
		s.Workers = []supervisor.WorkerStatus{w}
		return s
	}
	verifier := func(s state.State, usable bool) []state.Status {
		return []state.Status{{Verifier: "v", State: s, Usable: usable, Reason: "because"}}
	}
	for _, test := range []struct {
		name  string
		world func(*world)
		tone  tone
		want  string // "title: text"; empty for no problem
	}{
		{"nothing", func(*world) {}, "", ""},
		{"silent part", func(w *world) { w.farms.From, w.farms.Err = "edge", errors.New("refused") }, toneFail, "edge does not answer: refused"},
		{"failing verifier", func(w *world) { w.verifiers.Value = verifier(state.TLSError, false) }, toneFail, "v: TLS error: because"},
		{"slow verifier", func(w *world) { w.verifiers.Value = verifier(state.Slow, true) }, toneWarn, "v: slow: because"},
		{"verifier not checked yet", func(w *world) { w.verifiers.Value = verifier(state.Unknown, false) }, "", ""},
		{"authentication that counts as up", func(w *world) { w.verifiers.Value = verifier(state.AuthenticationRequired, true) }, "", ""},
		{"authentication that counts as down", func(w *world) { w.verifiers.Value = verifier(state.AuthenticationRequired, false) }, toneWarn, "v: authentication required: because"},
		{"failing open", func(w *world) {
			w.farms.Value = []farm.Snapshot{{Name: "f", FailOpen: true, Members: make([]farm.MemberSnapshot, 2)}}
		}, toneFail,
			"Farm f is failing open: no member looks usable, and all are tried all the same"},
		{"no usable member", func(w *world) { w.farms.Value = []farm.Snapshot{{Name: "f", Members: make([]farm.MemberSnapshot, 2)}} }, toneFail,
			"Farm f has no usable member: its requests are answered with 503"},
		{"one usable member", func(w *world) {
			w.farms.Value = []farm.Snapshot{{Name: "f", Members: []farm.MemberSnapshot{{Usable: true}, {}}}}
		}, "", ""},
		{"leak far from its limit", func(w *world) {
			w.processes.Value = []watch.Process{{Name: "p", PID: 7, Confirmed: true, Finding: leak(20 * day)}}
		}, toneWarn,
			"p (pid 7): Leaks memory. It reaches its limit of 1 GiB on 12 Dec."},
		{"leak near its limit", func(w *world) {
			w.processes.Value = []watch.Process{{Name: "p", PID: 7, Confirmed: true, Finding: leak(6 * day)}}
		}, toneFail,
			"p (pid 7): Leaks memory. It reaches its limit of 1 GiB on 28 Nov."},
		{"leak that one look alone found", func(w *world) { w.processes.Value = []watch.Process{{Name: "p", Finding: leak(day)}} }, "", ""},
		{"leak of a process that has ended", func(w *world) { w.processes.Value = []watch.Process{{Name: "p", Gone: true, Finding: leak(day)}} }, "", ""},
		{"growth that is explained", func(w *world) {
			w.processes.Value = []watch.Process{{Name: "p", Finding: &trend.Finding{Verdict: trend.Load}}}
		}, "", ""},
		{"unreadable process", func(w *world) { w.processes.Value = []watch.Process{{Name: "p", Error: "permission denied"}} }, toneWarn, "p cannot be read: permission denied"},
		{"worker that waits", func(w *world) {
			w.supervisor.Value = worker(supervisor.WorkerStatus{State: "waiting", Restarts: 4, LastExit: "exit 2"})
		}, toneFail,
			"Worker verify is down: it waits for its next start: exit 2"},
		{"worker that came back lately", func(w *world) {
			w.supervisor.Value = worker(supervisor.WorkerStatus{State: "ready", Restarts: 1, Started: *ago(5 * time.Minute)})
		}, toneWarn, "Worker verify restarts: 1 restart, the last one 5 min ago"},
		{"worker that came back long ago", func(w *world) {
			w.supervisor.Value = worker(supervisor.WorkerStatus{State: "ready", Restarts: 1, Started: *ago(2 * time.Hour)})
		}, "", ""},
		{"refused configuration", func(w *world) { w.supervisor.Value.ConfigError = "line 3" }, toneWarn, "Configuration refused: the last one still runs: line 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world{clock: at}
			test.world(&w)
			got, tone := "", tone("")
			for _, p := range w.problems() {
				got, tone = got+p.Title+": "+p.Text, p.Tone
			}
			if got != test.want || tone != test.tone {
				t.Errorf("got %s %q, want %s %q", tone, got, test.tone, test.want)
			}
		})
	}
}

// TestLongLists are bounded, and say how much more there is.
func TestLongLists(t *testing.T) {
	w := world{clock: at}
	for i := range 40 {
		w.verifiers.Value = append(w.verifiers.Value, state.Status{Verifier: fmt.Sprint(i), State: state.Refused})
		w.processes.Value = append(w.processes.Value, watch.Process{ID: fmt.Sprint(i), Name: fmt.Sprint(i)})
	}
	if d := w.attention(); len(d.Problems) != attentionShown || d.More != 40-attentionShown || d.Words != "40 things need attention" {
		t.Errorf("%d problems are shown, %d more, %s", len(d.Problems), d.More, d.Words)
	}
	if d := w.processLines(); len(d.Lines) != processLinesShown || d.More != 40-processLinesShown {
		t.Errorf("%d processes are shown, %d more", len(d.Lines), d.More)
	}
	v := w.memory()
	rest, ok := v.Fragments[len(v.Fragments)-1].Data.(processesData)
	if len(v.Fragments) != chartsShown+1 || !ok || len(rest.Lines) != 40-chartsShown {
		t.Errorf("the memory page has %d parts, the last with %d lines", len(v.Fragments), len(rest.Lines))
	}
}

func TestWorstFirst(t *testing.T) {
	finding := func(v trend.Verdict) *trend.Finding { return &trend.Finding{Verdict: v} }
	holds := func(rss float64) map[string]float64 { return map[string]float64{"rss": rss} }
	all := []watch.Process{
		{Name: "ended", Gone: true, Finding: finding(trend.Leak)}, {Name: "small", Finding: finding(trend.Stable), Values: holds(1e6)}, {Name: "large", Finding: finding(trend.Load), Values: holds(1e9)},
		{Name: "new"}, {Name: "keeps", Finding: finding(trend.Retention)}, {Name: "unreadable", Error: "no"}, {Name: "leaks", Confirmed: true, Finding: finding(trend.Leak), Values: holds(5e6)},
		{Name: "full soon", Confirmed: true, Finding: &trend.Finding{Verdict: trend.Leak, Limit: &trend.Limit{Bytes: 1, Reached: ago(-time.Hour)}}},
	}
	var names []string
	for _, p := range worstFirst(all, at.Now) {
		names = append(names, p.Name)
	}
	if got, want := strings.Join(names, ", "), "full soon, leaks, unreadable, keeps, new, large, small, ended"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestHolding shows the newest result where hysteresis keeps the state from following it.
func TestHolding(t *testing.T) {
	s := state.Status{Verifier: "v", State: state.Good, Streak: 1, Last: &state.Result{State: state.Refused, Reason: "connection refused"}}
	if d := newVerifier(at, s, nil); d.Holding != "The last check found refused, 1 in a row: connection refused" {
		t.Errorf("got %q", d.Holding)
	}
	s.Last.State = state.Good
	if d := newVerifier(at, s, nil); d.Holding != "" {
		t.Errorf("got %q", d.Holding)
	}
}

func TestStrip(t *testing.T) {
	result := func(s state.State, took time.Duration) state.Result {
		return state.Result{At: *ago(time.Minute), State: s, Timings: state.Timings{Total: took}}
	}
	s := newStrip(at, []state.Result{result(state.Good, 10*time.Millisecond), result(state.Slow, 100*time.Millisecond), result(state.Refused, time.Millisecond), result(state.Good, 0)})
	if want := "last 4 results: 2 good, 1 slow, 1 refused, last failure at 14:01:11"; s.Words != want {
		t.Errorf("words are %q", s.Words)
	}
	var heights []int
	for _, b := range s.Bars {
		heights = append(heights, b.Height)
		if b.Y+b.Height != stripHeight || b.X+stripPitch > s.Width {
			t.Errorf("a bar leaves the strip: %+v", b)
		}
	}
	if fmt.Sprint(heights) != "[6 24 32 4]" {
		t.Errorf("heights are %v", heights)
	}
	if words := newStrip(at, nil).Words; words != "no results yet" {
		t.Errorf("no results are %q", words)
	}
}

func TestPhases(t *testing.T) {
	bars := phases(state.Timings{Connect: 20 * time.Millisecond, FirstByte: 80 * time.Millisecond, Total: 100 * time.Millisecond})
	if len(bars) != 2 || bars[0].Name != "connect" || bars[0].Width != 200 || bars[1].X != 200 || bars[1].Width != 800 || bars[1].Took != "80 ms" {
		t.Errorf("phases are %+v", bars)
	}
	if bars := phases(state.Timings{}); bars != nil {
		t.Errorf("a check without phases has %+v", bars)
	}
}

func TestChartPath(t *testing.T) {
	v := func(f float64) *float64 { return &f }
	same := func(f float64) float64 { return f }
	if got, want := svgPath([]float64{0, 1, 2, 3}, []*float64{v(5), v(6), nil, v(7)}, same, same), "M0.0 5.0L1.0 6.0M3.0 7.0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := svgPath([]float64{0}, []*float64{nil, v(1)}, same, same); got != "" {
		t.Errorf("more values than times give %s", got)
	}
}

func TestChartRange(t *testing.T) {
	v := func(f float64) *float64 { return &f }
	for _, test := range []struct {
		name      string
		memory    []*float64
		limit     *float64
		low, high float64
	}{
		{"nothing", nil, nil, 0, 1},
		{"missing", []*float64{nil}, nil, 0, 1},
		{"varies much: from zero", []*float64{v(10), v(100)}, nil, 0, 108},
		{"hardly varies: a fifth", []*float64{v(100), v(100)}, nil, 80, 101.6},
		{"limit far away", []*float64{v(10), v(100)}, v(250), 0, 108},
		{"limit near", []*float64{v(10), v(100)}, v(180), 0, 188},
	} {
		if low, high := chartRange(watch.Chart{Memory: test.memory, Limit: test.limit}); low != test.low || high != test.high {
			t.Errorf("%s: %v to %v, want %v to %v", test.name, low, high, test.low, test.high)
		}
	}
}

func TestSpanFor(t *testing.T) {
	w := world{clock: at}
	for _, test := range []struct {
		since *time.Time
		want  string
	}{{nil, "24h"}, {ago(time.Hour), "24h"}, {ago(6 * day), "7d"}, {ago(8 * day), "30d"}, {ago(80 * day), "all"}} {
		if got := w.spanFor(watch.Process{Finding: &trend.Finding{Since: test.since}}); got != test.want {
			t.Errorf("since %v: %s, want %s", test.since, got, test.want)
		}
	}
	if got := w.spanFor(watch.Process{}); got != "24h" {
		t.Errorf("without a finding: %s", got)
	}
}

// TestWakesForgetPages sees a page that was closed no longer be told.
func TestWakesForgetPages(t *testing.T) {
	var ws wakes
	ch := ws.subscribe()
	ws.wake()
	ws.wake() // does not wait for the page to have seen the first
	<-ch
	ws.unsubscribe(ch)
	if ws.wake(); len(ch) != 0 || len(ws.chans) != 0 {
		t.Error("a page that was closed is told")
	}
}

// TestClosedPageIsForgotten sees a stream leave nothing behind.
func TestClosedPageIsForgotten(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", "/events?page=/docs/api", nil)
	c.serveEvents(httptest.NewRecorder(), r)
	if len(c.wakes.chans) != 0 || len(c.streams) != 0 {
		t.Errorf("%d wakes and %d streams are left", len(c.wakes.chans), len(c.streams))
	}
}

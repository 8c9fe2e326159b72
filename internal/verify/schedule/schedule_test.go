package schedule

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"gatehouse/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// checkFunc is a Check.
type checkFunc func(ctx context.Context) state.Result

func (f checkFunc) Check(ctx context.Context) state.Result { return f(ctx) }

// script is a check that gives the states of a list in turn, the last for ever, and notes when it was asked.
type script struct {
	mu     sync.Mutex
	states []state.State
	times  []time.Time
	takes  time.Duration
	at     int // under way now
	most   int
}

func (c *script) Check(ctx context.Context) state.Result {
	c.mu.Lock()
	c.times = append(c.times, time.Now())
	st := c.states[min(len(c.times), len(c.states))-1]
	c.at++
	c.most = max(c.most, c.at)
	c.mu.Unlock()
	start := time.Now()
	if c.takes > 0 {
		select {
		case <-ctx.Done():
			st = state.Timeout
		case <-time.After(c.takes):
		}
	}
	c.mu.Lock()
	c.at--
	c.mu.Unlock()
	return state.Result{State: st, Reason: "says " + string(st), Evidence: []string{"one", "two"}, Timings: state.Timings{Total: time.Since(start)}}
}

func (c *script) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.times)
}

func always(states ...state.State) *script { return &script{states: states} }

// start runs a schedule within a bubble; the function it returns ends it.
func start(t *testing.T, opt Options, verifiers ...Verifier) (*Schedule, func()) {
	t.Helper()
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(verifiers); err != nil {
		t.Fatal(err)
	}
	return s, run(t, s)
}

func run(t *testing.T, s *Schedule) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func status(t *testing.T, s *Schedule, name string) state.Status {
	t.Helper()
	for _, st := range s.Snapshot() {
		if st.Verifier == name {
			return st
		}
	}
	t.Fatalf("no verifier %q", name)
	return state.Status{}
}

func TestChecksAreSpreadAndRegular(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		begin := time.Now()
		checks := make([]*script, n)
		verifiers := make([]Verifier, n)
		for i := range n {
			checks[i] = always(state.Good)
			verifiers[i] = Verifier{Name: fmt.Sprint("v", i), Check: checks[i]}
		}
		s, stop := start(t, Options{}, verifiers...)
		time.Sleep(10 * time.Minute)
		stop()
		var second [30]int
		for i, c := range checks {
			if first := c.times[0].Sub(begin); first > 2*time.Second {
				t.Errorf("verifier %d was first checked after %v", i, first)
			}
			if len(c.times) < 19 || len(c.times) > 22 {
				t.Errorf("verifier %d was checked %d times in 10 minutes", i, len(c.times))
			}
			for k := 2; k < len(c.times); k++ {
				if gap := c.times[k].Sub(c.times[k-1]); gap < 26*time.Second || gap > 34*time.Second {
					t.Errorf("verifier %d: %v between two checks", i, gap)
				}
			}
			second[int(c.times[5].Sub(begin).Seconds())%30]++
		}
		if most := slices.Max(second[:]); most > 20 {
			t.Errorf("%d of %d checks in one second of the period", most, n)
		}
		if late := s.lateness.sum / float64(s.lateness.count); late > tick.Seconds() {
			t.Errorf("late by %v s on average", late)
		}
	})
}

func TestOneCheckAtATimeAndOverrunsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := always(state.Good)
		c.takes = 25 * time.Second
		_, stop := start(t, Options{}, Verifier{Name: "v", Check: c, Period: 10 * time.Second, Timeout: time.Minute})
		time.Sleep(5 * time.Minute)
		stop()
		if c.most != 1 {
			t.Errorf("%d checks at once", c.most)
		}
		if n := len(c.times); n < 9 || n > 12 {
			t.Errorf("%d checks in 300 s, each of 25 s", n)
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := always(state.Good) // shared, so that it counts over all
		c.takes = time.Second
		var verifiers []Verifier
		for i := range 40 {
			verifiers = append(verifiers, Verifier{Name: fmt.Sprint(i), Check: c, Period: 10 * time.Second})
		}
		s, stop := start(t, Options{Concurrency: 3}, verifiers...)
		time.Sleep(time.Minute)
		stop()
		if c.most != 3 {
			t.Errorf("%d checks at once, want 3", c.most)
		}
		for _, st := range s.Snapshot() {
			if st.Checks < 3 {
				t.Errorf("%s was checked %d times: not first come, first served", st.Verifier, st.Checks)
			}
		}
	})
}

func TestTimeoutBoundsACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := always(state.Good)
		c.takes = time.Hour
		s, stop := start(t, Options{}, Verifier{Name: "v", Check: c, Timeout: 3 * time.Second})
		time.Sleep(10 * time.Second)
		stop()
		if got := status(t, s, "v"); got.State != state.Timeout || got.Last.Timings.Total != 3*time.Second {
			t.Errorf("got %+v", got)
		}
	})
}

func TestTransitionsAndStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := always(state.Good, state.Refused, state.Refused, state.AuthenticationRequired, state.AuthenticationRequired)
		var seen []string
		s, stop := start(t, Options{OnTransition: func(tr state.Transition) {
			seen = append(seen, fmt.Sprintf("%s: %s -> %s (%s)", tr.Verifier, tr.From, tr.To, tr.Reason))
		}}, Verifier{Name: "f/m", Kind: "http", Target: "http://m/", Group: state.Web, Farm: "f", Member: "m", Check: c, AuthenticationUp: true, Rise: 2, Fall: 2})
		if got := status(t, s, "f/m"); got.State != state.Unknown || got.Usable || got.Reason != "not checked yet" || got.Last != nil || !got.Since.IsZero() {
			t.Errorf("before the first check: %+v", got)
		}
		time.Sleep(150 * time.Second)
		stop()
		want := []string{
			"f/m: unknown -> good (says good)",
			"f/m: good -> refused (says refused)",
			"f/m: refused -> authentication required (says authentication required; counts as up for this farm)",
		}
		if !slices.Equal(seen, want) {
			t.Errorf("transitions:\n%s", strings.Join(seen, "\n"))
		}
		got := status(t, s, "f/m")
		if got.State != state.AuthenticationRequired || !got.Usable || got.Checks < 5 || got.Failures != 2 || got.Kind != "http" || got.Target != "http://m/" || got.Farm != "f" || got.Member != "m" {
			t.Errorf("got %+v", got)
		}
		results, ok := s.History("f/m")
		if !ok || len(results) != int(got.Checks) || results[1].State != state.Refused || !slices.Equal(results[1].Evidence, []string{"one", "two"}) {
			t.Errorf("history %+v", results)
		}
		if _, ok := s.History("other"); ok {
			t.Error("there is a history of no verifier")
		}
	})
}

func TestUsable(t *testing.T) {
	for _, tt := range []struct {
		state  state.State
		up     bool
		usable bool
		reason string
	}{
		{state.Good, false, true, "why"},
		{state.Slow, false, true, "why"},
		{state.AuthenticationRequired, true, true, "why; counts as up"},
		{state.AuthenticationRequired, false, false, "why; counts as down"},
		{state.Refused, true, false, "why"},
		{state.Unknown, true, false, "why"},
	} {
		t.Run(fmt.Sprint(tt.state, tt.up), func(t *testing.T) {
			e := entry{v: Verifier{AuthenticationUp: tt.up}, stand: stand{state: tt.state, reason: "why"}}
			if usable, reason := e.judge(); usable != tt.usable || reason != tt.reason {
				t.Errorf("got %v, %q", usable, reason)
			}
		})
	}
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := always(state.Good)
		c.takes = 2 * time.Second
		s, stop := start(t, Options{}, Verifier{Name: "v", Check: c, Threshold: time.Second})
		time.Sleep(10 * time.Second)
		stop()
		if got := status(t, s, "v"); got.State != state.Slow || !got.Usable || got.Last.State != state.Slow {
			t.Errorf("got %+v", got)
		}
	})
}

func TestReplaceKeepsWhatIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, moved, left := always(state.AuthenticationRequired), always(state.Good), always(state.Good)
		left.takes = 5 * time.Second
		s, stop := start(t, Options{},
			Verifier{Name: "kept", Target: "a", Check: kept, AuthenticationUp: true},
			Verifier{Name: "moved", Target: "a", Check: moved},
			Verifier{Name: "left", Target: "a", Check: left})
		defer stop()
		time.Sleep(3 * time.Second) // left is under way
		before := status(t, s, "kept")
		after := always(state.Refused)
		if err := s.Replace([]Verifier{
			{Name: "moved", Target: "b", Check: moved},
			{Name: "kept", Target: "a", Check: after},
		}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if left.at != 0 {
			t.Error("the check of a verifier that is gone goes on")
		}
		got := status(t, s, "kept")
		if got.State != before.State || got.Checks != 1 || !got.Since.Equal(before.Since) || got.Usable {
			t.Errorf("kept: before %+v, after %+v", before, got)
		}
		if got := status(t, s, "moved"); got.State != state.Unknown || got.Checks != 0 {
			t.Errorf("moved: %+v", got)
		}
		if all := s.Snapshot(); len(all) != 2 || all[0].Verifier != "moved" {
			t.Errorf("snapshot %+v", all)
		}
		time.Sleep(2 * time.Minute)
		if n := kept.count(); n != 1 {
			t.Errorf("the old check of a kept verifier was made %d times", n)
		}
		if got := status(t, s, "kept"); got.State != state.Refused {
			t.Errorf("kept: %+v", got)
		}
		if n := moved.count(); n < 4 {
			t.Errorf("moved was checked %d times", n)
		}
	})
}

func TestReplaceRefuses(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := Verifier{Name: "a", Check: always(state.Good)}
	if err := s.Replace([]Verifier{good}); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]Verifier{
		"two of a name": {good, good},
		"no name":       {{Check: good.Check}},
		"no check":      {{Name: "b"}},
	} {
		if err := s.Replace(bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if all := s.Snapshot(); len(all) != 1 {
		t.Errorf("a refused Replace left %+v", all)
	}
}

func TestPeriodChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := always(state.Good)
		s, stop := start(t, Options{}, Verifier{Name: "v", Check: c, Period: time.Hour})
		defer stop()
		time.Sleep(5 * time.Second)
		if err := s.Replace([]Verifier{{Name: "v", Check: c, Period: time.Second}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n := c.count(); n < 9 {
			t.Errorf("%d checks", n)
		}
	})
}

func TestCheckNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := always(state.Good, state.Refused)
		c.takes = time.Second
		s, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Replace([]Verifier{{Name: "v", Check: c, Period: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CheckNow(t.Context(), "v"); err == nil {
			t.Error("a check was made without Run")
		}
		stop := run(t, s)
		time.Sleep(10 * time.Second)
		before := time.Now()
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				r, err := s.CheckNow(t.Context(), "v")
				if err != nil || r.State != state.Refused {
					t.Errorf("got %+v, %v", r, err)
				}
			})
		}
		both.Wait()
		if took := time.Since(before); took != time.Second {
			t.Errorf("two askers of one check took %v", took)
		}
		if n := c.count(); n != 2 {
			t.Errorf("%d checks, want the first and one for both askers", n)
		}
		if _, err := s.CheckNow(t.Context(), "w"); err == nil || !strings.Contains(err.Error(), "no such verifier") {
			t.Errorf("no such verifier: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := s.CheckNow(ctx, "v"); err == nil {
			t.Error("an asker whose time is over was answered")
		}
		gone := make(chan error)
		go func() {
			_, err := s.CheckNow(t.Context(), "v")
			gone <- err
		}()
		synctest.Wait()
		if err := s.Replace(nil); err != nil {
			t.Fatal(err)
		}
		if err := <-gone; err == nil {
			t.Error("a check of a verifier that is gone was answered")
		}
		stop()
		if _, err := s.CheckNow(t.Context(), "v"); err == nil {
			t.Error("a check was made after Run")
		}
	})
}

func TestEndBreaksOffAskers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := always(state.Good)
		c.takes = time.Second
		s, stop := start(t, Options{}, Verifier{Name: "v", Check: c})
		ended := make(chan error)
		go func() {
			_, err := s.CheckNow(t.Context(), "v")
			ended <- err
		}()
		synctest.Wait()
		stop()
		if err := <-ended; err == nil {
			t.Error("answered")
		}
		if st := status(t, s, "v"); st.Checks != 0 {
			t.Errorf("a check that was broken off counts: %+v", st)
		}
	})
}

func TestPanicIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, Options{Concurrency: 1},
			Verifier{Name: "bad", Check: checkFunc(func(context.Context) state.Result { panic("oh") })},
			Verifier{Name: "good", Check: always(state.Good)})
		time.Sleep(time.Minute)
		stop()
		if st := status(t, s, "bad"); st.State != state.Unknown || st.Last == nil || !strings.Contains(st.Reason, "oh") || st.Last.At.IsZero() {
			t.Errorf("got %+v", st)
		}
		if st := status(t, s, "good"); st.State != state.Good {
			t.Errorf("the worker has not gone on: %+v", st)
		}
	})
}

func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		early := s.Subscribe(t.Context())
		if err := s.Replace([]Verifier{
			{Name: "a", Check: always(state.Good, state.Slow), Period: time.Second},
			{Name: "b", Check: always(state.Refused), Period: time.Second},
		}); err != nil {
			t.Fatal(err)
		}
		stop := run(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		other := s.Subscribe(ctx)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		got := map[string]state.Status{}
		for range 2 { // nobody has read for 20 s: one each is there, and it is the newest
			st := <-early
			got[st.Verifier] = st
		}
		for _, name := range []string{"a", "b"} {
			if want := status(t, s, name); got[name].Checks != want.Checks {
				t.Errorf("%s: got %+v, want %+v", name, got[name], want)
			}
		}
		cancel()
		synctest.Wait()
		for range other { // ends, for the channel is closed
		}
		if len(s.subs) != 1 {
			t.Errorf("%d subscribers are remembered", len(s.subs))
		}
		stop()
		for range early {
		}
		if _, open := <-s.Subscribe(t.Context()); open {
			t.Error("a subscription after the end is open")
		}
	})
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := always(state.Good)
		s, stop := start(t, Options{}, Verifier{Name: "v", Check: c})
		if err := s.Run(t.Context()); err == nil {
			t.Error("ran twice at once")
		}
		time.Sleep(time.Minute)
		stop()
		n := c.count()
		stop = run(t, s)
		time.Sleep(time.Minute)
		stop()
		if c.count() < n+2 {
			t.Errorf("%d checks in the second run", c.count()-n)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{Concurrency: -1}); err == nil {
		t.Error("a negative concurrency was taken")
	}
	if _, err := New(Options{History: -1}); err == nil {
		t.Error("a negative history was taken")
	}
}

func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, Options{}, Verifier{Name: "v", Group: state.Web, Farm: "f", Member: "m", Check: always(state.Refused)})
		time.Sleep(5 * time.Second)
		stop()
		if problems, err := testutil.CollectAndLint(s); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
		want := `
# HELP gatehouse_verifier_checks_total Checks made.
# TYPE gatehouse_verifier_checks_total counter
gatehouse_verifier_checks_total{farm="f",group="web",member="m",verifier="v"} 1
# HELP gatehouse_verifier_failures_total Checks that were not answered.
# TYPE gatehouse_verifier_failures_total counter
gatehouse_verifier_failures_total{farm="f",group="web",member="m",verifier="v"} 1
# HELP gatehouse_verifier_usable 1 when traffic may be sent to what the verifier checks.
# TYPE gatehouse_verifier_usable gauge
gatehouse_verifier_usable{farm="f",group="web",member="m",verifier="v"} 0
`
		if err := testutil.CollectAndCompare(s, strings.NewReader(want), "gatehouse_verifier_checks_total", "gatehouse_verifier_failures_total", "gatehouse_verifier_usable"); err != nil {
			t.Error(err)
		}
		if n := testutil.CollectAndCount(s, "gatehouse_verifier_state"); n != len(state.States()) {
			t.Errorf("%d states", n)
		}
		if n := testutil.CollectAndCount(s, "gatehouse_verify_schedule_lateness_seconds"); n != 1 {
			t.Errorf("%d histograms of lateness", n)
		}
	})
}

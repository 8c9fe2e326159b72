package schedule

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/state"
)

func TestHysteresis(t *testing.T) {
	const (
		good, slow, auth = state.Good, state.Slow, state.AuthenticationRequired
		refused, timeout = state.Refused, state.Timeout
		unknown          = state.Unknown
	)
	for _, tt := range []struct {
		name       string
		rise, fall int
		results    []state.State
		want       []state.State
		streak     int // after the last
	}{
		{"the first good counts at once", 3, 3, []state.State{good}, []state.State{good}, 1},
		{"the first failure counts at once", 3, 3, []state.State{refused}, []state.State{refused}, 1},
		{"falls after two", 2, 2, []state.State{good, timeout, timeout}, []state.State{good, good, timeout}, 2},
		{"one failure is forgiven", 2, 2, []state.State{good, timeout, good, timeout, good}, []state.State{good, good, good, good, good}, 1},
		{"failures of several kinds add up", 2, 3, []state.State{good, timeout, refused, timeout}, []state.State{good, good, good, timeout}, 3},
		{"within failing at once", 2, 2, []state.State{refused, timeout, refused}, []state.State{refused, timeout, refused}, 3},
		{"within answering at once", 2, 2, []state.State{good, slow, auth, good}, []state.State{good, slow, auth, good}, 4},
		{"rises after three", 3, 1, []state.State{refused, good, good, slow}, []state.State{refused, refused, refused, slow}, 3},
		{"an interrupted rise begins again", 2, 1, []state.State{refused, good, refused, good, good}, []state.State{refused, refused, refused, refused, good}, 2},
		{"could not tell is not down at once", 2, 2, []state.State{good, unknown, good}, []state.State{good, good, good}, 1},
		{"could not tell is not good for ever", 2, 2, []state.State{good, unknown, unknown}, []state.State{good, good, unknown}, 2},
		{"from unknown the next counts at once", 3, 2, []state.State{good, unknown, unknown, refused}, []state.State{good, good, unknown, refused}, 1},
		{"one and one is no hysteresis", 1, 1, []state.State{good, refused, good}, []state.State{good, refused, good}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			s := stand{state: state.Unknown}
			var since time.Time
			for i, r := range tt.results {
				now = now.Add(time.Minute)
				before := s.state
				s = s.after(state.Result{State: r, Reason: string(r)}, now, tt.rise, tt.fall)
				if s.state != before || i == 0 {
					since = now
				}
				if s.state != tt.want[i] {
					t.Fatalf("after %v: %q, want %q", tt.results[:i+1], s.state, tt.want[i])
				}
				if !s.since.Equal(since) {
					t.Errorf("after %v: since %v, want %v", tt.results[:i+1], s.since, since)
				}
				if held := s.state != r; held != (s.pending != "") {
					t.Errorf("after %v: pending %q", tt.results[:i+1], s.pending)
				}
				if s.pending == "" && s.reason != string(r) {
					t.Errorf("after %v: reason %q", tt.results[:i+1], s.reason)
				}
			}
			if s.streak != tt.streak {
				t.Errorf("streak %d, want %d", s.streak, tt.streak)
			}
		})
	}
}

func TestReasonSaysWhatIsHeldBack(t *testing.T) {
	s := stand{state: state.Unknown}
	s = s.after(state.Result{State: state.Good, Reason: "HTTP 200 OK"}, time.Now(), 2, 3)
	s = s.after(state.Result{State: state.Refused, Reason: "nobody there"}, time.Now(), 2, 3)
	if want := "refused: nobody there (1 of the 3 in a row that change the state)"; !strings.HasSuffix(s.pending, want) {
		t.Errorf("pending %q, want an end of %q", s.pending, want)
	}
}

func TestNextDue(t *testing.T) {
	const p = 30 * time.Second
	for _, tt := range []struct {
		name       string
		phase      float64
		start, now time.Duration
		jitter     float64
		want       time.Duration
	}{
		{"the next grid point", 0, 0, time.Second, 0.5, p},
		{"with a phase", 0.5, 15 * time.Second, 16 * time.Second, 0.5, 45 * time.Second},
		{"not sooner than half a period", 0.1, 2 * time.Second, 2 * time.Second, 0.5, 33 * time.Second},
		{"started late by jitter", 0, 31 * time.Second, 31 * time.Second, 0.5, 60 * time.Second},
		{"started early by jitter", 0, 29 * time.Second, 29 * time.Second, 0.5, 60 * time.Second},
		{"an overrun leaves grid points out", 0, 0, 65 * time.Second, 0.5, 90 * time.Second},
		{"earliest", 0, 0, 0, 0, 28500 * time.Millisecond},
		{"latest", 0, 0, 0, 1, 31500 * time.Millisecond},
		{"never in the past", 0, 0, 29 * time.Second, 0, 29 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nextDue(tt.phase, p, tt.start, tt.now, tt.jitter); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

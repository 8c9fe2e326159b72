package farm

import (
	"fmt"
	"sync"
	"time"

	"gatehouse/internal/state"
)

// book holds what changes over time beside the members' standings. Farms of one name share it over reloads, so that a
// lease that began under the old configuration is counted and ended under the new one.
type book struct {
	mu       sync.Mutex // guards the standings too
	sessions sessions
	window   window
}

// standing is what is known of a member.
type standing struct {
	mode     Mode
	deadline time.Time     // of a drain
	timer    *time.Timer   // of a drain, nil without
	ended    chan struct{} // closed while the member is removed
	health   Health
	checked  bool      // a verifier has spoken
	warming  time.Time // since when it has been used again; zero when it need not warm up
	current  float64   // smooth weighted round robin
	active   int
	requests uint64
	failures uint64
	sessions int
}

func newStanding() *standing { return &standing{mode: Active, ended: make(chan struct{})} }

// UnknownMember is the error of an order for a member that the farm does not have.
type UnknownMember struct{ Farm, Member string }

func (e *UnknownMember) Error() string {
	return fmt.Sprintf("web farm %s has no member %q", e.Farm, e.Member)
}

// with runs change on the member's standing under the mutex.
func (f *Farm) with(member string, change func(*standing)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.named(member)
	if m == nil {
		return &UnknownMember{Farm: f.opt.Name, Member: member}
	}
	change(m.standing)
	return nil
}

// SetHealth takes over what the member's verifier says. A member that the farm does not have is ignored: verifiers and
// farms learn of a new configuration one after the other.
func (f *Farm) SetHealth(member string, h Health) {
	_ = f.with(member, func(s *standing) {
		if s.checked && h.Usable && !s.health.Usable {
			s.warming = time.Now()
		}
		s.health, s.checked = h, true
	})
}

// Drain sends no new sessions to the member. Those that it has go on until the deadline, after which it is removed; 0 is
// the farm's own deadline. Without affinity there are no sessions, and only requests under way go on. A drain that is under
// way gets the new deadline; a member that is removed stays so.
func (f *Farm) Drain(member string, deadline time.Duration) error {
	if deadline <= 0 {
		deadline = f.opt.DrainTimeout
	}
	return f.with(member, func(s *standing) {
		if s.mode == Removed {
			return
		}
		s.activate()
		s.mode, s.deadline = Draining, time.Now().Add(deadline)
		var timer *time.Timer
		timer = time.AfterFunc(deadline, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if s.timer == timer { // no other order has come meanwhile
				f.remove(s)
			}
		})
		s.timer = timer
	})
}

// Resume uses the member again.
func (f *Farm) Resume(member string) error {
	return f.with(member, func(s *standing) {
		if s.mode != Active {
			s.warming = time.Now()
		}
		s.activate()
	})
}

// Remove sends nothing to the member any more; its sessions move, and what is under way is told by Ended.
func (f *Farm) Remove(member string) error {
	return f.with(member, f.remove)
}

// Ended returns a channel that is closed when what is under way at the member must end: its drain is over or it has been
// removed. For a member that the farm does not have it is nil.
func (f *Farm) Ended(member string) <-chan struct{} {
	var ended <-chan struct{}
	_ = f.with(member, func(s *standing) { ended = s.ended })
	return ended
}

// remove takes the member out of use. The mutex is held.
func (f *Farm) remove(s *standing) {
	s.activate()
	s.mode = Removed
	close(s.ended)
	f.sessions.drop(s)
}

// activate ends a drain or a removal.
func (s *standing) activate() {
	s.stopTimer()
	if s.mode == Removed {
		s.ended = make(chan struct{})
	}
	s.mode, s.deadline = Active, time.Time{}
}

func (s *standing) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// coldest is the share of its weight that a member begins a slow start with.
const coldest = 0.1

// warmth is the share of its weight that the member gets: it grows over the time of a slow start from a tenth to 1.
func (s *standing) warmth(now time.Time, slowStart time.Duration) float64 {
	if s.warming.IsZero() {
		return 1
	}
	since := now.Sub(s.warming)
	if since >= slowStart {
		return 1
	}
	return max(coldest, float64(since)/float64(slowStart))
}

// reason says why the member is used or not.
func (s *standing) reason(open bool) string {
	why := s.health.Reason
	switch {
	case s.mode == Draining:
		return "draining: no new sessions"
	case s.mode == Removed:
		return "removed by an operator, or its drain is over"
	case !s.checked:
		why = "not checked yet"
	case why == "":
		why = string(s.health.State)
	}
	if open && s.mode == Active {
		return why + "; tried all the same, because no member looks usable"
	}
	if s.health.State == state.Slow && s.health.Usable {
		return why + " (slow members are used)"
	}
	return why
}

// window counts requests and retries over the last ten seconds.
type window struct {
	seconds [windowSeconds]struct {
		at                int64
		requests, retries int
	}
}

const (
	windowSeconds = 10
	freeRetries   = 10 // retries in a window that need no budget
)

func (w *window) slot(now time.Time) *struct {
	at                int64
	requests, retries int
} {
	s := &w.seconds[now.Unix()%windowSeconds]
	if s.at != now.Unix() {
		s.at, s.requests, s.retries = now.Unix(), 0, 0
	}
	return s
}

func (w *window) request(now time.Time) { w.slot(now).requests++ }

func (w *window) retry(now time.Time, percent int) bool {
	if percent <= 0 {
		return false
	}
	requests, retries := 0, 0
	for _, s := range w.seconds {
		if now.Unix()-s.at < windowSeconds {
			requests += s.requests
			retries += s.retries
		}
	}
	if retries >= freeRetries && retries*100 >= requests*percent {
		return false
	}
	w.slot(now).retries++
	return true
}

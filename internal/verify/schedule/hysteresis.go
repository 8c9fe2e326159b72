package schedule

import (
	"fmt"
	"time"

	"gatehouse/internal/state"
)

// class is what hysteresis counts: results of one class in a row.
type class uint8

const (
	untold   class = iota // the check could not tell: the fault was on this side
	failed                // the server did not answer, or not as it should
	answered              // good, slow, or authentication required
)

func classOf(s state.State) class {
	switch {
	case s.Answered():
		return answered
	case s == state.Unknown:
		return untold
	}
	return failed
}

// stand is where a verifier stands after hysteresis. It is a value; its zero value has no result yet, but its state must
// be set to unknown.
type stand struct {
	state   state.State
	since   time.Time // when state began; zero until the first result
	reason  string
	pending string // what a result says that does not count yet, as a clause
	streak  int    // how many results in a row are of the class of the newest
	newest  class
}

// after is the stand once a result has come in at now. A result of the class of the present state counts at once, good
// becomes slow and refused becomes timeout; one of another class counts only after rise (for answers) or fall (for all
// else) in a row. From unknown the first result counts at once.
func (s stand) after(r state.Result, now time.Time, rise, fall int) stand {
	c := classOf(r.State)
	if c != s.newest {
		s.streak = 0
	}
	s.streak++
	s.newest = c
	needed := fall
	if c == answered {
		needed = rise
	}
	if c != classOf(s.state) && s.state != state.Unknown && s.streak < needed {
		s.pending = fmt.Sprintf("; but the last check found %s: %s (%d of the %d in a row that change the state)", r.State, r.Reason, s.streak, needed)
		return s
	}
	if r.State != s.state || s.since.IsZero() {
		s.since = now
	}
	s.state, s.reason, s.pending = r.State, r.Reason, ""
	return s
}

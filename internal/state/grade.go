package state

import (
	"fmt"
	"time"
)

// Graded returns the result with a verifier's threshold applied: a good answer whose round trip took longer is slow. A
// server that asks who is there keeps that state, since it says more, and gets the slowness into its reason. A threshold of
// zero or less changes nothing.
func (r Result) Graded(threshold time.Duration) Result {
	if threshold <= 0 || r.Timings.Total <= threshold || (r.State != Good && r.State != AuthenticationRequired) {
		return r
	}
	if r.State == Good {
		r.State = Slow
	}
	r.Reason += fmt.Sprintf("; it took %d ms, more than the threshold of %d ms", r.Timings.Total.Milliseconds(), threshold.Milliseconds())
	return r
}

package schedule

import (
	"container/heap"
	"context"
	"math"
	"time"

	"gatehouse/internal/state"
)

// place is where an entry is in its round.
type place uint8

const (
	waiting place = iota // in the heap
	ready                // in the ready queue, or on its way to a worker
	running
	gone
)

// entry is one verifier with all that is known of it. The schedule's mutex guards it.
type entry struct {
	v                Verifier
	stand            stand
	history          ring
	checks, failures uint64

	phase     float64       // from 0 to below 1: where in the period its checks lie
	due       time.Duration // since the schedule's epoch
	heapIndex int
	place     place
	asked     bool // CheckNow brought it forward
	unsaved   int  // how many of the newest results are not in the store
	cancel    context.CancelFunc
	waiters   []chan<- state.Result
}

// spread is the time over which first checks are spread, so that a farm learns of its members soon.
const spread = 2 * time.Second

// firstDue is when a verifier of the given phase is first checked.
func (s *Schedule) firstDue(phase float64, period time.Duration) time.Duration {
	return time.Since(s.epoch) + time.Duration(phase*float64(min(period, spread)))
}

// nextDue is the time of the check after one that began at start and has ended at now. Checks lie on a grid of the
// period, moved by the phase, so that they stay spread however long the schedule runs; jitter, from 0 to below 1, moves
// each by up to 5 % of the period. The least distance from the check before is half a period, and a check that took
// longer than that leaves out the grid points it has missed.
func nextDue(phase float64, period, start, now time.Duration, jitter float64) time.Duration {
	offset := time.Duration(phase * float64(period))
	earliest := max(start+period/2, now)
	points := math.Ceil(float64(earliest-offset) / float64(period))
	due := offset + time.Duration(points)*period + time.Duration((jitter-0.5)*0.1*float64(period))
	return max(due, now)
}

// leave ends an entry that is not to run any more.
func (e *entry) leave() {
	e.place = gone
	if e.cancel != nil {
		e.cancel()
	}
	e.dismiss()
}

// dismiss tells whoever waits for a result that there will be none.
func (e *entry) dismiss() {
	for _, w := range e.waiters {
		close(w)
	}
	e.waiters = nil
}

// take takes a result in and reports the transition, if it made one.
func (e *entry) take(r state.Result, now time.Time, keep int) (state.Transition, bool) {
	r = r.Graded(e.v.Threshold)
	e.checks++
	if !r.State.Answered() {
		e.failures++
	}
	e.history.add(r, keep)
	e.unsaved = min(e.unsaved+1, e.history.len())
	before := e.stand.state
	e.stand = e.stand.after(r, now, e.v.Rise, e.v.Fall)
	for _, w := range e.waiters {
		w <- r // has room: each waits for one result
	}
	e.waiters = nil
	if e.stand.state == before {
		return state.Transition{}, false
	}
	_, reason := e.judge()
	return state.Transition{Verifier: e.v.Name, At: now, From: before, To: e.stand.state, Reason: reason}, true
}

// judge says whether traffic may be sent to what the verifier checks, and why its state is what it is.
func (e *entry) judge() (usable bool, reason string) {
	reason = e.stand.reason
	switch e.stand.state {
	case state.Good, state.Slow:
		usable = true
	case state.AuthenticationRequired:
		usable = e.v.AuthenticationUp
		word := "down"
		if usable {
			word = "up"
		}
		reason += "; counts as " + word
		if e.v.Farm != "" {
			reason += " for this farm"
		}
	}
	if reason == "" {
		reason = "not checked yet"
	}
	return usable, reason + e.stand.pending
}

func (e *entry) status() state.Status {
	usable, reason := e.judge()
	st := state.Status{
		Verifier: e.v.Name, Kind: e.v.Kind, Target: e.v.Target, Group: e.v.Group, Farm: e.v.Farm, Member: e.v.Member,
		State: e.stand.state, Since: e.stand.since, Usable: usable, Reason: reason,
		Streak: e.stand.streak, Checks: e.checks, Failures: e.failures,
	}
	if last := e.history.newest(1); len(last) == 1 {
		st.Last = &last[0]
	}
	return st
}

// queue is a heap of waiting entries by due time.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].heapIndex, q[j].heapIndex = i, j
}

// Push and Pop are for container/heap alone.
func (q *queue) Push(x any) {
	e, ok := x.(*entry)
	if !ok {
		return
	}
	e.heapIndex = len(*q)
	*q = append(*q, e)
}

// Pop is for container/heap alone.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.heapIndex = -1
	return e
}

func (q *queue) add(e *entry) { heap.Push(q, e) }

func (q *queue) remove(e *entry) {
	if e.heapIndex >= 0 {
		heap.Remove(q, e.heapIndex)
	}
}

// due takes the first entry out whose time has come, nil when there is none.
func (q *queue) due(now time.Duration) *entry {
	if len(*q) == 0 || (*q)[0].due > now {
		return nil
	}
	e := (*q)[0]
	heap.Pop(q)
	return e
}

package schedule

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"gatehouse/internal/state"
)

// tick is the least time between two looks at the heap: checks whose time comes within it begin together.
const tick = 5 * time.Millisecond

// Run makes the checks until ctx ends; then it breaks off those under way, saves, and returns nil. It fails only when it
// runs already.
func (s *Schedule) Run(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	jobs := make(chan *entry)
	var workers, others sync.WaitGroup
	for range s.opt.Concurrency {
		workers.Go(func() { s.work(ctx, jobs) })
	}
	// The keeper outlives the workers, so that the last results are saved.
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	others.Go(func() { s.keep(keeping) })
	others.Go(func() { s.pumps(ctx) })
	s.dispatch(ctx, jobs)
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	workers.Wait()
	stopKeeping()
	others.Wait()
	return nil
}

func (s *Schedule) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return errors.New("run verifiers: they are running already")
	}
	s.running, s.over = true, false
	for _, e := range s.order {
		e.due = s.firstDue(e.phase, e.v.Period)
	}
	s.rebuild()
	return nil
}

func (s *Schedule) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	for sub := range s.subs { // what came too late for a pump
		close(sub.out)
	}
	clear(s.subs)
	s.ready = nil
	for _, e := range s.order {
		e.place, e.asked = waiting, false
		e.dismiss()
	}
}

// dispatch hands entries to workers when their time comes.
func (s *Schedule) dispatch(ctx context.Context, jobs chan<- *entry) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var next *entry // taken from the ready queue, and not yet by a worker
	for {
		wait := s.collect(&next)
		var out chan<- *entry
		if next != nil {
			out = jobs
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case out <- next:
			next = nil
		case <-timer.C:
		case <-s.wake:
		}
	}
}

// collect moves what is due to the ready queue, fills next from it when it is nil, and returns how long to sleep.
func (s *Schedule) collect(next **entry) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Since(s.epoch)
	for e := s.queue.due(now); e != nil; e = s.queue.due(now) {
		e.place = ready
		s.ready = append(s.ready, e)
	}
	for *next == nil && len(s.ready) > 0 {
		if s.ready[0].place == ready {
			*next = s.ready[0]
		}
		s.ready[0] = nil
		s.ready = s.ready[1:]
	}
	if len(s.queue) == 0 {
		return time.Hour // something that wakes comes first
	}
	return max(s.queue[0].due-now, tick)
}

func (s *Schedule) work(ctx context.Context, jobs <-chan *entry) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-jobs:
			s.perform(ctx, e)
		}
	}
}

// perform makes one check and takes its result in.
func (s *Schedule) perform(ctx context.Context, e *entry) {
	v, start, checking := s.claim(ctx, e)
	if checking == nil {
		return
	}
	began := time.Now()
	result := s.attempt(checking, v)
	if result.At.IsZero() {
		result.At = began
	}
	transition, turned := s.take(ctx, e, result)
	if turned && s.opt.OnTransition != nil {
		s.opt.OnTransition(transition)
	}
	s.requeue(e, start)
}

// claim marks an entry as running; the context is nil when it is not to be checked any more.
func (s *Schedule) claim(ctx context.Context, e *entry) (Verifier, time.Duration, context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.place != ready {
		return Verifier{}, 0, nil
	}
	start := time.Since(s.epoch)
	if !e.asked {
		s.lateness.observe(max(start-e.due, 0))
	}
	e.place, e.asked = running, false
	checking, cancel := context.WithTimeout(ctx, e.v.Timeout)
	e.cancel = cancel
	return e.v, start, checking
}

// take takes a result in, unless the entry has gone or ctx has ended in the meantime.
func (s *Schedule) take(ctx context.Context, e *entry, r state.Result) (state.Transition, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.cancel()
	e.cancel = nil
	if e.place == gone || ctx.Err() != nil {
		return state.Transition{}, false
	}
	transition, turned := e.take(r, time.Now(), s.opt.History)
	if e.unsaved == 1 {
		s.dirty = append(s.dirty, e)
	}
	s.changed(e)
	if turned {
		signal(s.urgent)
	}
	return transition, turned
}

// requeue gives an entry whose check is done its next time. Until then it is running, so that nothing of one verifier
// overlaps.
func (s *Schedule) requeue(e *entry, start time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.place == gone {
		return
	}
	e.place, e.due = waiting, nextDue(e.phase, e.v.Period, start, time.Since(s.epoch), s.opt.Jitter())
	s.queue.add(e)
	if s.queue[0] == e {
		signal(s.wake)
	}
}

// attempt calls the check. A check that panics has not told anything; the worker goes on.
func (s *Schedule) attempt(ctx context.Context, v Verifier) (r state.Result) {
	defer func() {
		if cause := recover(); cause != nil {
			s.opt.Log.Error("check panicked", "verifier", v.Name, "cause", cause, "stack", string(debug.Stack()))
			r = state.Result{State: state.Unknown, Reason: fmt.Sprintf("could not tell: the check itself failed: %v", cause)}
		}
	}()
	return v.Check.Check(ctx)
}

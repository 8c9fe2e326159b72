package schedule

import (
	"context"
	"io"
	"iter"
	"time"

	"gatehouse/internal/state"
)

// Saved is what a store keeps of one verifier.
type Saved struct {
	Verifier string         `json:"verifier"`
	Kind     string         `json:"kind"`
	Target   string         `json:"target"`
	State    state.State    `json:"state"`
	Since    time.Time      `json:"since"`
	Reason   string         `json:"reason"`
	Streak   int            `json:"streak"`
	Checks   uint64         `json:"checks"`
	Failures uint64         `json:"failures"`
	Results  []state.Result `json:"results"` // newest last
}

func (s Saved) key() string { return key(s.Verifier, s.Kind, s.Target) }

// Store keeps what is known of verifiers over restarts. A schedule calls it from one goroutine at a time, while checks go
// on; one that is an io.Closer is closed when Run ends. What it has taken must survive the sudden death of the process, though not of the machine.
type Store interface {
	// Load returns what is kept, merged to one Saved a verifier. With an error it returns what could be read all the same.
	Load() ([]Saved, error)
	// Append adds to what is kept: each Saved replaces what was known of its verifier, and its results follow those kept
	// before. It returns true when it is time for a Rewrite.
	Append(changes []Saved) (grown bool, err error)
	// Rewrite replaces everything by n verifiers. A store that is bounded leaves out the oldest results.
	Rewrite(n int, all iter.Seq[Saved]) error
}

// saveEvery is how long a result waits at most to be saved; what makes a transition does not wait.
const saveEvery = 3 * time.Second

// retryEvery is how long a store that failed is left alone.
const retryEvery = 30 * time.Second

// keep saves until ctx ends, and then once more.
func (s *Schedule) keep(ctx context.Context) {
	if s.opt.Store == nil {
		return
	}
	if closer, ok := s.opt.Store.(io.Closer); ok {
		defer func() {
			if err := closer.Close(); err != nil {
				s.opt.Log.Error("verifiers' results may not be saved", "error", err)
			}
		}()
	}
	timer := time.NewTimer(saveEvery)
	defer timer.Stop()
	urgent := s.urgent
	for {
		select {
		case <-ctx.Done():
			s.save()
			return
		case <-urgent:
		case <-timer.C:
		}
		next := saveEvery
		urgent = s.urgent
		if !s.save() {
			next, urgent = retryEvery, nil
		}
		timer.Reset(next)
	}
}

// save gives the store what is new, and reports whether it took it.
func (s *Schedule) save() bool {
	s.mu.Lock()
	rewrite, changes := s.rewrite, s.changes()
	s.mu.Unlock()
	if !rewrite && len(changes) > 0 {
		var err error
		if rewrite, err = s.opt.Store.Append(changes); err != nil {
			s.opt.Log.Error("verifiers' results are not saved", "error", err)
			s.again()
			return false
		}
	}
	if !rewrite {
		return true
	}
	s.mu.Lock()
	s.rewrite = false
	order, unclaimed := s.order, s.saved
	s.mu.Unlock()
	if err := s.opt.Store.Rewrite(len(order)+len(unclaimed), s.everything(order, unclaimed)); err != nil {
		s.opt.Log.Error("verifiers' results are not saved", "error", err)
		s.again()
		return false
	}
	return true
}

// again makes the next save write everything, since this one has failed.
func (s *Schedule) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rewrite = true
}

// changes takes what is not saved. The mutex is held.
func (s *Schedule) changes() []Saved {
	changes := make([]Saved, 0, len(s.dirty))
	for _, e := range s.dirty {
		changes = append(changes, e.save(e.unsaved))
		e.unsaved = 0
	}
	s.dirty = s.dirty[:0]
	return changes
}

// everything yields all that is worth keeping, holding the mutex for one verifier at a time. A result that comes in
// between is yielded here and appended again later; Load knows it by its time.
func (s *Schedule) everything(order []*entry, unclaimed map[string]Saved) iter.Seq[Saved] {
	return func(yield func(Saved) bool) {
		for _, e := range order {
			s.mu.Lock()
			saved := e.save(e.history.len())
			s.mu.Unlock()
			if len(saved.Results) > 0 && !yield(saved) {
				return
			}
		}
		for _, saved := range unclaimed {
			if !yield(saved) {
				return
			}
		}
	}
}

// save makes what is kept of an entry, with its newest n results.
func (e *entry) save(n int) Saved {
	return Saved{
		Verifier: e.v.Name, Kind: e.v.Kind, Target: e.v.Target,
		State: e.stand.state, Since: e.stand.since, Reason: e.stand.reason, Streak: e.stand.streak,
		Checks: e.checks, Failures: e.failures, Results: e.history.newest(n),
	}
}

// staleAfter is how many periods, and at least how long, a saved state is believed without a check.
const (
	stalePeriods = 10
	staleAtLeast = 5 * time.Minute
)

// restore takes up what was kept. Where the newest result is so old that nobody knows what has happened since, history
// and counters stay, and the state is unknown until the first check.
func (e *entry) restore(kept Saved, keep int, now time.Time) {
	e.checks, e.failures = kept.Checks, kept.Failures
	for _, r := range kept.Results {
		e.history.add(r, keep)
	}
	if len(kept.Results) == 0 {
		return
	}
	last := kept.Results[len(kept.Results)-1]
	if age := now.Sub(last.At); age > max(stalePeriods*e.v.Period, staleAtLeast) {
		e.stand.reason = "not checked since " + last.At.UTC().Format(time.DateTime)
		return
	}
	e.stand = stand{state: kept.State, since: kept.Since, reason: kept.Reason, streak: max(kept.Streak, 1), newest: classOf(last.State)}
}

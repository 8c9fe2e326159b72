// Package schedule runs connectivity verifiers over time: when each is checked, what its results add up to, and what is
// remembered of them.
//
// One goroutine keeps the times of all verifiers in a heap and looks at it in small ticks; a bounded set of workers makes
// the checks. A verifier costs memory but no goroutine and no timer. It has at most one check under way: one that
// overruns its period delays the next, and never piles up.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"gatehouse/internal/state"
)

// Check makes one attempt to reach one target. The target is fixed: nothing that a server answers changes what the next
// attempt asks. An attempt ends soon after ctx does and leaves nothing behind. It is called by one goroutine at a time,
// and says what it found by its result alone.
type Check interface {
	Check(ctx context.Context) state.Result
}

// Verifier is a check on a schedule. Fields that are zero have the defaults that ISA Server had, as far as it had any.
type Verifier struct {
	Name   string // unique; "farm/member" for a farm's own verifiers
	Kind   string // http, tcp or icmp
	Target string // URL, host:port or host, for people
	Group  state.Group
	Farm   string // for a farm's verifier: the farm and the member it stands for
	Member string

	Check     Check         // required
	Period    time.Duration // from one check to the next; 0 is 30 s
	Threshold time.Duration // the round trip above which a good answer is slow; 0 is 5 s
	Timeout   time.Duration // how long a check may take; 0 is 10 s
	Rise      int           // answers in a row that bring a failing verifier back; 0 is 2
	Fall      int           // failures in a row that make it fail; 0 is 2

	AuthenticationUp bool // whether a server that answers "authentication required" may be used
}

func (v Verifier) withDefaults() Verifier {
	if v.Period <= 0 {
		v.Period = 30 * time.Second
	}
	if v.Threshold <= 0 {
		v.Threshold = 5 * time.Second
	}
	if v.Timeout <= 0 {
		v.Timeout = 10 * time.Second
	}
	if v.Rise <= 0 {
		v.Rise = 2
	}
	if v.Fall <= 0 {
		v.Fall = 2
	}
	if v.Group == "" {
		v.Group = state.Others
	}
	return v
}

// Options wires a schedule. The zero value works.
type Options struct {
	// Concurrency is the most checks that may be under way at once; 0 is 64.
	Concurrency int
	// History is how many results are kept a verifier; 0 is 120.
	History int
	// OnTransition is told each change of a verifier's state. It is called by the goroutine that made the check, holds up
	// that worker until it returns, and may be called for several verifiers at once; for one verifier the calls come in
	// order. Nil tells nobody.
	OnTransition func(state.Transition)
	// Store keeps states and history over restarts; nil keeps none.
	Store Store
	// Log gets what goes wrong in the store and in checks; nil discards it.
	Log *slog.Logger
	// Jitter returns numbers from 0 to below 1 that move each check by up to 5 % of its period. Nil uses a generator of
	// its own. It is called by one goroutine at a time.
	Jitter func() float64
}

// Schedule runs verifiers. Every method may be called by any goroutine at any time.
type Schedule struct {
	opt    Options
	epoch  time.Time     // times within the schedule are durations since then, so that setting the clock changes nothing
	wake   chan struct{} // capacity 1: the heap changed
	urgent chan struct{} // capacity 1: something is worth saving at once
	joined chan struct{} // capacity 1: a subscriber waits for its pump

	mu       sync.Mutex
	running  bool
	over     bool // Run has ended or is about to
	entries  map[string]*entry
	order    []*entry // as Replace was given them
	queue    queue    // entries whose time is to come
	ready    []*entry // entries whose time has come, first come first served
	dirty    []*entry // entries with results that are not saved
	saved    map[string]Saved
	rewrite  bool // the next save writes everything
	subs     map[*subscriber]struct{}
	lateness histogram
}

// New makes a schedule without verifiers and loads what its store has kept. What the store cannot read is logged and
// otherwise ignored: a damaged file never keeps gatehouse from starting.
func New(opt Options) (*Schedule, error) {
	if opt.Concurrency < 0 || opt.History < 0 {
		return nil, errors.New("make schedule: concurrency and history may not be negative")
	}
	if opt.Concurrency == 0 {
		opt.Concurrency = 64
	}
	if opt.History == 0 {
		opt.History = 120
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Jitter == nil {
		opt.Jitter = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())).Float64
	}
	s := &Schedule{
		opt: opt, epoch: time.Now(),
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), joined: make(chan struct{}, 1),
		entries: map[string]*entry{}, saved: map[string]Saved{}, subs: map[*subscriber]struct{}{},
		rewrite: true, lateness: newHistogram(),
	}
	if opt.Store == nil {
		return s, nil
	}
	kept, err := opt.Store.Load()
	if err != nil {
		opt.Log.Warn("verifiers' history is not complete", "error", err)
	}
	for _, k := range kept {
		s.saved[k.key()] = k
	}
	return s, nil
}

// key is what makes a verifier the same one over a reload or a restart.
func key(name, kind, target string) string { return name + "\x00" + kind + "\x00" + target }

// Replace makes the given verifiers the ones that run. A verifier with the same name, kind and target as one before keeps
// its state, streak, history and counters; the others begin with the state unknown. Checks of verifiers that are gone
// are broken off and their results forgotten. When it returns an error nothing has changed.
func (s *Schedule) Replace(verifiers []Verifier) error {
	names := make(map[string]struct{}, len(verifiers))
	for _, v := range verifiers {
		if v.Name == "" || v.Check == nil {
			return fmt.Errorf("replace verifiers: %q has no name or no check", v.Name)
		}
		if _, twice := names[v.Name]; twice {
			return fmt.Errorf("replace verifiers: there are two named %q", v.Name)
		}
		names[v.Name] = struct{}{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.entries
	s.entries = make(map[string]*entry, len(verifiers))
	s.order = make([]*entry, 0, len(verifiers))
	for _, v := range verifiers {
		e := s.adopt(old[v.Name], v.withDefaults())
		if old[v.Name] == e {
			delete(old, v.Name)
		}
		s.entries[v.Name] = e
		s.order = append(s.order, e)
	}
	for _, e := range old {
		e.leave()
	}
	s.saved = nil // what no verifier claimed is not needed any more
	s.rebuild()
	s.rewrite = true
	s.changed(s.order...)
	signal(s.wake)
	signal(s.urgent)
	return nil
}

// adopt makes the entry of a verifier from the one before it, from what was saved, or afresh.
func (s *Schedule) adopt(before *entry, v Verifier) *entry {
	k := key(v.Name, v.Kind, v.Target)
	if before != nil && key(before.v.Name, before.v.Kind, before.v.Target) == k {
		if before.v.Period != v.Period && before.place == waiting {
			before.due = s.firstDue(before.phase, v.Period)
		}
		before.v = v
		return before
	}
	e := &entry{v: v, phase: float64(xxhash.Sum64String(k)>>11) / (1 << 53), heapIndex: -1}
	e.stand.state = state.Unknown
	e.due = s.firstDue(e.phase, v.Period)
	if kept, ok := s.saved[k]; ok {
		e.restore(kept, s.opt.History, time.Now())
	}
	return e
}

// rebuild makes the queues anew from the entries.
func (s *Schedule) rebuild() {
	s.queue, s.ready, s.dirty = s.queue[:0], compact(s.ready), compact(s.dirty)
	for _, e := range s.order {
		e.heapIndex = -1
		if e.place == waiting {
			s.queue.add(e)
		}
	}
}

// compact drops the entries that are gone.
func compact(list []*entry) []*entry {
	var kept []*entry
	for _, e := range list {
		if e.place != gone {
			kept = append(kept, e)
		}
	}
	return kept
}

// Snapshot returns where every verifier stands, in the order in which Replace was given them.
func (s *Schedule) Snapshot() []state.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]state.Status, len(s.order))
	for i, e := range s.order {
		all[i] = e.status()
	}
	return all
}

// History returns the results kept of a verifier, newest last; false when there is no verifier of that name.
func (s *Schedule) History(name string) ([]state.Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[name]
	if !ok {
		return nil, false
	}
	return e.history.newest(e.history.len()), true
}

// CheckNow makes a check at once, ahead of all that wait, and returns its result; when a check is under way already, that
// one's. The result counts like any other. It fails when there is no such verifier, when Run is not running or ends, and
// when ctx does.
func (s *Schedule) CheckNow(ctx context.Context, name string) (state.Result, error) {
	answer, err := s.ask(name)
	if err != nil {
		return state.Result{}, fmt.Errorf("check %q: %w", name, err)
	}
	select {
	case r, ok := <-answer:
		if !ok {
			return r, fmt.Errorf("check %q: the check was broken off: the verifier was removed, or gatehouse ends", name)
		}
		return r, nil
	case <-ctx.Done():
		return state.Result{}, fmt.Errorf("check %q: %w", name, ctx.Err())
	}
}

func (s *Schedule) ask(name string) (<-chan state.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[name]
	switch {
	case !ok:
		return nil, errors.New("there is no such verifier")
	case !s.running:
		return nil, errors.New("verifiers are not running")
	}
	if e.place == waiting {
		s.queue.remove(e)
		e.place, e.asked = ready, true
		s.ready = append([]*entry{e}, s.ready...)
		signal(s.wake)
	}
	answer := make(chan state.Result, 1)
	e.waiters = append(e.waiters, answer)
	return answer, nil
}

// signal sets a flag that is a channel of capacity 1.
func signal(flag chan<- struct{}) {
	select {
	case flag <- struct{}{}:
	default:
	}
}

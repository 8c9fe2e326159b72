package console

import (
	"context"
	"errors"
	"gatehouse/internal/words"
	"sync"
	"time"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

const (
	fetchTimeout = 3 * time.Second        // how long a page waits for a worker
	freshFor     = 300 * time.Millisecond // how long an answer serves other requests too
)

// answer is what a source said. When Err is set, Value is what it said the last time it could, at At; a zero At means
// that it never did.
type answer[T any] struct {
	From  string // who was asked
	Value T
	At    time.Time
	Err   error
}

// notice is an answer's failure, for a page.
type notice struct {
	From, Error, Last string // Last is the time of what is shown instead, empty when there is nothing
}

func (a answer[T]) notice(c words.Clock) *notice {
	if a.Err == nil {
		return nil
	}
	n := &notice{From: a.From, Error: a.Err.Error()}
	if errors.Is(a.Err, context.DeadlineExceeded) {
		n.Error = "no answer in time"
	}
	if !a.At.IsZero() {
		n.Last = c.Exact(a.At)
	}
	return n
}

// source asks one function, one request at a time, and remembers the last good answer. Requests that come while it is
// being asked, or just after, share that answer.
type source[T any] struct {
	from  string
	fetch func(context.Context) (T, error)
	turn  chan struct{} // holds a token while somebody asks; guards the rest
	last  answer[T]
	asked time.Time
}

func newSource[T any](from string, fetch func(context.Context) (T, error)) *source[T] {
	if fetch == nil {
		fetch = func(context.Context) (zero T, err error) { return zero, errNotConnected }
	}
	return &source[T]{from: from, fetch: fetch, turn: make(chan struct{}, 1), last: answer[T]{From: from, Err: errNotConnected}}
}

// get returns the newest answer. It waits for its turn no longer than ctx lives; the question itself is bounded by
// fetchTimeout alone, so that a page that is closed takes nothing from another that waits for the same answer.
func (s *source[T]) get(ctx context.Context) answer[T] {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return answer[T]{From: s.from, Err: ctx.Err()}
	}
	defer func() { <-s.turn }()
	if !s.asked.IsZero() && time.Since(s.asked) < freshFor {
		return s.last
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	value, err := s.fetch(asking)
	s.asked = time.Now()
	s.last.Err = err
	if err == nil {
		s.last.Value, s.last.At = value, s.asked
	}
	return s.last
}

// expire makes the next get ask anew.
func (s *source[T]) expire() {
	s.turn <- struct{}{}
	s.asked = time.Time{}
	<-s.turn
}

type sources struct {
	supervisor *source[supervisor.Status]
	verifiers  *source[[]state.Status]
	farms      *source[[]farm.Snapshot]
	processes  *source[[]watch.Process]
	results    *resultCache
}

func newSources(o Options) sources {
	return sources{
		supervisor: newSource("supervisor", o.Supervisor),
		verifiers:  newSource("verify", o.Verifiers),
		farms:      newSource("edge", o.Farms),
		processes:  newSource("watch", o.Processes),
		results:    &resultCache{fetch: o.Results, known: map[string]cachedResults{}},
	}
}

// world is everything that the pages show, at one moment.
type world struct {
	clock      words.Clock
	supervisor answer[supervisor.Status]
	verifiers  answer[[]state.Status]
	farms      answer[[]farm.Snapshot]
	processes  answer[[]watch.Process]
}

// look asks all sources at once.
func (c *Console) look(ctx context.Context) world {
	w := world{clock: words.Clock{Now: c.now()}}
	var wg sync.WaitGroup
	wg.Go(func() { w.supervisor = c.sources.supervisor.get(ctx) })
	wg.Go(func() { w.verifiers = c.sources.verifiers.get(ctx) })
	wg.Go(func() { w.farms = c.sources.farms.get(ctx) })
	wg.Go(func() { w.processes = c.sources.processes.get(ctx) })
	wg.Wait()
	return w
}

// resultCache keeps the last results of each verifier until a newer check is known of.
type resultCache struct {
	fetch func(ctx context.Context, verifier string) ([]state.Result, error)
	mu    sync.Mutex
	known map[string]cachedResults
}

type cachedResults struct {
	checks  uint64
	last    time.Time
	results []state.Result
}

// askAtOnce bounds how many verifiers' results are asked for at the same time.
const askAtOnce = 8

// all returns the results by verifier. A verifier whose results cannot be had keeps those that were known; the first
// error is returned beside them. Verifiers that are not among statuses are forgotten.
func (rc *resultCache) all(ctx context.Context, statuses []state.Status) (map[string][]state.Result, error) {
	if rc.fetch == nil {
		return nil, errNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var (
		wg    sync.WaitGroup
		slots = make(chan struct{}, askAtOnce)
		first error
	)
	for _, status := range statuses {
		if rc.current(status) {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			results, err := rc.fetch(ctx, status.Verifier)
			rc.mu.Lock()
			defer rc.mu.Unlock()
			if err != nil {
				if first == nil {
					first = err
				}
				return
			}
			rc.known[status.Verifier] = cachedResults{status.Checks, lastAt(status), results}
		})
	}
	wg.Wait()
	return rc.take(statuses), first
}

func (rc *resultCache) current(s state.Status) bool {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	known, ok := rc.known[s.Verifier]
	return ok && known.checks == s.Checks && known.last.Equal(lastAt(s))
}

func (rc *resultCache) take(statuses []state.Status) map[string][]state.Result {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	out := make(map[string][]state.Result, len(statuses))
	for _, s := range statuses {
		out[s.Verifier] = rc.known[s.Verifier].results
	}
	for name := range rc.known {
		if _, wanted := out[name]; !wanted {
			delete(rc.known, name)
		}
	}
	return out
}

func lastAt(s state.Status) time.Time {
	if s.Last == nil {
		return time.Time{}
	}
	return s.Last.At
}

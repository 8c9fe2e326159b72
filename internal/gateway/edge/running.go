package edge

import (
	"context"
	"sync"
)

// running holds what lives as long as one Run.
type running struct {
	base   context.Context // parent of every request; ends when requests may no longer go on
	end    context.CancelCauseFunc
	failed chan error

	accepting context.Context // ends when connections that have no request yet are no longer wanted
	refuse    context.CancelFunc

	mu      sync.Mutex
	work    sync.WaitGroup // accept loops, servers, handshakes, watches
	servers map[*server]struct{}
}

// newRunning makes requests independent of ctx, which says only when to start draining.
func newRunning(ctx context.Context) *running {
	base, end := context.WithCancelCause(context.WithoutCancel(ctx))
	accepting, refuse := context.WithCancel(base)
	return &running{
		base: base, end: end, accepting: accepting, refuse: refuse,
		failed: make(chan error, 1), servers: map[*server]struct{}{},
	}
}

// start begins to accept on a listener.
func (r *running) start(l *listener) {
	l.begin(r)
	r.work.Go(func() {
		if err := l.accept(r); err != nil {
			select {
			case r.failed <- err:
			default:
			}
		}
		l.stop()
		l.settle(r)
	})
}

// serve runs a server until its feed is closed. The connections that it took live on.
func (r *running) serve(s *server) {
	r.mu.Lock()
	r.servers[s] = struct{}{}
	r.mu.Unlock()
	r.work.Go(func() { _ = s.http.Serve(s.feed) }) // ends with the feed's error, which says nothing
}

// gone forgets a server that has been retired and has no connection left.
func (r *running) gone(s *server) {
	r.mu.Lock()
	delete(r.servers, s)
	r.mu.Unlock()
}

// shutdown lets every server end its requests, until patience ends, and closes what is left.
func (r *running) shutdown(patience context.Context) {
	r.refuse()
	r.mu.Lock()
	servers := make([]*server, 0, len(r.servers))
	for s := range r.servers {
		servers = append(servers, s)
	}
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			s.feed.stop()
			if s.http.Shutdown(patience) != nil {
				_ = s.http.Close() // what did not end in time
			}
		})
	}
	wg.Wait()
}

// wait returns when every goroutine that Run started has ended.
func (r *running) wait() {
	r.work.Wait()
}

// tracker counts what is under way. The zero value is ready.
type tracker struct {
	mu   sync.Mutex
	n    int
	zero chan struct{} // closed when n falls to 0; nil while nobody waits
}

func (t *tracker) enter() {
	t.mu.Lock()
	t.n++
	t.mu.Unlock()
}

func (t *tracker) leave() {
	t.mu.Lock()
	t.n--
	if t.n == 0 && t.zero != nil {
		close(t.zero)
		t.zero = nil
	}
	t.mu.Unlock()
}

// wait returns when nothing is under way or ctx ends.
func (t *tracker) wait(ctx context.Context) {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return
	}
	if t.zero == nil {
		t.zero = make(chan struct{})
	}
	zero := t.zero
	t.mu.Unlock()
	select {
	case <-zero:
	case <-ctx.Done():
	}
}

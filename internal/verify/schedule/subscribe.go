package schedule

import (
	"context"
	"sync"

	"gatehouse/internal/state"
)

// subscriber is one reader of status changes: the names of the verifiers that changed since it last took one.
type subscriber struct {
	ctx    context.Context // the reader's own; kept here because the pump starts in Run
	out    chan state.Status
	wake   chan struct{} // capacity 1
	pumped bool

	// The schedule's mutex guards what follows.
	names   []string // in the order of their first change
	pending map[string]struct{}
}

// Subscribe returns a channel of the statuses of verifiers from now on: one whenever a check has ended or a setting has
// changed. A reader that is slow misses statuses in between, but always gets the newest of each verifier, and never
// holds up a check. Verifiers that Replace removed are not told of: Snapshot lacks them. The channel is closed when ctx ends and when Run returns; a subscription made before Run waits for it.
func (s *Schedule) Subscribe(ctx context.Context) <-chan state.Status {
	sub := &subscriber{ctx: ctx, out: make(chan state.Status), wake: make(chan struct{}, 1), pending: map[string]struct{}{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		close(sub.out)
		return sub.out
	}
	s.subs[sub] = struct{}{}
	signal(s.joined)
	return sub.out
}

// changed notes for every subscriber that entries have changed. The mutex is held.
func (s *Schedule) changed(entries ...*entry) {
	for sub := range s.subs {
		for _, e := range entries {
			if _, known := sub.pending[e.v.Name]; !known {
				sub.pending[e.v.Name] = struct{}{}
				sub.names = append(sub.names, e.v.Name)
			}
		}
		signal(sub.wake)
	}
}

// pumps runs one goroutine a subscriber, and returns when ctx has ended and with it all of them.
func (s *Schedule) pumps(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		for _, sub := range s.unpumped() {
			all.Go(func() { s.pump(ctx, sub) })
		}
		select {
		case <-ctx.Done():
			return
		case <-s.joined:
		}
	}
}

func (s *Schedule) unpumped() []*subscriber {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*subscriber
	for sub := range s.subs {
		if !sub.pumped {
			sub.pumped = true
			found = append(found, sub)
		}
	}
	return found
}

func (s *Schedule) pump(ctx context.Context, sub *subscriber) {
	defer func() {
		s.mu.Lock()
		delete(s.subs, sub)
		s.mu.Unlock()
		close(sub.out)
	}()
	var status state.Status
	var out chan<- state.Status // sub.out while there is a status to send
	for {
		if out == nil && s.takeChange(sub, &status) {
			out = sub.out
		}
		select {
		case <-ctx.Done():
			return
		case <-sub.ctx.Done():
			return
		case out <- status:
			out = nil
		case <-sub.wake:
			s.refresh(&status)
		}
	}
}

// takeChange fills in the present status of the verifier that has waited longest; false when none waits.
func (s *Schedule) takeChange(sub *subscriber, status *state.Status) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(sub.names) > 0 {
		name := sub.names[0]
		sub.names = sub.names[1:]
		delete(sub.pending, name)
		if e, ok := s.entries[name]; ok {
			*status = e.status()
			return true
		}
	}
	return false
}

// refresh makes a status that waits for its reader the present one.
func (s *Schedule) refresh(status *state.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[status.Verifier]; ok {
		*status = e.status()
	}
}

package watch

import (
	"context"
	"sync"
)

// changes tells subscribers that something changed. What changed they ask for.
type changes struct {
	mu   sync.Mutex
	subs map[chan struct{}]struct{}
}

// Subscribe gives a channel that receives after every round of samples and every look, until ctx ends; then it is
// closed. A subscriber that is slow misses changes, but never the newest one.
func (w *Watch) Subscribe(ctx context.Context) <-chan struct{} {
	c := &w.changes
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subs == nil {
		c.subs = make(map[chan struct{}]struct{})
	}
	c.subs[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.subs, ch)
		close(ch)
	})
	return ch
}

func (c *changes) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ch := range c.subs {
		select {
		case ch <- struct{}{}:
		default: // it has not taken the last one yet
		}
	}
}

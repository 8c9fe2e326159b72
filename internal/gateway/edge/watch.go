package edge

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errMemberEnded is why requests end whose member's drain is over or that was removed.
var errMemberEnded = errors.New("the member was taken out of the farm")

// watches tell requests and tunnels when their member ends. There is one watch, with one goroutine, a member that has
// been used; it outlives reloads and then listens to the new farm of the same name.
type watches struct {
	mu   sync.Mutex
	edge *Edge
	run  *running
	all  map[memberKey]*watch
}

type memberKey struct{ farm, member string }

type watch struct {
	ctx      context.Context // ends when the member does
	end      context.CancelCauseFunc
	replaced chan struct{} // one signal pending at most
}

func (w *watches) open(e *Edge, r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.edge, w.run, w.all = e, r, map[memberKey]*watch{}
}

// close lets no watch begin any more. Those that exist end with the run.
func (w *watches) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = nil
}

// of returns the context that ends when the member does; its cause is errMemberEnded.
func (w *watches) of(r *route, member string) context.Context {
	key := memberKey{r.name, member}
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.all[key]; one != nil {
		return one.ctx
	}
	if w.all == nil {
		return w.run.base
	}
	ctx, end := context.WithCancelCause(w.run.base)
	one := &watch{ctx: ctx, end: end, replaced: make(chan struct{}, 1)}
	w.all[key] = one
	ended := r.Ended(member)
	w.run.work.Go(func() { w.follow(key, one, ended) })
	return ctx
}

// follow waits for the end of a member. A member that a reload took away ends after the drain timeout.
func (w *watches) follow(key memberKey, one *watch, ended <-chan struct{}) {
	defer one.end(errMemberEnded)
	var gone <-chan time.Time
	for {
		select {
		case <-one.ctx.Done():
			return
		case <-one.replaced:
			ended, gone = w.again(key, gone)
		case <-ended:
			w.forget(key, one)
			return
		case <-gone:
			w.forget(key, one)
			return
		}
	}
}

// again returns what to wait for after a reload.
func (w *watches) again(key memberKey, gone <-chan time.Time) (<-chan struct{}, <-chan time.Time) {
	if r := w.edge.current.Load().farms[key.farm]; r != nil {
		if ended := r.Ended(key.member); ended != nil {
			return ended, nil
		}
	}
	if gone == nil {
		gone = time.After(w.edge.drainTimeout)
	}
	return nil, gone
}

func (w *watches) forget(key memberKey, one *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[key] == one {
		delete(w.all, key)
	}
}

// replace tells every watch to look at the new farms.
func (w *watches) replace() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.all {
		select {
		case one.replaced <- struct{}{}:
		default:
		}
	}
}

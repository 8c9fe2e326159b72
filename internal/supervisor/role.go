package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Times of the life of a worker.
const (
	firstBackoff = 50 * time.Millisecond // before the restart of a worker that had been well
	maxBackoff   = 30 * time.Second
	wellAfter    = 10 * time.Second // a worker that lived so long begins with the first back-off again
	readyWithin  = 30 * time.Second // for a reload or a recycle to be answered
)

// States of a worker, as Status shows them.
const (
	starting = "starting"
	ready    = "ready"
	draining = "draining"
	waiting  = "waiting"
)

// role keeps one worker running. Its run goroutine owns the processes; the methods talk to it.
type role struct {
	name      string
	exclusive bool
	opt       *Options

	orders     chan order
	quit       chan struct{} // closed by stop
	ended      chan struct{} // closed when run has returned
	firstReady chan struct{} // closed when a worker of this role was ready for the first time
	drains     sync.WaitGroup

	mu         sync.Mutex // guards what follows, for statuses
	sockets    []*openSocket
	settings   string
	current    *process
	state      string
	old        []*process // draining
	restarts   int
	lastExit   string
	generation int
}

// order asks run for a reload or a recycle; run answers on done.
type order struct {
	sockets  []*openSocket // nil: keep these and the settings
	settings string
	recycle  bool
	done     chan error // buffered
}

func newRole(plan Role, opt *Options, sockets []*openSocket) *role {
	return &role{
		name: plan.Name, exclusive: plan.Exclusive, opt: opt, sockets: sockets, settings: plan.Settings, state: starting,
		orders: make(chan order), quit: make(chan struct{}), ended: make(chan struct{}), firstReady: make(chan struct{}),
	}
}

// run starts the worker, and starts it again whenever it dies, until stop.
func (r *role) run() {
	defer close(r.ended)
	defer r.drains.Wait()
	backoff := firstBackoff
	for {
		p, err := r.start()
		if err == nil {
			if r.attend(p) {
				return
			}
			if time.Since(p.started) >= wellAfter {
				backoff = firstBackoff
			}
			r.opt.Log.Error("worker died", "worker", r.name, "pid", p.pid, "how", p.how, "restart_in", backoff)
		} else {
			r.opt.Log.Error("worker does not start", "worker", r.name, "error", err, "restart_in", backoff)
		}
		r.note(func() {
			r.current, r.state, r.restarts = nil, waiting, r.restarts+1
			if err != nil {
				r.lastExit = err.Error()
			} else {
				r.lastExit = p.how
			}
		})
		if !r.wait(backoff) {
			return
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// wait lets the back-off pass; orders that come meanwhile are met by the next start. It reports false on stop.
func (r *role) wait(backoff time.Duration) bool {
	timer := time.NewTimer(backoff)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case o := <-r.orders:
			r.take(o)
			o.done <- nil
		case <-r.quit:
			return false
		}
	}
}

// attend looks after the process until it dies (false) or is stopped (true). A recycle changes which process that is.
func (r *role) attend(p *process) (stopped bool) {
	var pending *order   // a reload that the worker has not answered yet
	alive := r.isReady() // whether it has said that it serves; before that it is not disturbed
	deferred := false    // whether pending waits for that
	answer := func(err error) {
		if pending != nil {
			pending.done <- err
			pending = nil
		}
	}
	defer func() { answer(errors.New("the worker died during the reload")) }()
	overdue := time.NewTimer(0)
	<-overdue.C
	defer overdue.Stop()
	for {
		select {
		case n := <-p.notices:
			switch {
			case n.err != "":
				answer(errors.New(n.err))
			case n.ready && deferred:
				r.becameReady(p)
				alive, deferred = true, false
				p.reload()
			case n.ready:
				r.becameReady(p)
				alive = true
				answer(nil)
			}
		case o := <-r.orders:
			r.take(o)
			if o.recycle {
				next, err := r.replace(p)
				o.done <- err
				if err == nil {
					p, alive = next, true
				} else if r.exclusive {
					return false // the old one is gone already
				}
				continue
			}
			answer(errors.New("overtaken by another reload"))
			pending = &o
			overdue.Reset(readyWithin)
			if alive {
				p.reload()
			} else {
				deferred = true
			}
		case <-overdue.C:
			answer(fmt.Errorf("no answer within %s", readyWithin))
		case <-p.exited:
			return false
		case <-r.quit:
			r.note(func() { r.state = draining })
			p.end(r.opt.Drain)
			return true
		}
	}
}

// replace starts the next process beside p, and once it is ready lets p drain. When the next one does not become ready it
// is ended and p goes on. In an exclusive role p ends first.
func (r *role) replace(p *process) (*process, error) {
	if r.exclusive {
		r.note(func() { r.state = draining })
		p.end(r.opt.Drain)
	}
	next, err := r.start()
	if err == nil {
		err = r.awaitReady(next)
	}
	if err != nil {
		if !r.exclusive {
			r.note(func() { r.current, r.state = p, ready })
		}
		return nil, fmt.Errorf("recycle: %w", err)
	}
	r.opt.Log.Info("worker recycled", "worker", r.name, "old_pid", p.pid, "pid", next.pid)
	r.note(func() { r.current, r.state = next, ready })
	if !r.exclusive {
		r.drain(p)
	}
	return next, nil
}

// drain lets a process that has been replaced finish, and shows it until then.
func (r *role) drain(p *process) {
	r.note(func() { r.old = append(r.old, p) })
	r.drains.Go(func() {
		p.end(r.opt.Drain)
		r.note(func() {
			for i, other := range r.old {
				if other == p {
					r.old = append(r.old[:i:i], r.old[i+1:]...)
					return
				}
			}
		})
	})
}

func (r *role) awaitReady(p *process) error {
	timer := time.NewTimer(readyWithin)
	defer timer.Stop()
	for {
		select {
		case n := <-p.notices:
			if n.ready {
				return nil
			}
		case <-p.exited:
			return fmt.Errorf("the new worker died: %s", p.settled().how)
		case <-timer.C:
			p.end(0)
			return fmt.Errorf("the new worker was not ready within %s", readyWithin)
		case <-r.quit:
			p.end(0)
			return errors.New("stopping")
		}
	}
}

func (r *role) start() (*process, error) {
	r.mu.Lock()
	sockets := r.sockets
	r.generation++
	r.mu.Unlock()
	p, err := startProcess(r.opt, r.name, sockets)
	if err != nil {
		return nil, err
	}
	r.note(func() { r.current, r.state = p, starting })
	return p, nil
}

func (r *role) isReady() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == ready
}

func (r *role) becameReady(p *process) {
	r.note(func() { r.state = ready })
	select {
	case <-r.firstReady:
	default:
		close(r.firstReady)
	}
	r.opt.Log.Debug("worker ready", "worker", r.name, "pid", p.pid)
}

func (r *role) take(o order) {
	if o.sockets != nil {
		r.note(func() { r.sockets, r.settings = o.sockets, o.settings })
	}
}

// reload makes the worker read its configuration again; with other sockets or settings it is recycled instead.
func (r *role) reload(ctx context.Context, sockets []*openSocket, settings string) error {
	r.mu.Lock()
	same := sameSockets(r.sockets, sockets) && r.settings == settings
	r.mu.Unlock()
	return r.ask(ctx, order{sockets: sockets, settings: settings, recycle: !same})
}

func (r *role) recycle(ctx context.Context) error { return r.ask(ctx, order{recycle: true}) }

func (r *role) ask(ctx context.Context, o order) error {
	o.done = make(chan error, 1)
	select {
	case r.orders <- o:
	case <-r.ended:
		return errors.New("stopping")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-o.done:
		return err
	case <-r.ended:
		return errors.New("stopping")
	}
}

// stop ends the worker, letting it drain, and returns when the role has ended.
func (r *role) stop() {
	close(r.quit)
	<-r.ended
}

func (r *role) note(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// statuses describes the worker and those before it that still drain.
func (r *role) statuses() []WorkerStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := WorkerStatus{Role: r.name, State: r.state, Restarts: r.restarts, LastExit: r.lastExit, Generation: r.generation}
	if r.current != nil {
		status.PID, status.Started, status.RSSBytes = r.current.pid, r.current.started, residentBytes(r.current.pid)
	}
	all := []WorkerStatus{status}
	for _, p := range r.old {
		all = append(all, WorkerStatus{
			Role: r.name, State: draining, PID: p.pid, Started: p.started, RSSBytes: residentBytes(p.pid),
		})
	}
	return all
}

// Package consoletest is a small made-up installation for the console: farms, verifiers, workers and processes that look
// like a real one on a bad day. Tests and pictures of the console are made with it. It opens no sockets and starts nothing.
package consoletest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/console"
	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/trend"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

// World is the installation. Its methods may be called from any goroutine.
type World struct {
	mu         sync.Mutex
	now        time.Time
	supervisor supervisor.Status
	verifiers  []state.Status
	results    map[string][]state.Result
	farms      []farm.Snapshot
	processes  []watch.Process
	silent     map[string]error
	listeners  map[chan struct{}]bool
	actions    []Action
}

// Action is something that was done to a member.
type Action struct {
	Farm, Member, Action string
	Deadline             time.Duration
}

// New returns the installation as it stands at now. The same now gives the same installation.
func New(now time.Time) *World {
	w := &World{now: now, silent: map[string]error{}, listeners: map[chan struct{}]bool{}, results: map[string][]state.Result{}}
	w.supervisor = workers(now)
	w.addVerifiers()
	w.farms = farms(now)
	w.processes = processes(now)
	return w
}

// Calm returns an installation in which nothing needs attention.
func Calm(now time.Time) *World {
	w := New(now)
	w.verifiers = slices.DeleteFunc(w.verifiers, func(s state.Status) bool { return s.State != state.Good })
	w.processes = slices.DeleteFunc(w.processes, func(p watch.Process) bool {
		return p.Error != "" || p.Gone || p.Finding.Verdict == trend.Leak || p.Finding.Verdict == trend.Fragmentation
	})
	w.farms = w.farms[:1]
	for i := range w.farms[0].Members {
		m := &w.farms[0].Members[i]
		m.State, m.Usable, m.Mode, m.Reason, m.SlowStart = state.Good, true, farm.Active, "answers", 1
	}
	w.supervisor.ConfigError = ""
	for i := range w.supervisor.Workers {
		w.supervisor.Workers[i].Restarts = 0
	}
	return w
}

// Options returns the console's view of the installation. Its clock stands still.
func (w *World) Options() console.Options {
	return console.Options{
		Supervisor: func(context.Context) (supervisor.Status, error) {
			return ask(w, "supervisor", func() supervisor.Status { return w.supervisor })
		},
		Verifiers: func(context.Context) ([]state.Status, error) {
			return ask(w, "verify", func() []state.Status { return slices.Clone(w.verifiers) })
		},
		Results: func(_ context.Context, name string) ([]state.Result, error) {
			results, err := ask(w, "verify", func() []state.Result { return slices.Clone(w.results[name]) })
			if err == nil && results == nil {
				err = fmt.Errorf("results of %s: %w", name, console.ErrNotFound)
			}
			return results, err
		},
		CheckNow:   w.check,
		Farms:      func(context.Context) ([]farm.Snapshot, error) { return ask(w, "edge", w.copyFarms) },
		FarmAction: w.act,
		Processes: func(context.Context) ([]watch.Process, error) {
			return ask(w, "watch", func() []watch.Process { return slices.Clone(w.processes) })
		},
		Chart:   w.chart,
		Changes: w.changes,
		Metrics: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("gatehouse_up 1\n")) }),
		Now:     func() time.Time { return w.now },
	}
}

func ask[T any](w *World, who string, get func() T) (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.silent[who]; err != nil {
		var zero T
		return zero, err
	}
	return get(), nil
}

// Silence makes a part (supervisor, verify, edge or watch) fail with err; nil makes it answer again.
func (w *World) Silence(part string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent[part] = err
	w.announce()
}

// SetSessions changes how many sessions a member has.
func (w *World) SetSessions(farmName, member string, sessions int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := w.member(farmName, member); m != nil {
		m.Sessions = sessions
	}
	w.announce()
}

// Actions returns what was done to members so far.
func (w *World) Actions() []Action {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.actions)
}

// Listeners is how many pages listen for changes.
func (w *World) Listeners() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.listeners)
}

func (w *World) copyFarms() []farm.Snapshot {
	out := slices.Clone(w.farms)
	for i := range out {
		out[i].Members = slices.Clone(out[i].Members)
	}
	return out
}

func (w *World) member(farmName, name string) *farm.MemberSnapshot {
	for i := range w.farms {
		for j := range w.farms[i].Members {
			if w.farms[i].Name == farmName && w.farms[i].Members[j].Name == name {
				return &w.farms[i].Members[j]
			}
		}
	}
	return nil
}

func (w *World) act(_ context.Context, farmName, name, action string, deadline time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.silent["edge"]; err != nil {
		return err
	}
	m := w.member(farmName, name)
	if m == nil {
		return fmt.Errorf("farm %s has no member %s: %w", farmName, name, console.ErrNotFound)
	}
	w.actions = append(w.actions, Action{farmName, name, action, deadline})
	m.Deadline = nil
	switch action {
	case "drain":
		m.Mode, m.Usable, m.Reason = farm.Draining, false, "draining by the operator"
		if deadline == 0 {
			deadline = 10 * time.Minute
		}
		until := w.now.Add(deadline)
		m.Deadline = &until
	case "resume":
		m.Mode, m.Usable, m.Reason = farm.Active, m.State.Answered(), "answers"
	case "remove":
		m.Mode, m.Usable, m.Reason, m.Sessions = farm.Removed, false, "removed by the operator", 0
	}
	w.announce()
	return nil
}

func (w *World) check(_ context.Context, name string) (state.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.silent["verify"]; err != nil {
		return state.Result{}, err
	}
	for i, s := range w.verifiers {
		if s.Verifier != name {
			continue
		}
		r := *s.Last
		r.At = w.now
		w.results[name] = append(w.results[name], r)
		w.verifiers[i].Last, w.verifiers[i].Checks = &r, s.Checks+1
		w.announce()
		return r, nil
	}
	return state.Result{}, fmt.Errorf("verifier %s: %w", name, console.ErrNotFound)
}

func (w *World) changes(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners[ch] = true
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listeners, ch)
	})
	return ch
}

// announce is called with the lock held.
func (w *World) announce() {
	for ch := range w.listeners {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Package supervisor holds the listening sockets, starts one worker a role from the same binary, hands each its sockets,
// and keeps it running: restarted with back-off when it dies, reloaded in place, or recycled (the new one is started and
// ready before the old one drains).
//
// It does almost nothing else, so that it can run for years: it reads no request and keeps no history. What it needs to
// know of the configuration it is given as a Plan. The other side of the hand-over, inside a worker, is Inherit.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Socket is a listening socket that the supervisor opens once and hands to a worker.
type Socket struct {
	Name    string // what the worker calls it: "api", "console", "web/public"
	Network string // tcp or unix
	Address string
}

// Role is a kind of worker and the sockets that it serves.
type Role struct {
	Name    string
	Sockets []Socket
	// Exclusive says that two workers of the role cannot run at once, because they would share a file. A recycle then
	// stops the old one before it starts the new one; the sockets stay open meanwhile, so that requests wait.
	Exclusive bool
	// Settings stands for what a running worker cannot take up by a reload. When it differs the worker is recycled.
	Settings string
}

// Plan is what a configuration means to the supervisor.
type Plan struct {
	Roles []Role // started in this order, stopped in this order too: the roles that carry traffic come first
	// Commit makes the configuration the one that workers read. It is called once, after every socket of the plan is open
	// and before any worker is told.
	Commit func() error
}

// Options are what a Supervisor is made of. Executable, Arguments, State and Load are required.
type Options struct {
	Executable string                     // the binary that workers are started from
	Arguments  func(role string) []string // its arguments for a role
	Env        []string                   // environment of the workers; nil is this process's
	State      string                     // folder for the unix sockets and the lock; made with mode 0700
	Load       func() (Plan, error)       // reads and checks the configuration; an error leaves the running one in place
	ConfigFile string                     // for Status
	Version    string                     // for Status
	Drain      time.Duration              // how long a worker may drain before it is killed; 0 is 30 s
	Notify     func(state string)         // tells systemd (sd_notify's lines); nil tells nobody
	Stderr     io.Writer                  // where workers log; nil is os.Stderr
	Log        *slog.Logger
}

// Supervisor is made by New and started by Run. Status, Reload and Recycle may be called from any goroutine.
type Supervisor struct {
	opt     Options
	started time.Time

	reloading sync.Mutex // held over one reload or recycle, so that they follow one another

	mu      sync.Mutex
	sockets map[socketKey]*openSocket
	roles   []*role
	loaded  time.Time
	refused string // why the last reload was refused
}

// New checks the options; it opens and starts nothing yet.
func New(opt Options) (*Supervisor, error) {
	if opt.Executable == "" || opt.Arguments == nil || opt.State == "" || opt.Load == nil || opt.Log == nil {
		return nil, errors.New("make supervisor: executable, arguments, state, load and log are required")
	}
	if opt.Drain == 0 {
		opt.Drain = 30 * time.Second
	}
	if opt.Notify == nil {
		opt.Notify = func(string) {}
	}
	if opt.Stderr == nil {
		opt.Stderr = os.Stderr
	}
	return &Supervisor{opt: opt, started: time.Now(), sockets: map[socketKey]*openSocket{}}, nil
}

// SocketPath is where the worker of a role, or the supervisor itself, listens for the others.
func SocketPath(state, role string) string { return filepath.Join(state, role+".sock") }

// Run starts the workers and keeps them running until ctx ends; then it stops them in the order of the plan, letting each
// drain, and returns with nothing left running. An error means that it could not begin.
func (s *Supervisor) Run(ctx context.Context) error {
	unlock, err := lockState(s.opt.State)
	if err != nil {
		return err
	}
	defer unlock()
	plan, err := s.opt.Load()
	if err != nil {
		return err
	}
	defer s.closeSockets()
	if err := s.openSockets(plan); err != nil {
		return err
	}
	api, err := s.listenAPI()
	if err != nil {
		return err
	}
	if err := plan.Commit(); err != nil {
		_ = api.Close()
		return fmt.Errorf("take up configuration: %w", err)
	}
	return s.supervise(ctx, plan, api)
}

// supervise runs the roles and the API; everything it starts has ended when it returns.
func (s *Supervisor) supervise(ctx context.Context, plan Plan, api apiListener) error {
	var parts sync.WaitGroup
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer parts.Wait()
	defer stopServing()
	for _, r := range plan.Roles {
		s.roles = append(s.roles, newRole(r, &s.opt, s.socketsOf(r)))
	}
	s.mu.Lock()
	s.loaded = time.Now()
	s.mu.Unlock()
	apiErr := make(chan error, 1)
	parts.Go(func() { apiErr <- s.serveAPI(serving, api) })
	for _, r := range s.roles {
		parts.Go(r.run)
	}
	parts.Go(func() { s.announce(ctx) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-apiErr:
	}
	s.opt.Notify("STOPPING=1")
	s.opt.Log.Info("stopping")
	for _, r := range s.roles { // one after the other: traffic first, what it reports to last
		r.stop()
	}
	return err
}

// announce tells systemd once every role is ready for the first time.
func (s *Supervisor) announce(ctx context.Context) {
	for _, r := range s.roles {
		select {
		case <-r.firstReady:
		case <-r.ended:
			return
		case <-ctx.Done():
			return
		}
	}
	s.opt.Notify("READY=1")
	s.opt.Log.Info("ready", "pid", os.Getpid(), "state", s.opt.State)
}

// Reload reads the configuration again. When it is wrong, or a socket of it cannot be opened, the running configuration
// stays and the error says why. Roles whose sockets and settings are the same reload in place; the others are recycled.
func (s *Supervisor) Reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.opt.Notify(reloadingNotice())
	defer s.opt.Notify("READY=1")
	err := s.reload(ctx)
	s.mu.Lock()
	if err == nil {
		s.loaded, s.refused = time.Now(), ""
	} else {
		s.refused = err.Error()
	}
	s.mu.Unlock()
	if err != nil {
		s.opt.Log.Error("configuration refused, the running one stays", "error", err)
		return err
	}
	s.opt.Log.Info("configuration reloaded")
	return nil
}

func (s *Supervisor) reload(ctx context.Context) error {
	plan, err := s.opt.Load()
	if err != nil {
		return err
	}
	if len(plan.Roles) != len(s.roles) {
		return fmt.Errorf("reload: the plan has %d roles, %d are running", len(plan.Roles), len(s.roles))
	}
	if err := s.openSockets(plan); err != nil {
		s.closeUnused()
		return err
	}
	if err := plan.Commit(); err != nil {
		s.closeUnused()
		return fmt.Errorf("take up configuration: %w", err)
	}
	var failures []error
	for i, r := range s.roles {
		if err := r.reload(ctx, s.socketsOf(plan.Roles[i]), plan.Roles[i].Settings); err != nil {
			failures = append(failures, fmt.Errorf("worker %s: %w", r.name, err))
		}
	}
	s.closeUnused()
	return errors.Join(failures...)
}

// Recycle replaces the worker of a role without dropping what it is doing. It returns when the new one is ready.
func (s *Supervisor) Recycle(ctx context.Context, roleName string) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	for _, r := range s.roles {
		if r.name == roleName {
			return r.recycle(ctx)
		}
	}
	return fmt.Errorf("recycle %q: no such worker", roleName)
}

// Status tells how the workers are at this moment.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	status := Status{
		PID: os.Getpid(), Version: s.opt.Version, Started: s.started, ConfigFile: s.opt.ConfigFile,
		ConfigLoaded: s.loaded, ConfigError: s.refused,
	}
	s.mu.Unlock()
	for _, r := range s.roles {
		status.Workers = append(status.Workers, r.statuses()...)
	}
	return status
}

package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/gateway/policy"
)

// Options says what an Edge is made of. Beyond Config everything has a working zero value.
type Options struct {
	Config
	// Name stands in Via and Forwarded fields. Default: gatehouse.
	Name string
	// Log gets one line for every request that failed and, with Config.AccessLog, for every other. nil discards.
	Log *slog.Logger
	// DrainTimeout is how long Run waits after its context has ended for requests and tunnels under way. Default: 30 s.
	DrainTimeout time.Duration
	// Now is the clock of log lines and durations. nil is time.Now.
	Now func() time.Time
}

// Config is what Replace may change while an Edge runs.
type Config struct {
	// Listeners are the web listeners. Their names are unique.
	Listeners []Listener
	// Table decides which farm a request goes to. nil knows no rule.
	Table *policy.Table
	// Farms are the web farms by the names that the table's decisions use.
	Farms map[string]*Farm
	// AccessLog says whether requests that went well are logged too.
	AccessLog bool
}

// Farm is a web farm and the way to its members.
type Farm struct {
	*farm.Farm
	// ConnectTimeout bounds a connection to a member, TLS included. Default: 5 s.
	ConnectTimeout time.Duration
	// ResponseTimeout bounds the wait for a response head once the request was written. Default: 60 s.
	ResponseTimeout time.Duration
	// TLS is how members with https URLs are trusted; nil trusts the system's authorities. It is not changed.
	TLS *tls.Config
}

// Listener is one web listener.
type Listener struct {
	// Name is what rules call it.
	Name string
	// Net is the listening socket. Run takes connections from it and closes it when it ends. In a Config given to Replace
	// nil means the socket that the listener of the same name already has.
	Net net.Listener
	// TLS makes the listener serve HTTPS; TLSConfig makes a good one. nil serves plain HTTP.
	TLS *tls.Config
	// Limits bounds what a client may send and how long it may take.
	Limits Limits
	// TrustedProxies are the networks whose Forwarded, X-Forwarded-* and X-Request-Id fields are believed.
	TrustedProxies []netip.Prefix
}

// Limits bounds what a client may send and how long it may take. A zero field gets its default; only BodyBytes has none.
type Limits struct {
	HeaderBytes   int64         // a request head; default 64 KiB
	BodyBytes     int64         // a request body; 0 is unbounded
	HeaderTimeout time.Duration // to receive a head, and for a TLS handshake; default 10 s
	BodyTimeout   time.Duration // silence of a body in both directions; default 60 s
	IdleTimeout   time.Duration // between requests of a connection; default 75 s
	TunnelTimeout time.Duration // silence of an upgraded connection or an event stream; default 1 h
	Connections   int           // connections of the listener; the next wait unaccepted; default 20,000
}

func (l Limits) withDefaults() Limits {
	l.HeaderBytes = orDefault(l.HeaderBytes, 64<<10)
	l.HeaderTimeout = orDefault(l.HeaderTimeout, 10*time.Second)
	l.BodyTimeout = orDefault(l.BodyTimeout, 60*time.Second)
	l.IdleTimeout = orDefault(l.IdleTimeout, 75*time.Second)
	l.TunnelTimeout = orDefault(l.TunnelTimeout, time.Hour)
	l.Connections = orDefault(l.Connections, 20000)
	return l
}

func orDefault[T int | int64 | time.Duration](value, def T) T {
	if value <= 0 {
		return def
	}
	return value
}

// Edge serves web listeners. Its methods may be called concurrently.
type Edge struct {
	name         string
	log          *slog.Logger
	now          func() time.Time
	drainTimeout time.Duration
	metrics      *metrics
	buffers      sync.Pool // of *[]byte, bodyBuffer long
	current      atomic.Pointer[generation]
	watches      watches
	requests     tracker

	mu        sync.Mutex // guards what follows, and Replace as a whole
	listeners map[string]*listener
	run       *running // nil unless Run is under way
	ran       bool
}

// generation is one configuration as the requests see it. It never changes; a request keeps the one it began with.
type generation struct {
	table     *policy.Table
	farms     map[string]*route
	accessLog bool
}

// New makes an Edge. It takes no connection before Run.
func New(o Options) (*Edge, error) {
	e := &Edge{
		name: o.Name, log: o.Log, now: o.Now, drainTimeout: orDefault(o.DrainTimeout, 30*time.Second),
		metrics: newMetrics(), listeners: map[string]*listener{},
	}
	if e.name == "" {
		e.name = "gatehouse"
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	e.buffers.New = func() any { b := make([]byte, bodyBuffer); return &b }
	e.current.Store(&generation{})
	if err := e.Replace(o.Config); err != nil {
		return nil, err
	}
	return e, nil
}

// Replace puts another configuration in the place of the running one. Requests under way end by the old one. Sockets stay
// open: a listener is known by its name, one with a new name starts, one that is missing stops taking connections and
// lets its requests end. Connections whose limits on heads or idle time changed are closed after their next response.
//
// On an error nothing has changed.
func (e *Edge) Replace(c Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ran && e.run == nil {
		return errors.New("configure edge: it has ended")
	}
	if err := e.check(c); err != nil {
		return err
	}
	old := e.current.Load()
	next := &generation{table: c.Table, farms: make(map[string]*route, len(c.Farms)), accessLog: c.AccessLog}
	for name, f := range c.Farms {
		next.farms[name] = newRoute(name, f, old.farms[name], e.metrics)
	}
	e.current.Store(next)
	e.replaceListeners(c.Listeners)
	e.watches.replace()
	for name, r := range old.farms {
		if n := next.farms[name]; n == nil || n.ways != r.ways {
			r.ways.retire()
		}
		if next.farms[name] == nil {
			e.metrics.forget(name)
		}
	}
	return nil
}

func (e *Edge) check(c Config) error {
	var errs []error
	seen := map[string]bool{}
	for _, l := range c.Listeners {
		switch {
		case l.Name == "":
			errs = append(errs, errors.New("configure listener: it has no name"))
		case seen[l.Name]:
			errs = append(errs, fmt.Errorf("configure listener %q: the name is taken", l.Name))
		case l.Net == nil && e.listeners[l.Name] == nil:
			errs = append(errs, fmt.Errorf("configure listener %q: it has no socket", l.Name))
		}
		seen[l.Name] = true
	}
	for name, f := range c.Farms {
		if f == nil || f.Farm == nil {
			errs = append(errs, fmt.Errorf("configure farm %q: it is nil", name))
		}
	}
	return errors.Join(errs...)
}

func (e *Edge) replaceListeners(list []Listener) {
	keep := map[string]bool{}
	for _, cfg := range list {
		keep[cfg.Name] = true
		l := e.listeners[cfg.Name]
		if l != nil && cfg.Net != nil && cfg.Net != l.socket { // another socket under the same name
			l.stop()
			delete(e.listeners, cfg.Name)
			l = nil
		}
		if l != nil {
			l.configure(cfg)
			continue
		}
		l = newListener(e, cfg)
		e.listeners[cfg.Name] = l
		if e.run != nil {
			e.run.start(l)
		}
	}
	for name, l := range e.listeners {
		if !keep[name] {
			l.stop()
			delete(e.listeners, name)
		}
	}
}

// Run serves until ctx ends, then drains: it stops accepting, lets requests end (HTTP/2 clients are told with GOAWAY),
// closes what is still there after DrainTimeout, and returns with no connection, request or goroutine left. It returns nil
// after an orderly end, and an error when a listener could not go on accepting. It may be called once.
func (e *Edge) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.ran {
		e.mu.Unlock()
		return errors.New("run edge: it has run already")
	}
	e.ran = true
	r := newRunning(ctx)
	e.run = r
	e.watches.open(e, r)
	for _, l := range e.listeners {
		r.start(l)
	}
	e.mu.Unlock()

	var cause error
	select {
	case <-ctx.Done():
	case cause = <-r.failed:
	}
	e.drain(ctx)
	return cause
}

// drain ends everything that Run started.
func (e *Edge) drain(ctx context.Context) {
	e.mu.Lock()
	r := e.run
	e.run = nil
	stopped := make([]*listener, 0, len(e.listeners))
	for _, l := range e.listeners {
		l.stop()
		stopped = append(stopped, l)
	}
	e.mu.Unlock()
	settle(stopped, min(settleTime, e.drainTimeout/5))

	// When the time is over, requests are told and may still say so to their clients; what remains then is closed.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.drainTimeout+lingerTimeout)
	defer cancel()
	over := time.AfterFunc(e.drainTimeout, func() { r.end(errDrained) })
	defer over.Stop()
	r.shutdown(last)      // servers; connections without a request go at once
	e.requests.wait(last) // tunnels too
	r.end(errDrained)
	e.watches.close()
	r.wait()
	e.requests.wait(context.WithoutCancel(ctx))
	for _, route := range e.current.Load().farms {
		route.ways.retire()
	}
}

// settleTime is how long a drain lets connections end by themselves, with the response to their next request, before it
// closes those without one. http.Server.Shutdown drops a request that it reads after it was called, so that it must find
// only connections that have long been quiet.
const settleTime = time.Second

// settle waits until the listeners' connections are gone, for at most that long.
func settle(stopped []*listener, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for _, l := range stopped {
		select {
		case <-l.empty:
		case <-timer.C:
			return
		}
	}
}

// errDrained is why requests end that are still under way when the time to drain is over.
var errDrained = errors.New("the gateway is stopping")

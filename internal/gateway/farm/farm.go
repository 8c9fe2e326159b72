// Package farm is a web farm: its members, which of them gets a request, affinity, drain, slow start and fail-open.
//
// A farm does no I/O. Who forwards a request asks Pick for a member, and tells the lease that it got how the request
// ended. What the verifiers say of a member comes in by SetHealth, what operators want of it by Drain, Resume and Remove.
//
// A member gets new sessions while it is active and its health says usable. Where affinity is on, a session stays with its
// member while that one is usable, even while it is draining. When no active member is usable, the farm fails open if it
// may: a verifier that is wrong about all of them must not take the site down. At the very start nothing is known of any
// member, which is the same case.
//
// No goroutine belongs to a farm: the deadline of a drain is a timer, which Resume and Remove stop. Sessions are counted up
// to a bound of 100,000 a farm, at about 60 bytes each; those of clients that never return their cookie are counted until
// their lifetime is over.
package farm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"gatehouse/internal/state"
)

// Balances and affinities that a farm knows.
const (
	RoundRobin       = "round-robin"
	LeastConnections = "least-connections"
	RandomTwo        = "random-two"

	CookieAffinity   = "cookie"
	SourceIPAffinity = "source-ip"
	NoAffinity       = "none"
)

// Member is a server of a farm.
type Member struct {
	Name   string
	URL    *url.URL // not changed by anyone
	Weight int      // its share of new sessions, relative to the others; 0 is 1
}

// Retry bounds how often requests are tried again.
type Retry struct {
	Attempts int // members tried in all; 0 is 1
	Budget   int // largest share of requests that may be retries, percent over ten seconds; 0 is no retries
}

// Options say what a farm is. Name and Members are required.
type Options struct {
	Name             string
	Members          []Member
	Balance          string        // "" is round-robin
	Affinity         string        // "" is cookie
	AffinityLifetime time.Duration // how long a session without requests is remembered; 0 is 30 min
	AffinityKey      []byte        // signs cookies; empty makes a random one, which no restart survives
	FailOpen         bool
	SlowStart        time.Duration // over which a member that comes back gets its full share; 0 is none
	Retry            Retry
	DrainTimeout     time.Duration // deadline of a drain that names none; 0 is 10 min
}

// Farm is safe for concurrent use. Everything that changes over time is in its book, which a farm made from a later
// configuration takes over.
type Farm struct {
	opt     Options
	members []*member
	cookies cookies
	scratch []*member // candidates of the Pick under way, guarded by the book's mutex
	*book
}

// member is a Member of this configuration with its standing, which outlives the configuration.
type member struct {
	Member
	id    uint64  // hash of the name, for rendezvous
	share float64 // weight by warmth, of a candidate of the Pick under way
	*standing
}

// New makes a farm.
func New(opt Options) (*Farm, error) {
	if err := check(&opt); err != nil {
		return nil, fmt.Errorf("make farm %s: %w", opt.Name, err)
	}
	f := &Farm{opt: opt, cookies: newCookies(opt), book: &book{sessions: newSessions(maxSessions, time.Now())}}
	for _, m := range opt.Members {
		f.members = append(f.members, &member{Member: m, id: xxhash.Sum64String(m.Name), standing: newStanding()})
	}
	return f, nil
}

// check fills defaults and refuses what cannot be.
func check(opt *Options) error {
	if opt.Name == "" || len(opt.Members) == 0 {
		return errors.New("a farm needs a name and members")
	}
	defaulted(&opt.Balance, RoundRobin)
	defaulted(&opt.Affinity, CookieAffinity)
	defaulted(&opt.AffinityLifetime, 30*time.Minute)
	defaulted(&opt.DrainTimeout, 10*time.Minute)
	defaulted(&opt.Retry.Attempts, 1)
	if !slices.Contains([]string{RoundRobin, LeastConnections, RandomTwo}, opt.Balance) {
		return fmt.Errorf("no balance %q", opt.Balance)
	}
	if !slices.Contains([]string{CookieAffinity, SourceIPAffinity, NoAffinity}, opt.Affinity) {
		return fmt.Errorf("no affinity %q", opt.Affinity)
	}
	if opt.SlowStart < 0 || opt.AffinityLifetime < 0 || opt.DrainTimeout < 0 || opt.Retry.Attempts < 0 || opt.Retry.Budget < 0 {
		return errors.New("a time or a count is negative")
	}
	if len(opt.AffinityKey) == 0 {
		opt.AffinityKey = make([]byte, 32)
		_, _ = rand.Read(opt.AffinityKey) // never fails (crypto/rand)
	}
	opt.Members = slices.Clone(opt.Members)
	seen := map[string]bool{}
	for i := range opt.Members {
		m := &opt.Members[i]
		defaulted(&m.Weight, 1)
		switch {
		case m.Name == "" || m.URL == nil:
			return errors.New("a member needs a name and a URL")
		case m.Weight < 0:
			return fmt.Errorf("member %s has the weight %d", m.Name, m.Weight)
		case seen[m.Name]:
			return fmt.Errorf("two members have the name %s", m.Name)
		}
		seen[m.Name] = true
	}
	return nil
}

func defaulted[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Restore takes over from the farm that this one replaces what is known of the members that have the same names: health,
// modes and drains, counters, sessions. It is called before this farm is used. The old farm stays whole: its leases are
// good, and it can go on when this one is thrown away again.
func (f *Farm) Restore(old *Farm) {
	old.mu.Lock()
	defer old.mu.Unlock()
	f.book = old.book
	for _, m := range f.members {
		if before := old.named(m.Name); before != nil {
			m.standing = before.standing
		}
	}
}

// CookieName is the name of the farm's affinity cookie.
func (f *Farm) CookieName() string { return f.cookies.name }

// Attempts is how many members may be tried for one request.
func (f *Farm) Attempts() int { return f.opt.Retry.Attempts }

// AllowRetry takes one retry from the budget and reports whether there was one. A farm with little traffic may retry a few
// times in ten seconds whatever the share, unless the budget is 0.
func (f *Farm) AllowRetry() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.window.retry(time.Now(), f.opt.Retry.Budget)
}

// Snapshot tells how the farm is.
func (f *Farm) Snapshot() Snapshot {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions.expire(now.Add(-f.opt.AffinityLifetime))
	open := f.failsOpen()
	s := Snapshot{Name: f.opt.Name, Balance: f.opt.Balance, Affinity: f.opt.Affinity, FailOpen: open}
	for _, m := range f.members {
		ms := MemberSnapshot{
			Name: m.Name, URL: m.URL.Redacted(), Weight: m.Weight, Mode: m.mode, State: m.health.State,
			Usable: m.takes(open), Reason: m.reason(open), SlowStart: m.warmth(now, f.opt.SlowStart),
			Requests: m.requests, Failures: m.failures, Active: m.active, Sessions: m.sessions,
		}
		if ms.State == "" {
			ms.State = state.Unknown
		}
		if m.mode == Draining {
			deadline := m.deadline
			ms.Deadline = &deadline
		}
		s.Members = append(s.Members, ms)
	}
	return s
}

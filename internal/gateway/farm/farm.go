// Package farm is a web farm: its members, which of them gets a request, affinity, drain, slow start and fail-open.
//
// A farm does no I/O. Who forwards a request asks Pick for a member, and tells the lease that it got how the request
// ended. What the verifiers say of a member comes in by SetHealth, what operators want of it by Drain, Resume and Remove.
//
// A member gets new sessions while it is active and its health says usable. Where affinity is on, a session stays with its
// member while that one is usable, even while it is draining. When no active member is usable, the farm fails open if it
// may: a verifier that is wrong about all of them must not take the site down. At the very start nothing is known of any
// member, which is the same case.
package farm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
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
	Budget   int // largest share of requests that may be retries, percent over ten seconds
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
	SlowStart        time.Duration // 0 is none
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

// member is a Member of this configuration with its standing in the book.
type member struct {
	Member
	id uint64 // hash of the name, for rendezvous
	*standing
}

// New makes a farm.
func New(opt Options) (*Farm, error) {
	if err := check(&opt); err != nil {
		return nil, fmt.Errorf("make farm %s: %w", opt.Name, err)
	}
	f := &Farm{opt: opt, cookies: newCookies(opt), book: newBook()}
	f.join()
	return f, nil
}

// join gives each member its standing in the book.
func (f *Farm) join() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = nil
	for _, m := range f.opt.Members {
		f.members = append(f.members, &member{Member: m, id: xxhash.Sum64String(m.Name), standing: f.standing(m.Name)})
	}
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
// modes and drains, counters, sessions. It is called before the farm is used. Leases of the old farm stay valid.
func (f *Farm) Restore(old *Farm) {
	f.book = old.book
	f.join()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keepOnly(f.opt.Members)
}

// Request is what of a request decides which member gets it.
type Request struct {
	ClientIP netip.Addr
	Cookie   string   // value of the affinity cookie; "" is none
	Secure   bool     // the client speaks TLS, so a cookie may ask for it
	Tried    []string // names of the members that were tried for this request already
}

// NoMember says that no member may be tried, and why.
type NoMember struct {
	Farm   string
	Reason string
}

func (e *NoMember) Error() string {
	return fmt.Sprintf("no member of farm %s can be tried: %s", e.Farm, e.Reason)
}

// Lease is the use of a member for one request. Done ends it.
type Lease struct {
	farm   *Farm
	member *member
	cookie *http.Cookie
	reason string
	done   bool // guarded by the book's mutex
}

// Outcome is how a request ended.
type Outcome struct {
	Failed bool // the member failed it; a client that went away is not the member's failure
	Phase  string
	Err    error
}

// Member returns the member to forward to.
func (l *Lease) Member() Member { return l.member.Member }

// SetCookie returns the affinity cookie to give to the client, nil for none.
func (l *Lease) SetCookie() *http.Cookie { return l.cookie }

// Reason says why this member was chosen: affinity, balance or fail-open.
func (l *Lease) Reason() string { return l.reason }

// Done ends the lease. Only the first call counts.
func (l *Lease) Done(o Outcome) {
	l.farm.mu.Lock()
	defer l.farm.mu.Unlock()
	if l.done {
		return
	}
	l.done = true
	l.member.active--
	if o.Failed {
		l.member.failures++
	}
}

// Pick chooses a member. The error is a *NoMember.
func (f *Farm) Pick(r Request) (*Lease, error) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(r.Tried) == 0 {
		f.window.request(now)
	}
	f.sessions.expire(now.Add(-f.opt.AffinityLifetime))
	open := f.failsOpen()
	s, issued := f.session(r, now)
	if s != nil {
		if m := f.named(s.member); m != nil && m.keeps(open) && !slices.Contains(r.Tried, m.Name) {
			return f.lease(r, m, s, issued, now, "affinity"), nil
		}
	}
	candidates := f.candidates(r, open)
	if len(candidates) == 0 {
		return nil, &NoMember{Farm: f.opt.Name, Reason: f.why(r, open)}
	}
	reason := "balance"
	if open {
		reason = "fail-open"
	}
	return f.lease(r, f.choose(r, candidates, now), s, time.Time{}, now, reason), nil
}

// lease hands the member out. issued is when the client's cookie was made; zero makes a new one.
func (f *Farm) lease(r Request, m *member, s *session, issued, now time.Time, reason string) *Lease {
	m.active++
	m.requests++
	l := &Lease{farm: f, member: m, reason: reason}
	switch f.opt.Affinity {
	case CookieAffinity:
		s = f.sessions.touch(s, m.standing, now)
		if now.Sub(issued) > f.opt.AffinityLifetime/4 {
			l.cookie = f.cookies.make(m.Name, s.id, r.Secure, now)
		}
	case SourceIPAffinity:
		if s == nil {
			s = f.sessions.add(sessionKey{address: r.ClientIP})
		}
		f.sessions.touch(s, m.standing, now)
	}
	return l
}

// session finds the session that a request belongs to; nil for a new one. For a cookie it tells when that was issued.
func (f *Farm) session(r Request, now time.Time) (*session, time.Time) {
	switch f.opt.Affinity {
	case SourceIPAffinity:
		return f.sessions.find(sessionKey{address: r.ClientIP}), time.Time{}
	case CookieAffinity:
		name, id, issued, ok := f.cookies.read(r.Cookie, now)
		if !ok {
			return nil, time.Time{}
		}
		s := f.sessions.find(sessionKey{cookie: id})
		if s == nil { // made before a restart, by another node, or forgotten for want of room
			s = f.sessions.add(sessionKey{cookie: id})
		}
		if s.member == nil {
			s.member = f.standings[name]
		}
		return s, issued
	}
	return nil, time.Time{}
}

// named returns the member of this farm with that standing.
func (f *Farm) named(s *standing) *member {
	for _, m := range f.members {
		if m.standing == s {
			return m
		}
	}
	return nil
}

// keeps reports whether the member keeps the sessions that it has.
func (s *standing) keeps(open bool) bool {
	return s.mode != Removed && (s.health.Usable || open)
}

// takes reports whether the member gets new sessions.
func (s *standing) takes(open bool) bool {
	return s.mode == Active && (s.health.Usable || open)
}

// failsOpen reports whether no active member is usable and the farm tries them all the same.
func (f *Farm) failsOpen() bool {
	if !f.opt.FailOpen {
		return false
	}
	for _, m := range f.members {
		if m.takes(false) {
			return false
		}
	}
	return true
}

// candidates are the members that may get a new session; the slice is good until the next call.
func (f *Farm) candidates(r Request, open bool) []*member {
	f.scratch = f.scratch[:0]
	for _, m := range f.members {
		if m.takes(open) && !slices.Contains(r.Tried, m.Name) {
			f.scratch = append(f.scratch, m)
		}
	}
	return f.scratch
}

// why says of each member why it is no candidate.
func (f *Farm) why(r Request, open bool) string {
	var said []string
	for _, m := range f.members {
		switch {
		case slices.Contains(r.Tried, m.Name):
			said = append(said, m.Name+": tried already")
		default:
			said = append(said, m.Name+": "+m.reason(open))
		}
	}
	return strings.Join(said, "; ")
}

// CookieName is the name of the farm's affinity cookie.
func (f *Farm) CookieName() string { return f.cookies.name }

// Attempts is how many members may be tried for one request.
func (f *Farm) Attempts() int { return f.opt.Retry.Attempts }

// AllowRetry takes one retry from the budget and reports whether there was one. A farm with little traffic may always
// retry a few times in ten seconds.
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
			Name: m.Name, URL: m.URL.String(), Weight: m.Weight, Mode: m.mode, State: m.health.State,
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

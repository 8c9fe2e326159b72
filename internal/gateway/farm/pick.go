package farm

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

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
	Reason string // for each member
}

func (e *NoMember) Error() string {
	return fmt.Sprintf("no member of farm %s can be tried: %s", e.Farm, e.Reason)
}

// Lease is the use of a member for one request. Done ends it.
type Lease struct {
	farm    *Farm
	member  *member
	cookie  *http.Cookie
	reason  string
	session uint64 // the session that began with this lease
	begins  bool   // there is one
	done    bool   // guarded by the book's mutex
}

// Outcome is how a request ended.
type Outcome struct {
	Failed bool // the member failed it; a client that went away is not the member's failure
	Phase  string
	Err    error
}

// Member returns the member to forward to.
func (l *Lease) Member() Member { return l.member.Member }

// SetCookie returns the affinity cookie to give to the client, nil for none. It is for the response of this lease's
// member; of an attempt that failed the client is told nothing.
func (l *Lease) SetCookie() *http.Cookie { return l.cookie }

// Reason says why this member was chosen: affinity, balance or fail-open.
func (l *Lease) Reason() string { return l.reason }

// Done ends the lease. Only the first call counts. A session that began with a failed lease has not begun.
func (l *Lease) Done(o Outcome) {
	l.farm.mu.Lock()
	defer l.farm.mu.Unlock()
	if l.done {
		return
	}
	l.done = true
	l.member.active--
	if !o.Failed {
		return
	}
	l.member.failures++
	if l.begins {
		l.farm.sessions.end(l.session, l.member.standing)
	}
}

// Pick chooses a member. The error is a *NoMember.
func (f *Farm) Pick(r Request) (*Lease, error) {
	now := time.Now()
	who := f.identify(r, now)
	l, err := f.pick(r, &who, now)
	if err != nil {
		return nil, err
	}
	if f.renews(who, l.member, now) {
		l.cookie = f.cookies.make(l.member.Name, who.session, r.Secure, now)
	}
	return l, nil
}

func (f *Farm) pick(r Request, who *identity, now time.Time) (*Lease, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(r.Tried) == 0 {
		f.window.request(now)
	}
	f.sessions.expire(now.Add(-f.opt.AffinityLifetime))
	open := f.failsOpen()
	m, reason := f.keeper(r, who, now, open), "affinity"
	if m == nil {
		candidates := f.candidates(r, open, now)
		if len(candidates) == 0 {
			return nil, &NoMember{Farm: f.opt.Name, Reason: f.why(r, open)}
		}
		if m, reason = f.choose(who.client, candidates), "balance"; open {
			reason = "fail-open"
		}
	}
	m.active++
	m.requests++
	if who.sticky {
		f.sessions.touch(who.session, m.standing, now)
	}
	return &Lease{farm: f, member: m, reason: reason, session: who.session, begins: who.sticky && !who.known}, nil
}

// at returns the member of this farm with that standing, nil for none.
func (f *Farm) at(s *standing) *member {
	if s == nil {
		return nil
	}
	for _, m := range f.members {
		if m.standing == s {
			return m
		}
	}
	return nil // the configuration has it no longer
}

// named returns the member of that name, nil for none.
func (f *Farm) named(name string) *member {
	for _, m := range f.members {
		if m.Name == name {
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

// failsOpen reports whether there are active members, none is usable, and the farm tries them all the same.
func (f *Farm) failsOpen() bool {
	active := false
	for _, m := range f.members {
		if m.takes(false) {
			return false
		}
		active = active || m.mode == Active
	}
	return active && f.opt.FailOpen
}

// candidates are the members that may get a new session, with their shares; the slice is good until the next call.
func (f *Farm) candidates(r Request, open bool, now time.Time) []*member {
	f.scratch = f.scratch[:0]
	for _, m := range f.members {
		if m.takes(open) && !slices.Contains(r.Tried, m.Name) {
			m.share = float64(m.Weight) * m.warmth(now, f.opt.SlowStart)
			f.scratch = append(f.scratch, m)
		}
	}
	return f.scratch
}

// why says of each member why it is no candidate.
func (f *Farm) why(r Request, open bool) string {
	said := make([]string, 0, len(f.members))
	for _, m := range f.members {
		reason := m.reason(open)
		if slices.Contains(r.Tried, m.Name) {
			reason = "tried already"
		}
		said = append(said, m.Name+": "+reason)
	}
	return strings.Join(said, "; ")
}

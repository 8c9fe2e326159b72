// Package reach resolves names and connects to servers, and says in plain words how far it got: the phase, the state and
// the facts of each failure. Checks of every kind stand on it, so that "refused" and "unresolved name" mean the same in
// all of them.
//
// Nothing here starts a goroutine or keeps anything between calls. No proxy from the environment is ever used.
package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"gatehouse/internal/state"
)

// Failure is why a server could not be reached. It is an error for code and carries what a person needs.
type Failure struct {
	State    state.State // never one that counts as answered; Unknown when the fault is on this side and nothing was learnt
	Phase    state.Phase // the phase in which it failed
	Reason   string      // one sentence
	Evidence []string    // the facts behind it
	Err      error       // what the operating system or a library said; may be nil
}

// Error returns the reason with its cause.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Reason + ": " + f.Err.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Result makes a check's result of the failure.
func (f *Failure) Result(at time.Time, address string, timings state.Timings) state.Result {
	return state.Result{At: at, State: f.State, Phase: f.Phase, Reason: f.Reason, Evidence: f.Evidence, Address: address, Timings: timings}
}

// maxAddresses bounds how many addresses of one name are tried.
const maxAddresses = 8

// Dialer resolves and connects. The zero value uses the system's resolver and network. It may be used by many goroutines
// at once and is not to be changed once in use.
type Dialer struct {
	// LookupIP returns the addresses of a name; network is "ip", "ip4" or "ip6". Nil asks the system's resolver.
	LookupIP func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// DialContext connects to an address. Nil uses the system's network.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Resolve returns the addresses of a host, which may be an IP address already. network is "ip", "ip4" or "ip6". The time
// taken is added to took.
func (d *Dialer) Resolve(ctx context.Context, network, host string, took *time.Duration) ([]netip.Addr, *Failure) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	name, err := idna.Lookup.ToASCII(host)
	if err != nil {
		name = host // a name with an underscore, say: DNS will tell
	}
	lookup := d.LookupIP
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	start := time.Now()
	addrs, err := lookup(ctx, network, name)
	*took += time.Since(start)
	if err != nil {
		return nil, unresolved(ctx, name, err)
	}
	if len(addrs) == 0 {
		return nil, &Failure{State: state.UnresolvedName, Phase: state.Resolve, Reason: fmt.Sprintf("the name %s has no address", Clean(name, 253))}
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

// unresolved tells apart a name that does not exist, a name server that answers with an error, and one that does not
// answer.
func unresolved(ctx context.Context, name string, err error) *Failure {
	f := &Failure{State: state.UnresolvedName, Phase: state.Resolve, Err: err}
	name = Clean(name, 253)
	var dns *net.DNSError
	isDNS := errors.As(err, &dns)
	switch {
	case exhausted(err):
		f.State, f.Reason = state.Unknown, exhaustedReason
	case isDNS && dns.IsNotFound:
		f.Reason = fmt.Sprintf("no such host: the name server knows no address for %s", name)
	case isDNS && dns.IsTimeout, ctx.Err() != nil:
		f.Reason = fmt.Sprintf("no name server answered in time for %s", name)
	default:
		f.Reason = fmt.Sprintf("the name server could not answer for %s", name)
	}
	f.Evidence = append(f.Evidence, "resolver: "+Clean(err.Error(), 200))
	if isDNS && dns.Server != "" {
		f.Evidence = append(f.Evidence, "name server "+Clean(dns.Server, 80))
	}
	return f
}

// Connect resolves a host and connects to the first of its addresses that takes the connection, in the resolver's order;
// the time left is shared out among the addresses still to be tried, so that one that is silent does not use it up. The
// phases are added to t. The returned notes name addresses that failed before one took the connection.
func (d *Dialer) Connect(ctx context.Context, host string, port uint16, t *state.Timings) (conn net.Conn, notes []string, failure *Failure) {
	addrs, failure := d.Resolve(ctx, "ip", host, &t.Resolve)
	if failure != nil {
		return nil, nil, failure
	}
	more := len(addrs) - maxAddresses
	addrs = addrs[:min(len(addrs), maxAddresses)]
	start := time.Now()
	defer func() { t.Connect += time.Since(start) }()
	for i, addr := range addrs {
		address := net.JoinHostPort(addr.String(), strconv.Itoa(int(port)))
		var err error
		if conn, err = d.dial(ctx, address, len(addrs)-i); err == nil {
			return conn, notes, nil
		}
		failure = notConnected(ctx, address, err)
		notes = append(notes, address+": "+failure.Reason)
		if ctx.Err() != nil {
			more += len(addrs) - i - 1
			break
		}
	}
	if more > 0 {
		notes = append(notes, fmt.Sprintf("%d more addresses were not tried", more))
	}
	if len(addrs) == 1 {
		notes = nil // the reason says it
	} else {
		failure.Reason += fmt.Sprintf(" (the last tried of %d addresses)", len(addrs))
	}
	notes = append(notes, "system: "+Clean(failure.Err.Error(), 200))
	failure.Evidence = notes
	return nil, nil, failure
}

// leastAttempt is the least time that one of several addresses gets.
const leastAttempt = time.Second

func (d *Dialer) dial(ctx context.Context, address string, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		share := max(time.Until(deadline)/time.Duration(left), leastAttempt)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, share)
		defer cancel()
	}
	if d.DialContext != nil {
		return d.DialContext(ctx, "tcp", address)
	}
	// A check lives for seconds: keep-alive probes would only cost system calls.
	plain := net.Dialer{KeepAlive: -1}
	return plain.DialContext(ctx, "tcp", address)
}

func notConnected(ctx context.Context, address string, err error) *Failure {
	f := Explain(ctx, state.Connect, err)
	switch f.State {
	case state.Refused:
		f.Reason = fmt.Sprintf("%s refused the connection: the host is there, but nothing accepts on that port", address)
	case state.Timeout:
		f.Reason = fmt.Sprintf("no answer from %s to the connect: the host is down, or a firewall drops it", address)
	}
	return f
}

// Explain says what an I/O error in a phase means: a timeout, a refusal, a reset, an unreachable network, or a lack of
// resources on this side, for which the state is Unknown. Errors of TLS have their own words in ExplainTLS.
func Explain(ctx context.Context, phase state.Phase, err error) *Failure {
	f := &Failure{State: state.Error, Phase: phase, Err: err}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f.State, f.Reason = state.Unknown, "the check was broken off"
	case exhausted(err):
		f.State, f.Reason = state.Unknown, exhaustedReason
	case isTimeout(err) || ctx.Err() != nil:
		f.State, f.Reason = state.Timeout, fmt.Sprintf("the time ran out in the %s phase", phase)
	case refused(err):
		f.State, f.Reason = state.Refused, "the connection was refused"
	case wasReset(err):
		f.Reason = fmt.Sprintf("the server reset the connection in the %s phase", phase)
	case hostUnreachable(err):
		f.Reason = "the host is unreachable: no router or neighbour delivers to its address"
	case networkUnreachable(err):
		f.Reason = "the network is unreachable: this machine has no route to that address"
	case forbidden(err):
		f.Reason = "this machine's own firewall or policy forbids the connection"
	default:
		f.Reason = fmt.Sprintf("the %s phase failed", phase)
	}
	return f
}

const exhaustedReason = "could not tell: this machine has no descriptors, ports or buffers left for the check"

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
}

// Clean makes outside text fit for a line on a terminal, in a log or on a page: at most limit runes of it, with control
// and other unprintable characters replaced by "?". Text that is cut ends with "…".
func Clean(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == limit {
			b.WriteString("…")
			break
		}
		if !strconv.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

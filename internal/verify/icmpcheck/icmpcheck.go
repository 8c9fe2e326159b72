// Package icmpcheck is the connectivity check by one ICMP echo request. An answer shows that the host is there; it says
// nothing of any service on it, and every result says so.
//
// A Pinger owns one socket for IPv4 and one for IPv6, which all its checks share. Unprivileged ping sockets come first,
// raw ones where only those are allowed; where neither is, results are unknown and say what to set.
package icmpcheck

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/reach"
	"gatehouse/internal/state"
)

// maxTime bounds an attempt whose context has no deadline.
const maxTime = time.Minute

// Pinger sends echo requests and matches what comes back. Its checks work while Run does.
type Pinger struct {
	open   func(family) (socket, error)
	dialer reach.Dialer

	mu      sync.Mutex
	sockets [2]socket // by family; nil while there is none
	why     [2]error  // why there is none
	pending map[echo]*waiter
	seq     uint16
	id      uint16           // identifies this pinger on raw sockets, which see every echo reply of the machine
	secret  [8]byte          // in every request, so that nobody answers what he has not seen
	tried   [2]chan struct{} // closed when a family was first tried
}

// family is IPv4 or IPv6.
type family int

const (
	v4 family = iota
	v6
)

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return v4
	}
	return v6
}

// echo is what a reply is matched by.
type echo struct {
	family family
	seq    uint16
}

// waiter is one request under way.
type waiter struct {
	to    netip.Addr
	reply chan event // capacity 1
}

// event is what came back for a request.
type event struct {
	kind   kind
	from   netip.Addr // who sent it: the target, or a router on the way
	detail string     // for what is not a reply: "host unreachable"
}

// kind is what an ICMP message means for a request.
type kind int

const (
	ignored kind = iota
	replied
	unreachable
	expired // time to live: the packet went in circles, or too far
	rejected
)

// socket sends echo requests of one family and receives what comes back.
type socket interface {
	// Send sends an echo request. The kernel may replace the identifier.
	Send(to netip.Addr, id, seq uint16, payload []byte) error
	// Receive waits for the next message and says what it means; ignored messages are to be skipped.
	Receive() (message, error)
	Close() error
}

// message is an ICMP message as far as it concerns echo requests.
type message struct {
	event
	to      netip.Addr // where the request had gone; invalid when not known
	id, seq uint16
	anyID   bool // the kernel has matched the identifier already
	payload []byte
}

// NewPinger makes a pinger. It opens nothing before Run.
func NewPinger() *Pinger {
	p := &Pinger{open: open, pending: map[echo]*waiter{}, tried: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
	var id [2]byte
	_, _ = rand.Read(id[:]) // never fails
	_, _ = rand.Read(p.secret[:])
	p.id = binary.BigEndian.Uint16(id[:])
	return p
}

// reopenEvery is how long a family without a socket is left alone.
const reopenEvery = 30 * time.Second

// Run keeps the sockets open and reads from them until ctx ends, then closes them and returns nil. A socket that cannot be
// opened is tried again: somebody may set what is missing. Run is called once.
func (p *Pinger) Run(ctx context.Context) error {
	var families sync.WaitGroup
	for _, f := range []family{v4, v6} {
		families.Go(func() { p.serve(ctx, f) })
	}
	families.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why = [2]error{errEnded, errEnded}
	return nil
}

var (
	errEnded   = errors.New("gatehouse ends")
	errNothing = errors.New("the pinger is not running")
)

func (p *Pinger) serve(ctx context.Context, f family) {
	first := true
	for ctx.Err() == nil {
		s, err := p.open(f)
		p.set(f, s, err)
		if first {
			close(p.tried[f])
			first = false
		}
		if err == nil {
			stop := context.AfterFunc(ctx, func() { _ = s.Close() })
			err = p.read(s, f)
			stop()
			_ = s.Close()
			p.set(f, nil, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(reopenEvery):
		}
	}
}

func (p *Pinger) set(f family, s socket, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sockets[f], p.why[f] = s, why
}

// read gives what comes in to whom it concerns, until the socket fails or is closed.
func (p *Pinger) read(s socket, f family) error {
	for {
		m, err := s.Receive()
		if err != nil {
			return err
		}
		if m.kind != ignored {
			p.match(f, m)
		}
	}
}

// match finds the request that a message belongs to. Replies must carry the payload that was sent, and come from where
// it was sent to; messages of routers carry too little of it, and are matched by where the request had gone.
func (p *Pinger) match(f family, m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.pending[echo{f, m.seq}]
	if !ok || (!m.anyID && m.id != p.id) {
		return
	}
	if m.kind == replied {
		if m.from.WithZone("") != w.to.WithZone("") || string(m.payload) != string(p.payload(m.seq)) {
			return
		}
	} else if m.to.WithZone("") != w.to.WithZone("") {
		return
	}
	select {
	case w.reply <- m.event:
	default: // it has its answer
	}
}

// payload is what a request carries.
func (p *Pinger) payload(seq uint16) []byte {
	b := append(make([]byte, 0, 32), p.secret[:]...)
	b = binary.BigEndian.AppendUint16(b, seq)
	return append(b, "gatehouse verifier"...)
}

// enter takes a free sequence number for a request to an address.
func (p *Pinger) enter(to netip.Addr) (socket, echo, *waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := familyOf(to)
	if p.sockets[f] == nil {
		return nil, echo{}, nil, p.why[f]
	}
	for range 1 << 16 {
		p.seq++
		key := echo{f, p.seq}
		if _, taken := p.pending[key]; !taken {
			w := &waiter{to: to, reply: make(chan event, 1)}
			p.pending[key] = w
			return p.sockets[f], key, w, nil
		}
	}
	return nil, echo{}, nil, errors.New("65,536 echo requests are under way")
}

func (p *Pinger) leave(key echo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pending, key)
}

// Check is one ICMP check. It is immutable, and may be used by many goroutines at once.
type Check struct {
	pinger *Pinger
	host   string
}

// Check makes a check of a host name or address. It does no I/O.
func (p *Pinger) Check(host string) (*Check, error) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" || strings.ContainsAny(host, "/ @*") {
		return nil, fmt.Errorf("check host: %q is not a host", host)
	}
	if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
		return nil, fmt.Errorf("check host: %q: an echo request goes to a host, not to a port", host)
	}
	return &Check{pinger: p, host: host}, nil
}

// Check makes one attempt, bounded by ctx and in any case by a minute. The first address of the name is asked.
func (c *Check) Check(ctx context.Context) state.Result {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	r := state.Result{At: time.Now(), State: state.Unknown}
	addrs, failure := c.pinger.dialer.Resolve(ctx, "ip", c.host, &r.Timings.Resolve)
	if failure != nil {
		r.Timings.Total = time.Since(r.At)
		return failure.Result(r.At, "", r.Timings)
	}
	addr := c.pinger.choose(ctx, addrs)
	r.Address = addr.String()
	c.pinger.ping(ctx, addr, &r)
	r.Timings.Total = time.Since(r.At)
	return r
}

// choose returns the first address of a family that there is a socket for. It waits for Run to have tried to open them.
func (p *Pinger) choose(ctx context.Context, addrs []netip.Addr) netip.Addr {
	for _, a := range addrs {
		f := familyOf(a)
		select {
		case <-p.tried[f]:
		case <-ctx.Done():
			return a
		}
		p.mu.Lock()
		usable := p.sockets[f] != nil
		p.mu.Unlock()
		if usable {
			return a
		}
	}
	return addrs[0]
}

// ping asks one address and fills in the result.
func (p *Pinger) ping(ctx context.Context, to netip.Addr, r *state.Result) {
	s, key, w, err := p.enter(to)
	if err != nil || s == nil {
		if err == nil {
			err = errNothing
		}
		r.Reason = "could not tell: " + err.Error()
		return
	}
	defer p.leave(key)
	start := time.Now()
	err = s.Send(to, p.id, key.seq, p.payload(key.seq))
	sent := time.Now()
	r.Timings.Request = sent.Sub(start)
	if err != nil {
		f := reach.Explain(ctx, state.Request, err)
		r.State, r.Phase, r.Reason = f.State, state.Request, f.Reason
		r.Evidence = append(r.Evidence, "system: "+reach.Clean(err.Error(), 200))
		return
	}
	select {
	case e := <-w.reply:
		r.Timings.FirstByte = time.Since(sent)
		tell(e, to, r)
	case <-ctx.Done():
		r.Timings.FirstByte = time.Since(sent)
		f := reach.Explain(ctx, state.FirstByte, ctx.Err())
		r.State, r.Phase, r.Reason = f.State, state.FirstByte, f.Reason
		if f.State == state.Timeout {
			r.Reason = fmt.Sprintf("no echo reply from %s: the host is down, or a firewall drops ICMP", to)
		}
	}
}

// tell says what came back.
func tell(e event, to netip.Addr, r *state.Result) {
	if e.kind == replied {
		r.State, r.Reason = state.Good, "the host answers echo requests (host only: this says nothing of its services)"
		return
	}
	r.State, r.Phase = state.Error, state.FirstByte
	by := "this machine"
	if e.from.IsValid() && e.from != to && !e.from.IsLoopback() {
		by = "the router " + e.from.String()
	} else if e.from == to {
		by = "the host itself"
	}
	r.Evidence = append(r.Evidence, fmt.Sprintf("ICMP from %s: %s", e.from, e.detail))
	switch e.kind {
	case expired:
		r.Reason = fmt.Sprintf("the request went in circles: %s reports %s", by, e.detail)
	default:
		r.Reason = fmt.Sprintf("%s reports %s", by, e.detail)
	}
}

// Package tcpcheck is the connectivity check by one TCP connect, which is closed at once: a port accepts connections or
// it does not. It says nothing of the service behind the port.
package tcpcheck

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"gatehouse/internal/reach"
	"gatehouse/internal/state"
)

// maxTime bounds an attempt whose context has no deadline.
const maxTime = time.Minute

// Options says what is connected to.
type Options struct {
	// Address is host:port.
	Address string
	// Dialer resolves and connects; nil is the system's.
	Dialer *reach.Dialer
}

// Check is one TCP check. It is immutable, and may be used by many goroutines at once.
type Check struct {
	host   string
	port   uint16
	dialer *reach.Dialer
}

// New makes a check. It does no I/O.
func New(opt Options) (*Check, error) {
	host, service, err := net.SplitHostPort(opt.Address)
	if err != nil {
		return nil, fmt.Errorf("check address: %w", err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("check address %s: %q is not a port", opt.Address, service)
	}
	if host == "" {
		return nil, fmt.Errorf("check address %s: there is no host in it", opt.Address)
	}
	c := &Check{host: host, port: uint16(port), dialer: opt.Dialer}
	if c.dialer == nil {
		c.dialer = &reach.Dialer{}
	}
	return c, nil
}

// Check makes one attempt, bounded by ctx and in any case by a minute.
func (c *Check) Check(ctx context.Context) state.Result {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	start := time.Now()
	var timings state.Timings
	conn, notes, failure := c.dialer.Connect(ctx, c.host, c.port, &timings)
	timings.Total = time.Since(start)
	if failure != nil {
		return failure.Result(start, "", timings)
	}
	address := conn.RemoteAddr().String()
	_ = conn.Close()
	return state.Result{
		At: start, State: state.Good, Reason: "the port accepts connections",
		Evidence: append(notes, "connected to "+address), Address: address, Timings: timings,
	}
}

//go:build !linux && !windows

package procmem

import "time"

// Reader has no implementation on this system.
type Reader struct{}

// New always fails here.
func New(Options) (*Reader, error) { return nil, ErrUnsupported }

// Begin does nothing here.
func (r *Reader) Begin(time.Time) {}

// Group does nothing here.
func (r *Reader) Group(Cgroup, *Values) {}

// Forget does nothing here.
func (r *Reader) Forget() {}

// Detail always fails here.
func (r *Reader) Detail(*Process, *Values) error { return ErrUnsupported }

// Scan always fails here.
func (r *Reader) Scan(func(Process)) (int, error) { return 0, ErrUnsupported }

// Lookup always fails here.
func (r *Reader) Lookup(int) (Process, error) { return Process{}, ErrUnsupported }

// Read always fails here.
func (r *Reader) Read(*Process, *Values) error { return ErrUnsupported }

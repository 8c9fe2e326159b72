// Package procmem reads what processes hold: resident, private and virtual memory, swap, threads, descriptors and
// processor time from the operating system, the limit and events of their control group, and, for Go programs that
// serve metrics or pprof, what their own runtime says.
//
// It finds processes (Reader.Scan, Selector) and reads them (Reader.Read, Reader.Detail, Reader.Group, Scraper); it
// keeps no history and starts no goroutine. A value that cannot be read is absent, never zero.
//
// On Linux the source is /proc and /sys/fs/cgroup (version 1, 2 and hybrids), on Windows the process status API. The
// Windows reader is compiled and vetted but has not been run. Other systems get ErrUnsupported.
package procmem

import (
	"errors"
	"time"
)

// ErrUnsupported is returned by New on systems without a reader.
var ErrUnsupported = errors.New("reading other processes' memory is not supported on this system")

// ErrGone says that the process has ended, or that its pid now belongs to another one.
var ErrGone = errors.New("process has ended")

// Counter is one of the things that are read of a process.
type Counter uint8

// The counters. Memory is in bytes.
const (
	RSS              Counter = iota // resident memory; the working set on Windows
	PSS                             // resident memory with each shared page divided among its holders (Linux)
	Private                         // what only this process holds and no file backs, swapped-out memory included; PrivateUsage on Windows
	Virtual                         // address space
	Swap                            // swapped out
	Threads                         //
	FDs                             // open descriptors; handles on Windows
	CPUSeconds                      // user and system time since the process began, in seconds
	HeapInUse                       // Go: bytes in spans that hold objects
	HeapReleased                    // Go: heap returned to the system
	Goroutines                      //
	CgroupCurrent                   // memory charged to the process' control group
	CgroupLimit                     // the lowest limit on the way from that group to the root
	CgroupSwap                      // swap charged to the group
	CgroupOOMKills                  // processes of the group killed for want of memory, cumulative
	CgroupHighEvents                // times the group was throttled at memory.high, cumulative; version 2 only
	CgroupMaxEvents                 // times the group met its limit, cumulative
	counters
)

// All lists every counter.
func All() []Counter {
	all := make([]Counter, counters)
	for i := range all {
		all[i] = Counter(i)
	}
	return all
}

// String is the counter's name, as it stands in snapshots and findings.
func (c Counter) String() string {
	names := []string{
		"rss", "pss", "private", "virtual", "swap", "threads", "fds", "cpu_seconds", "heap_in_use", "heap_released",
		"goroutines", "cgroup_current", "cgroup_limit", "cgroup_swap", "cgroup_oom_kills", "cgroup_high_events",
		"cgroup_max_events",
	}
	if int(c) >= len(names) {
		return "unknown"
	}
	return names[c]
}

// Memory reports whether the counter is a number of bytes.
func (c Counter) Memory() bool {
	switch c {
	case Threads, FDs, CPUSeconds, Goroutines, CgroupOOMKills, CgroupHighEvents, CgroupMaxEvents:
		return false
	}
	return c < counters
}

// Values holds one value, or none, for each counter. The zero Values holds nothing.
type Values struct {
	value [counters]float64
	has   uint32
}

// Set sets one counter.
func (v *Values) Set(c Counter, x float64) {
	v.value[c] = x
	v.has |= 1 << c
}

// Unset makes a counter absent.
func (v *Values) Unset(c Counter) { v.has &^= 1 << c }

// Get gives a counter's value and whether there is one.
func (v *Values) Get(c Counter) (float64, bool) {
	return v.value[c], v.has&(1<<c) != 0
}

// Merge takes over every value that from holds.
func (v *Values) Merge(from *Values) {
	for c := range counters {
		if x, ok := from.Get(c); ok {
			v.Set(c, x)
		}
	}
}

// Map gives the values by the counters' names.
func (v *Values) Map() map[string]float64 {
	m := make(map[string]float64, counters)
	for c := range counters {
		if x, ok := v.Get(c); ok {
			m[c.String()] = x
		}
	}
	return m
}

// Process is what tells one process from another. Two with the same PID and Key are the same process.
type Process struct {
	PID     int
	Key     string    // start time in the system's own units, with the boot: differs when a pid is used again
	Started time.Time // start time by the clock, to the second at best
	Comm    string    // the program's short name; on Windows the image's name
	Exe     string    // path of the program, empty where it may not be read
	Command string    // command line, arguments divided by blanks, cut at 4 KiB
	Cgroup  Cgroup
}

// Same reports whether both are the same process.
func (p Process) Same(q Process) bool { return p.PID == q.PID && p.Key == q.Key }

// Cgroup says where a process stands in the control groups. Both are paths below the root of their hierarchy.
type Cgroup struct {
	Unit   string // path in the hierarchy that systemd uses (version 2, or version 1's name=systemd)
	Memory string // path in the hierarchy that has the memory controller
	V1     bool   // that hierarchy is of version 1
}

// Options says where a Reader reads.
type Options struct {
	// Proc is the root of the proc file system; empty is /proc. Tests give a folder of their own.
	Proc string
	// CgroupV1 and CgroupV2 are the folders of version 1's memory hierarchy and of version 2's tree. Empty ones are
	// found in the mount table.
	CgroupV1, CgroupV2 string
	// MaxScan bounds how many processes one Scan looks at; 0 is 32,768.
	MaxScan int
}

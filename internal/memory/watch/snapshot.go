package watch

import (
	"time"

	"gatehouse/internal/memory/trend"
)

// Process is one watched process at one moment.
type Process struct {
	ID        string             `json:"id"`   // stable while the same process runs: name, pid and start time
	Name      string             `json:"name"` // what the configuration calls it, or "gatehouse edge" for an own worker
	PID       int                `json:"pid"`
	Started   time.Time          `json:"started"`
	Worker    string             `json:"worker,omitempty"`    // the role, for an own worker
	Gone      bool               `json:"gone,omitempty"`      // the process has ended; kept for a while with its last values
	Error     string             `json:"error,omitempty"`     // why it cannot be read, in a sentence
	Note      string             `json:"note,omitempty"`      // what is not read of it and why, in a sentence; the rest is good
	Values    map[string]float64 `json:"values"`              // newest sample by counter: rss, pss, private, virtual, swap, threads, fds, cpu_seconds, heap_in_use, …
	Sampled   time.Time          `json:"sampled"`             // when Values were read; zero before the first sample
	Finding   *trend.Finding     `json:"finding,omitempty"`   // nil until the first look
	Looked    time.Time          `json:"looked"`              // when Finding was made
	Confirmed bool               `json:"confirmed,omitempty"` // two looks in a row said leak, and no two since said otherwise
}

// Chart is the history of one process's memory, thinned for drawing. All slices are as long as Times (Unix seconds);
// missing values are null in JSON.
type Chart struct {
	Process string     `json:"process"`
	Counter string     `json:"counter"`
	Times   []float64  `json:"times"`
	Memory  []*float64 `json:"memory"`
	Floor   []*float64 `json:"floor"`
	Trend   []*float64 `json:"trend"`
	Limit   *float64   `json:"limit,omitempty"`
}

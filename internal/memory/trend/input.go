package trend

import "time"

// Series is one counter over time. Times ascend strictly; a missing sample is NaN or simply not there, never zero.
// The two slices have the same length and belong to the caller, who does not change them while Judge runs.
type Series struct {
	Name   string // the counter as the log or the sampler names it: "Private Bytes", "rss"
	Times  []time.Time
	Values []float64
}

// Input is what is known of one process. Only Memory is required.
type Input struct {
	Host, Process string
	PID           int
	Memory        Series      // what the verdict is read from: private bytes, PSS or RSS
	Virtual       *Series     // virtual bytes, where an address space is the limit
	InUse         *Series     // bytes the program itself holds (heap in use), which tells leak from fragmentation
	Loads         []Series    // levels and rates of activity that memory may follow: sessions, requests a second; running counts become rates
	Restarts      []time.Time // where a new process took the name over; Judge looks for further ones itself
	LimitBytes    float64     // 0 when not known
	LimitOf       string      // name of the counter that meets the limit: Memory.Name or Virtual.Name
}

// Options sets the scale of Judge. The zero value is right for real processes.
type Options struct {
	// Hour is what counts as an hour: windows, floors and the day's cycle are made from it. Zero is time.Hour. The demo
	// sets a second or two, so that minutes show what days do. Rates are always bytes per real day.
	Hour time.Duration
}

// Curves is what Judge saw, for charts: every slice has the length of Times; missing values are NaN.
type Curves struct {
	Times []time.Time
	Floor []float64 // the lower envelope in each window, restarts and steps still in
	Trend []float64 // the fitted line from Since on, NaN elsewhere
}

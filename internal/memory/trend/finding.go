package trend

import "time"

// Verdict is the memory verdict on one process: one of the words below.
type Verdict string

// The memory verdicts.
const (
	Leak          Verdict = "leak"
	Fragmentation Verdict = "fragmentation"
	Retention     Verdict = "retention"
	WarmUp        Verdict = "warm-up"
	Load          Verdict = "load"
	Step          Verdict = "step"
	Stable        Verdict = "stable"
	Inconclusive  Verdict = "inconclusive"
)

// Finding is the verdict on one process with everything that led to it. Its JSON is the contract of
// "gatehouse analyze --format json": sizes in bytes, times in RFC 3339, and what is not known is absent.
type Finding struct {
	Host           string      `json:"host,omitempty"`
	Process        string      `json:"process"`
	PID            int         `json:"pid,omitempty"`
	First          *time.Time  `json:"first,omitempty"` // the first and the last sample that the verdict rests on
	Last           *time.Time  `json:"last,omitempty"`
	Verdict        Verdict     `json:"verdict"`
	Confidence     float64     `json:"confidence"` // probability that the verdict is right
	Counter        string      `json:"counter"`    // the counter that the verdict was read from
	Rate           *Rate       `json:"rate,omitempty"`
	Since          *time.Time  `json:"since,omitempty"` // where the growth begins
	Decreases      *Decreases  `json:"decreases,omitempty"`
	Limit          *Limit      `json:"limit,omitempty"`
	Drivers        []Driver    `json:"drivers"`
	DriversNote    string      `json:"drivers_note,omitempty"`
	Restarts       []time.Time `json:"restarts"`
	Steps          []StepAt    `json:"steps"`
	Evidence       []Evidence  `json:"evidence"`
	DetectableRate *float64    `json:"detectable_rate,omitempty"` // bytes a day: the smallest growth that these samples could have shown; nil when they are too short to show any
	DaysNeeded     float64     `json:"days_needed"`               // how many more days would decide it, when inconclusive
}

// Rate is growth in bytes a day with its 95 % interval.
type Rate struct {
	BytesPerDay float64 `json:"bytes_per_day"`
	Low         float64 `json:"low"`
	High        float64 `json:"high"`
}

// Decreases answers "does it ever decrease?", apart from restarts.
type Decreases struct {
	Ever      bool    `json:"ever"`
	GivenBack float64 `json:"given_back"` // share of the growth that was given back, 0 to 1
}

// Limit is the size at which the process fails, and when it gets there. Reached is nil when never.
type Limit struct {
	Bytes   float64    `json:"bytes"`
	Of      string     `json:"of"` // the counter that meets the limit
	Reached *time.Time `json:"reached,omitempty"`
	Low     *time.Time `json:"low,omitempty"`  // earliest date of the 95 % interval
	High    *time.Time `json:"high,omitempty"` // latest; nil when the interval is open
}

// Driver is an activity that may cause the growth.
type Driver struct {
	Counter       string  `json:"counter"`
	BytesPerEvent float64 `json:"bytes_per_event"`
	Low           float64 `json:"low"`
	High          float64 `json:"high"`
	Share         float64 `json:"share"`
	P             float64 `json:"p"`
}

// StepAt is a one-off change of level.
type StepAt struct {
	At    time.Time `json:"at"`
	Bytes float64   `json:"bytes"`
}

// Evidence is one rule with the number it was decided by.
type Evidence struct {
	Rule      string  `json:"rule"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
	Holds     bool    `json:"holds"`
	Text      string  `json:"text"`
}

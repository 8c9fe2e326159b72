package farm

import (
	"time"

	"gatehouse/internal/state"
)

// Snapshot is a farm at one moment, for the console, the command line and metrics.
type Snapshot struct {
	Name     string           `json:"name"`
	Balance  string           `json:"balance"`
	Affinity string           `json:"affinity"`
	FailOpen bool             `json:"fail_open"` // true while no member looks usable and all are tried all the same
	Members  []MemberSnapshot `json:"members"`
}

// MemberSnapshot is one member of a farm at one moment.
type MemberSnapshot struct {
	Name      string      `json:"name"`
	URL       string      `json:"url"`
	Weight    int         `json:"weight"`
	Mode      Mode        `json:"mode"`               // active, draining or removed
	Deadline  *time.Time  `json:"deadline,omitempty"` // when a drain ends at the latest
	State     state.State `json:"state"`              // what its verifier says
	Usable    bool        `json:"usable"`             // whether new sessions are sent there now
	Reason    string      `json:"reason"`             // why
	SlowStart float64     `json:"slow_start"`         // share of its weight that it gets, 1 when warmed up
	Requests  uint64      `json:"requests"`           // requests sent, ever
	Failures  uint64      `json:"failures"`           // of these, how many the member failed
	Active    int         `json:"active"`             // requests and tunnels under way
	Sessions  int         `json:"sessions"`           // affinity sessions seen within their lifetime
}

// Mode is what the operator wants of a member.
type Mode string

// The modes of a member.
const (
	Active   Mode = "active"
	Draining Mode = "draining" // existing sessions go on, new ones go elsewhere
	Removed  Mode = "removed"  // nothing is sent there
)

// Health is what a member's verifier says of it.
type Health struct {
	State  state.State
	Usable bool
	Reason string
	Since  time.Time
}

// Package state is the vocabulary in which connectivity verifiers speak and which farm, alert and console read: the
// states of a check, the phases it goes through, one result, and the status that results add up to over time.
//
// It holds words and no behaviour beyond their order; everything here is a plain value, safe to copy and to send as JSON.
package state

import (
	"encoding/json"
	"math"
	"time"
)

// State says how a server answered a check. The words are those that ISA Server showed its operators, with the failures
// told apart further.
type State string

// The states, from best to worst; Unknown is the state of a verifier that has not been checked yet.
const (
	Good                   State = "good"
	Slow                   State = "slow"                    // good, but slower than the verifier's threshold
	AuthenticationRequired State = "authentication required" // the server answered and wants to know who asks
	Unknown                State = "unknown"
	UnresolvedName         State = "unresolved name"
	TLSError               State = "TLS error"
	Refused                State = "refused"
	Timeout                State = "timeout"
	Error                  State = "error"
)

// States lists every state from best to worst.
func States() []State {
	return []State{Good, Slow, AuthenticationRequired, Unknown, Error, TLSError, UnresolvedName, Refused, Timeout}
}

// Severity orders states for roll-up: 0 for Good, larger is worse. A state that is not one of the words is the worst.
func (s State) Severity() int {
	all := States()
	for i, known := range all {
		if s == known {
			return i
		}
	}
	return len(all)
}

// Answered reports whether the server gave an answer that shows it to be alive: good, slow or authentication required.
func (s State) Answered() bool {
	return s == Good || s == Slow || s == AuthenticationRequired
}

// Worst returns the worst of the given states, Unknown when there are none.
func Worst(states ...State) State {
	if len(states) == 0 {
		return Unknown
	}
	worst := states[0]
	for _, s := range states[1:] {
		if s.Severity() > worst.Severity() {
			worst = s
		}
	}
	return worst
}

// Phase names a step of a check, in the order in which a check goes through them.
type Phase string

// The phases of a check. A check that does not need a phase skips it.
const (
	Resolve   Phase = "resolve"
	Connect   Phase = "connect"
	TLS       Phase = "tls"
	Request   Phase = "request"
	FirstByte Phase = "first byte"
	Body      Phase = "body"
)

// Timings holds how long each phase took; a phase that was not reached or not needed is zero. Total is the round trip
// that is compared with the verifier's threshold. In JSON each is a number of milliseconds with three decimals, so that
// what is below a microsecond is lost, and zero phases are absent.
type Timings struct {
	Resolve, Connect, TLS, Request, FirstByte, Body, Total time.Duration
}

type timingsJSON struct {
	Resolve   float64 `json:"resolve_ms,omitempty"`
	Connect   float64 `json:"connect_ms,omitempty"`
	TLS       float64 `json:"tls_ms,omitempty"`
	Request   float64 `json:"request_ms,omitempty"`
	FirstByte float64 `json:"first_byte_ms,omitempty"`
	Body      float64 `json:"body_ms,omitempty"`
	Total     float64 `json:"total_ms"`
}

// MarshalJSON writes milliseconds.
func (t Timings) MarshalJSON() ([]byte, error) {
	return json.Marshal(timingsJSON{ms(t.Resolve), ms(t.Connect), ms(t.TLS), ms(t.Request), ms(t.FirstByte), ms(t.Body), ms(t.Total)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Timings) UnmarshalJSON(data []byte) error {
	var j timingsJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*t = Timings{dur(j.Resolve), dur(j.Connect), dur(j.TLS), dur(j.Request), dur(j.FirstByte), dur(j.Body), dur(j.Total)}
	return nil
}

func ms(d time.Duration) float64   { return float64(d.Microseconds()) / 1000 }
func dur(ms float64) time.Duration { return time.Duration(math.Round(ms*1000)) * time.Microsecond }

// Result is the outcome of one check.
type Result struct {
	At       time.Time `json:"at"`                 // when the check began
	State    State     `json:"state"`              // what it found
	Phase    Phase     `json:"phase,omitempty"`    // the phase in which it failed; empty when it went through
	Reason   string    `json:"reason"`             // one sentence for a person
	Evidence []string  `json:"evidence,omitempty"` // the facts behind the reason: "HTTP 401", "WWW-Authenticate: NTLM"
	Address  string    `json:"address,omitempty"`  // the address that was reached, with port where there is one
	Timings  Timings   `json:"timings"`
}

// Group is one of ISA's verifier groups.
type Group string

// The verifier groups.
const (
	ActiveDirectory  Group = "active-directory"
	DHCP             Group = "dhcp"
	DNS              Group = "dns"
	PublishedServers Group = "published-servers"
	Web              Group = "web"
	Others           Group = "others"
)

// Groups lists the verifier groups in the order in which they are shown.
func Groups() []Group {
	return []Group{ActiveDirectory, DHCP, DNS, PublishedServers, Web, Others}
}

// Status is where a verifier stands after hysteresis: its state changes between answering and not answering only after
// the configured number of equal results in a row.
type Status struct {
	Verifier string    `json:"verifier"`         // unique name; "farm/member" for a farm's own verifiers
	Kind     string    `json:"kind"`             // http, tcp or icmp
	Target   string    `json:"target"`           // URL, host:port or host
	Group    Group     `json:"group"`            //
	Farm     string    `json:"farm,omitempty"`   // for a farm's verifier: the farm and the member it stands for
	Member   string    `json:"member,omitempty"` //
	State    State     `json:"state"`            // after hysteresis
	Since    time.Time `json:"since"`            // when this state began; zero when unknown
	Usable   bool      `json:"usable"`           // whether traffic may be sent there
	Reason   string    `json:"reason"`           // why the state and, where a setting decided it, why usable or not
	Last     *Result   `json:"last,omitempty"`   // the newest result, which may differ from State while hysteresis holds
	Streak   int       `json:"streak"`           // how many results in a row agreed with Last on answering or not
	Checks   uint64    `json:"checks"`           // checks made since the verifier was first configured
	Failures uint64    `json:"failures"`         // of these, how many were not answered
}

// Transition is one change of a verifier's state.
type Transition struct {
	Verifier string    `json:"verifier"`
	At       time.Time `json:"at"`
	From     State     `json:"from"`
	To       State     `json:"to"`
	Reason   string    `json:"reason"`
}

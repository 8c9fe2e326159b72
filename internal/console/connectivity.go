package console

import (
	"context"
	"fmt"
	"gatehouse/internal/words"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/state"
)

type groupHead struct {
	ID, Name string
	Tone     tone
	State    string
	Words    string
}

// phaseBar is one phase of a check's round trip.
type phaseBar struct {
	Name, Class, Took string
	X, Width          int // in thousandths of the round trip
}

type resultLine struct {
	At, State, Took, Reason, Address string
	Tone                             tone
	Evidence                         []string
}

type verifierData struct {
	Status    state.Status
	ID        string
	Tone      tone
	Since     string // how long
	SinceAt   string // when
	Usable    string // for a farm's member only
	LastAt    string
	LastTook  string
	Holding   string // the newest result, where it differs from the state
	Phases    []phaseBar
	Strip     strip
	Results   []resultLine // newest first
	Counts    string
	CheckURL  string
	FarmURL   string
	CanCheck  bool
	NoResults string
}

// resultsShown is how many results are listed in words below a verifier.
const resultsShown = 10

// connectivity shows every verifier in its group. Groups without a verifier are left out.
func (c *Console) connectivity(ctx context.Context, w world) view {
	v := view{Key: pageConnectivity, Heading: "Connectivity"}
	if n := w.verifiers.notice(w.clock); n != nil {
		v.Fragments = append(v.Fragments, fragment{ID: "notice-verify", Template: "notice-box", Data: n})
	}
	results, err := c.sources.results.all(ctx, w.verifiers.Value)
	noResults := ""
	if err != nil && w.verifiers.Err == nil {
		noResults = "The last results cannot be had: " + err.Error()
	}
	groups := byGroup(w.verifiers.Value)
	for _, g := range state.Groups() {
		members := groups[g]
		if len(members) == 0 {
			continue
		}
		worst, answering := rollUp(members)
		head := groupHead{"group-" + string(g), groupName(g), stateTone(worst), string(worst), fmt.Sprintf("%d of %d answer", answering, len(members))}
		v.Fragments = append(v.Fragments, fragment{ID: head.ID, Class: "head", Template: "group-head", Data: head})
		for _, s := range members {
			d := newVerifier(w.clock, s, results[s.Verifier])
			d.CanCheck, d.NoResults = c.options.CheckNow != nil, noResults
			v.Fragments = append(v.Fragments, fragment{ID: d.ID, Class: "card", Template: "verifier", Data: d})
		}
	}
	if len(w.verifiers.Value) == 0 && w.verifiers.Err == nil {
		v.Fragments = append(v.Fragments, fragment{ID: "none", Template: "empty", Data: "No connectivity verifiers are configured."})
	}
	return v
}

func newVerifier(c words.Clock, s state.Status, results []state.Result) verifierData {
	d := verifierData{Status: s, ID: anchor("verifier", s.Verifier), Tone: stateTone(s.State), Since: c.Since(s.Since), SinceAt: c.Exact(s.Since),
		Strip: newStrip(c, results), CheckURL: "/connectivity/" + url.PathEscape(s.Verifier) + "/check",
		Counts: fmt.Sprintf("%s, %s not answered", words.Plural(int(s.Checks), "check"), words.Number(s.Failures))}
	if s.State == "" {
		d.Status.State = state.Unknown
	}
	if s.Farm != "" {
		d.FarmURL = "/farms#" + anchor("farm", s.Farm)
		if d.Usable = "not used by the farm"; s.Usable {
			d.Usable = "used by the farm"
		}
	}
	if s.Last != nil {
		d.LastAt, d.LastTook, d.Phases = c.Exact(s.Last.At), words.Latency(s.Last.Timings.Total), phases(s.Last.Timings)
		if s.Last.State != s.State {
			d.Holding = fmt.Sprintf("The last check found %s, %d in a row: %s", s.Last.State, s.Streak, s.Last.Reason)
		}
	}
	for _, r := range slices.Backward(results) {
		if len(d.Results) == resultsShown {
			break
		}
		reason := r.Reason
		if r.Phase != "" {
			reason += " (in phase " + string(r.Phase) + ")"
		}
		d.Results = append(d.Results, resultLine{c.Exact(r.At), string(r.State), words.Latency(r.Timings.Total), reason, r.Address, stateTone(r.State), r.Evidence})
	}
	return d
}

// phases lays the phases of a round trip end to end. Phases that were not needed are left out.
func phases(t state.Timings) []phaseBar {
	all := []phaseBar{
		{Name: "resolve", Class: "p1"}, {Name: "connect", Class: "p2"}, {Name: "TLS", Class: "p3"},
		{Name: "request", Class: "p4"}, {Name: "first byte", Class: "p5"}, {Name: "body", Class: "p6"},
	}
	took := []int64{int64(t.Resolve), int64(t.Connect), int64(t.TLS), int64(t.Request), int64(t.FirstByte), int64(t.Body)}
	var sum int64
	for _, d := range took {
		sum += d
	}
	total := max(sum, int64(t.Total), 1)
	var out []phaseBar
	var at int64
	for i, p := range all {
		if took[i] <= 0 {
			continue
		}
		p.Took, p.X, p.Width = words.Latency(time.Duration(took[i])), int(at*1000/total), int(max(took[i]*1000/total, 4))
		at += took[i]
		out = append(out, p)
	}
	return out
}

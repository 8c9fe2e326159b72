package console

import (
	"fmt"
	"gatehouse/internal/words"
	"net/url"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

// attentionShown bounds the list on the overview; the rest is counted.
const attentionShown = 12

type attentionData struct {
	Problems []problem
	More     int
	Words    string
}

type tile struct {
	Name  string
	Link  string
	Tone  tone
	State string
	Words string
}

type groupsData struct {
	Notice *notice
	Tiles  []tile
}

type farmLine struct {
	Name, Link       string
	Tone             tone
	Words            string
	Members          []memberDot
	Sessions, Active string
}

type memberDot struct {
	Name  string
	Tone  tone
	Title string
}

type workerLine struct {
	Role, State string
	Tone        tone
	PID         int
	Up          string
	Restarts    int
	Memory      string
	LastExit    string
}

type workersData struct {
	Notice *notice
	Status supervisor.Status
	Loaded string
	Up     string
	Lines  []workerLine
}

type farmsData struct {
	Notice *notice
	Lines  []farmLine
}

type processLine struct {
	Name, Link string
	PID        int
	Memory     string
	Tone       tone
	Verdict    string
	Sentence   string
	Gone       bool
}

type processesData struct {
	Notice *notice
	Lines  []processLine
	More   int
}

func (w world) overview() view {
	return view{Key: pageOverview, Heading: "Overview", Fragments: []fragment{
		{ID: "attention", Class: "wide", Template: "attention", Data: w.attention()},
		{ID: "groups", Class: "wide", Template: "groups", Data: w.groups()},
		{ID: "farms", Template: "farm-lines", Data: w.farmLines()},
		{ID: "workers", Template: "workers", Data: w.workers()},
		{ID: "processes", Class: "wide", Template: "process-lines", Data: w.processLines()},
	}}
}

func (w world) attention() attentionData {
	all := w.problems()
	d := attentionData{Problems: all}
	if len(all) > attentionShown {
		d.Problems, d.More = all[:attentionShown], len(all)-attentionShown
	}
	switch len(all) {
	case 0:
		d.Words = "Nothing needs attention"
	case 1:
		d.Words = "1 thing needs attention"
	default:
		d.Words = fmt.Sprintf("%d things need attention", len(all))
	}
	return d
}

// groupName is the word for a verifier group, as ISA Server had them.
func groupName(g state.Group) string {
	switch g {
	case state.ActiveDirectory:
		return "Active Directory"
	case state.DHCP:
		return "DHCP"
	case state.DNS:
		return "DNS"
	case state.PublishedServers:
		return "Published servers"
	case state.Web:
		return "Web"
	}
	return "Others"
}

// byGroup sorts statuses into the six groups; what is in none of them goes to Others.
func byGroup(statuses []state.Status) map[state.Group][]state.Status {
	groups := map[state.Group][]state.Status{}
	for _, g := range state.Groups() {
		groups[g] = nil
	}
	for _, s := range statuses {
		g := s.Group
		if _, known := groups[g]; !known {
			g = state.Others
		}
		groups[g] = append(groups[g], s)
	}
	return groups
}

// rollUp is the worst state of a group, and how many of it answer.
func rollUp(statuses []state.Status) (worst state.State, answering int) {
	states := make([]state.State, len(statuses))
	for i, s := range statuses {
		states[i] = s.State
		if s.State.Answered() {
			answering++
		}
	}
	return state.Worst(states...), answering
}

func (w world) groups() groupsData {
	d := groupsData{Notice: w.verifiers.notice(w.clock)}
	groups := byGroup(w.verifiers.Value)
	for _, g := range state.Groups() {
		t := tile{Name: groupName(g), Link: "/connectivity#group-" + string(g), Tone: toneUnknown, Words: "no verifiers"}
		if members := groups[g]; len(members) > 0 {
			worst, answering := rollUp(members)
			t.State, t.Tone = string(worst), stateTone(worst)
			t.Words = fmt.Sprintf("%d of %d answer", answering, len(members))
		}
		d.Tiles = append(d.Tiles, t)
	}
	return d
}

func (w world) farmLines() farmsData {
	d := farmsData{Notice: w.farms.notice(w.clock)}
	for _, f := range w.farms.Value {
		t, usable := farmTone(f)
		line := farmLine{Name: f.Name, Link: "/farms#" + anchor("farm", f.Name), Tone: t, Words: usable}
		sessions, active := 0, 0
		for _, m := range f.Members {
			sessions += m.Sessions
			active += m.Active
			mt, mw := memberTone(m)
			line.Members = append(line.Members, memberDot{m.Name, mt, m.Name + ": " + mw})
		}
		line.Sessions, line.Active = words.Plural(sessions, "session"), fmt.Sprintf("%d active", active)
		d.Lines = append(d.Lines, line)
	}
	return d
}

func farmTone(f farm.Snapshot) (tone, string) {
	usable := usableMembers(f)
	words := fmt.Sprintf("%d of %d usable", usable, len(f.Members))
	switch {
	case f.FailOpen:
		return toneFail, "failing open"
	case usable == 0:
		return toneFail, words
	case usable < len(f.Members):
		return toneWarn, words
	}
	return toneOK, words
}

// memberTone is one word for a member: what the operator wants of it first, what its verifier says otherwise.
func memberTone(m farm.MemberSnapshot) (tone, string) {
	switch {
	case m.Mode == farm.Draining:
		return toneSlow, "draining"
	case m.Mode == farm.Removed:
		return toneUnknown, "removed"
	case m.State == "":
		return toneUnknown, string(state.Unknown)
	}
	return stateTone(m.State), string(m.State)
}

func (w world) workers() workersData {
	s := w.supervisor.Value
	d := workersData{Notice: w.supervisor.notice(w.clock), Status: s, Loaded: w.clock.Moment(s.ConfigLoaded), Up: w.clock.Since(s.Started)}
	for _, worker := range s.Workers {
		line := workerLine{Role: worker.Role, State: worker.State, Tone: toneWarn, PID: worker.PID, Restarts: worker.Restarts, LastExit: worker.LastExit, Memory: "–", Up: "–"}
		switch worker.State {
		case "ready":
			line.Tone = toneOK
		case "waiting":
			line.Tone = toneFail
		}
		if worker.RSSBytes > 0 {
			line.Memory = words.Size(float64(worker.RSSBytes))
		}
		if worker.PID != 0 && !worker.Started.IsZero() {
			line.Up = w.clock.Since(worker.Started)
		}
		d.Lines = append(d.Lines, line)
	}
	return d
}

// processLinesShown bounds the processes on the overview; the memory page has them all.
const processLinesShown = 12

func (w world) processLines() processesData {
	d := processesData{Notice: w.processes.notice(w.clock)}
	for i, p := range worstFirst(w.processes.Value, w.clock.Now) {
		if i == processLinesShown {
			d.More = len(w.processes.Value) - i
			break
		}
		d.Lines = append(d.Lines, w.processLine(p))
	}
	return d
}

func (w world) processLine(p watch.Process) processLine {
	line := processLine{Name: p.Name, Link: "/memory/" + url.PathEscape(p.ID), PID: p.PID, Memory: "–", Tone: processTone(p, w.clock.Now),
		Verdict: verdictWord(p), Sentence: w.clock.Sentence(p.Finding), Gone: p.Gone}
	if value, _, ok := mainMemory(p); ok {
		line.Memory = words.Size(value)
	}
	if p.Error != "" {
		line.Sentence = "Cannot be read: " + p.Error
	}
	return line
}

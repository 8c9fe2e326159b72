package console

import (
	"cmp"
	"fmt"
	"gatehouse/internal/words"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/trend"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
)

// tone is the look of a thing: a colour, an icon and never the colour alone.
type tone string

const (
	toneOK      tone = "ok"
	toneSlow    tone = "slow"
	toneAuth    tone = "auth"
	toneUnknown tone = "unknown"
	toneWarn    tone = "warn"
	toneFail    tone = "fail"
)

func stateTone(s state.State) tone {
	switch s {
	case state.Good:
		return toneOK
	case state.Slow:
		return toneSlow
	case state.AuthenticationRequired:
		return toneAuth
	case state.Unknown, "":
		return toneUnknown
	}
	return toneFail
}

// soon is how near a limit must be for a leak to be a failure and not a warning.
const soon = 7 * 24 * time.Hour

func verdictTone(f *trend.Finding, now time.Time) tone {
	if f == nil {
		return toneUnknown
	}
	switch f.Verdict {
	case trend.Leak, trend.Fragmentation:
		if l := f.Limit; l != nil && l.Reached != nil && l.Reached.Sub(now) < soon {
			return toneFail
		}
		return toneWarn
	case trend.Retention:
		return toneSlow
	case trend.Stable, trend.Load, trend.WarmUp, trend.Step:
		return toneOK
	}
	return toneUnknown
}

// processTone is the look of a process. One look alone that says leak is not a warning yet.
func processTone(p watch.Process, now time.Time) tone {
	switch {
	case p.Error != "":
		return toneWarn
	case unconfirmed(p):
		return toneSlow
	}
	return verdictTone(p.Finding, now)
}

// unconfirmed tells whether a process was called leaking by one look that the next has yet to confirm.
func unconfirmed(p watch.Process) bool {
	return p.Finding != nil && p.Finding.Verdict == trend.Leak && !p.Confirmed
}

// problem is one thing that needs attention.
type problem struct {
	Tone  tone
	Page  string // key of the page that tells more
	Title string
	Text  string
	Link  string
}

// problems lists what needs attention, failures first.
func (w world) problems() []problem {
	var out []problem
	for _, n := range []*notice{w.supervisor.notice(w.clock), w.verifiers.notice(w.clock), w.farms.notice(w.clock), w.processes.notice(w.clock)} {
		if n != nil {
			out = append(out, problem{toneFail, pageOverview, n.From + " does not answer", n.Error, "/"})
		}
	}
	for _, part := range [][]problem{w.farmProblems(), w.verifierProblems(), w.memoryProblems(), w.workerProblems()} {
		out = append(out, part...)
	}
	slices.SortStableFunc(out, func(a, b problem) int { return cmp.Compare(toneRank(a.Tone), toneRank(b.Tone)) })
	return out
}

func toneRank(t tone) int {
	return slices.Index([]tone{toneFail, toneWarn, toneSlow, toneAuth, toneUnknown, toneOK}, t)
}

func (w world) farmProblems() []problem {
	var out []problem
	for _, f := range w.farms.Value {
		usable := usableMembers(f)
		switch {
		case f.FailOpen:
			out = append(out, problem{toneFail, pageFarms, "Farm " + f.Name + " is failing open",
				"no member looks usable, and all are tried all the same", "/farms#" + anchor("farm", f.Name)})
		case usable == 0 && len(f.Members) > 0:
			out = append(out, problem{toneFail, pageFarms, "Farm " + f.Name + " has no usable member",
				"its requests are answered with 503", "/farms#" + anchor("farm", f.Name)})
		}
	}
	return out
}

func usableMembers(f farm.Snapshot) int {
	n := 0
	for _, m := range f.Members {
		if m.Usable {
			n++
		}
	}
	return n
}

func (w world) verifierProblems() []problem {
	var out []problem
	for _, s := range w.verifiers.Value {
		var t tone
		switch {
		case !s.State.Answered() && s.State != state.Unknown && s.State != "":
			t = toneFail
		case s.State == state.Slow, s.State == state.AuthenticationRequired && !s.Usable:
			t = toneWarn
		default:
			continue
		}
		text := string(s.State)
		if age := w.clock.Since(s.Since); age != "" {
			text += " for " + age
		}
		if s.Reason != "" {
			text += ": " + s.Reason
		}
		out = append(out, problem{t, pageConnectivity, s.Verifier, text, "/connectivity#" + anchor("verifier", s.Verifier)})
	}
	return out
}

func (w world) memoryProblems() []problem {
	var out []problem
	for _, p := range w.processes.Value {
		link := "/memory/" + url.PathEscape(p.ID)
		switch {
		case p.Gone:
		case p.Error != "":
			out = append(out, problem{toneWarn, pageMemory, processName(p) + " cannot be read", p.Error, link})
		case unconfirmed(p):
		case p.Finding != nil && (p.Finding.Verdict == trend.Leak || p.Finding.Verdict == trend.Fragmentation):
			out = append(out, problem{verdictTone(p.Finding, w.clock.Now), pageMemory, processName(p), w.clock.Sentence(p.Finding), link})
		}
	}
	return out
}

func processName(p watch.Process) string {
	if p.PID == 0 {
		return p.Name
	}
	return fmt.Sprintf("%s (pid %d)", p.Name, p.PID)
}

// lately is how long a restart of a worker is news.
const lately = time.Hour

func (w world) workerProblems() []problem {
	var out []problem
	for _, worker := range w.supervisor.Value.Workers {
		ended := ""
		if worker.LastExit != "" {
			ended = ": " + worker.LastExit
		}
		switch {
		case worker.State == "waiting":
			out = append(out, problem{toneFail, pageOverview, "Worker " + worker.Role + " is down",
				"it waits for its next start" + ended, "/#workers"})
		case worker.Restarts > 0 && w.clock.Now.Sub(worker.Started) < lately:
			out = append(out, problem{toneWarn, pageOverview, "Worker " + worker.Role + " restarts",
				fmt.Sprintf("%s, the last one %s ago%s", words.Plural(worker.Restarts, "restart"), w.clock.Since(worker.Started), ended), "/#workers"})
		}
	}
	if e := w.supervisor.Value.ConfigError; e != "" {
		out = append(out, problem{toneWarn, pageOverview, "Configuration refused", "the last one still runs: " + e, "/#workers"})
	}
	return out
}

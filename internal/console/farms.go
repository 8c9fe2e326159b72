package console

import (
	"fmt"
	"gatehouse/internal/words"
	"net/url"
	"strconv"

	"gatehouse/internal/gateway/farm"
)

type memberData struct {
	farm.MemberSnapshot
	ID             string
	Farm           string
	Tone           tone
	Word           string
	Weight         string
	Warming        string // its share of the weight during slow start
	Sessions       string
	SessionWords   string // "42 sessions are"
	Requests       string
	Failures       string
	FailureShare   string
	Draining       string // "42 sessions remain; ends at 14:32 at the latest"
	URLs           map[string]string
	CanDrain       bool
	CanResume      bool
	CanRemove      bool
	VerifierAnchor string
}

type farmData struct {
	farm.Snapshot
	ID      string
	Tone    tone
	Words   string
	Members []memberData
}

func (w world) farmsView() view {
	v := view{Key: pageFarms, Heading: "Farms"}
	if n := w.farms.notice(w.clock); n != nil {
		v.Fragments = append(v.Fragments, fragment{ID: "notice-edge", Template: "notice-box", Data: n})
	}
	for _, f := range w.farms.Value {
		d := farmData{Snapshot: f, ID: anchor("farm", f.Name)}
		d.Tone, d.Words = farmTone(f)
		for _, m := range f.Members {
			d.Members = append(d.Members, newMember(w.clock, f.Name, m))
		}
		v.Fragments = append(v.Fragments, fragment{ID: d.ID, Class: "card", Template: "farm", Data: d})
	}
	if len(w.farms.Value) == 0 && w.farms.Err == nil {
		v.Fragments = append(v.Fragments, fragment{ID: "none", Template: "empty", Data: "No web farms are configured."})
	}
	return v
}

func newMember(c words.Clock, farmName string, m farm.MemberSnapshot) memberData {
	d := memberData{MemberSnapshot: m, ID: anchor("member", farmName+"/"+m.Name), Farm: farmName, Weight: strconv.Itoa(m.Weight),
		Sessions: words.Number(uint64(max(m.Sessions, 0))), Requests: words.Number(m.Requests), Failures: words.Number(m.Failures),
		CanDrain: m.Mode != farm.Draining && m.Mode != farm.Removed, CanResume: m.Mode == farm.Draining || m.Mode == farm.Removed,
		CanRemove: m.Mode != farm.Removed, URLs: map[string]string{}, VerifierAnchor: anchor("verifier", farmName+"/"+m.Name)}
	d.Tone, d.Word = memberTone(m)
	for _, action := range actions {
		d.URLs[action] = "/farms/" + url.PathEscape(farmName) + "/members/" + url.PathEscape(m.Name) + "/" + action
	}
	if m.SlowStart > 0 && m.SlowStart < 1 && m.Usable {
		d.Warming = fmt.Sprintf("warming up, %.0f %%", m.SlowStart*100)
	}
	if m.Requests > 0 && m.Failures > 0 {
		d.FailureShare = share(float64(m.Failures) / float64(m.Requests))
	}
	d.SessionWords = words.Plural(m.Sessions, "session")
	if m.Mode == farm.Draining {
		d.Draining = words.Plural(m.Sessions, "session") + " and " + words.Plural(m.Active, "active request") + " remain"
		if m.Deadline != nil {
			d.Draining += "; ends at " + c.Exact(*m.Deadline) + " at the latest"
		}
	}
	return d
}

// share says a part of one in percent: "0.4 %", "under 0.1 %".
func share(part float64) string {
	switch {
	case part <= 0:
		return "0 %"
	case part < 0.001:
		return "under 0.1 %"
	case part < 0.1:
		return fmt.Sprintf("%.1f %%", part*100)
	}
	return fmt.Sprintf("%.0f %%", part*100)
}

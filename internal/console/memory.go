package console

import (
	"cmp"
	"errors"
	"fmt"
	"gatehouse/internal/words"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/memory/trend"
	"gatehouse/internal/memory/watch"
)

type counter struct{ Name, Value string }

type evidenceLine struct {
	Rule, Value, Threshold, Text string
	Holds                        bool
}

type spanLink struct {
	Name, URL string
	Current   bool
}

type driverLine struct{ Counter, PerEvent, Share, P string }

type processData struct {
	watch.Process
	ID         string
	Link       string
	Tone       tone
	Verdict    string
	Sentence   string
	Confidence string
	Looked     string
	Up         string
	Memory     string
	MemoryOf   string
	Limit      string
	Counters   []counter
	Evidence   []evidenceLine
	Rules      string // "5 rules"
	Drivers    []driverLine
	Restarts   []string
	Steps      []string
	ChartURL   string
	ImageURL   string
	Spans      []spanLink
	Alone      bool // on a page of its own

	Unconfirmed bool // one look so far says leak
}

// chartsShown bounds the charts of the memory page; processes beyond them, in the order of need, get a line.
const chartsShown = 24

func (w world) memory() view {
	v := view{Key: pageMemory, Heading: "Memory"}
	if n := w.processes.notice(w.clock); n != nil {
		v.Fragments = append(v.Fragments, fragment{ID: "notice-watch", Class: "wide", Template: "notice-box", Data: n})
	}
	all := worstFirst(w.processes.Value, w.clock.Now)
	for i, p := range all {
		if i == chartsShown {
			d := processesData{}
			for _, p := range all[i:] {
				d.Lines = append(d.Lines, w.processLine(p))
			}
			v.Fragments = append(v.Fragments, fragment{ID: "rest", Class: "wide", Template: "process-lines", Data: d})
			break
		}
		d := w.newProcess(p, w.spanFor(p))
		v.Fragments = append(v.Fragments, fragment{ID: d.ID, Class: "card", Template: "process", Data: d})
	}
	if len(all) == 0 && w.processes.Err == nil {
		v.Fragments = append(v.Fragments, fragment{ID: "none", Class: "wide", Template: "empty", Data: "No process is watched yet."})
	}
	return v
}

// process is the page of one process. It reports false only when it is known that there is no such process.
func (w world) process(id, spanName string) (view, bool) {
	i := slices.IndexFunc(w.processes.Value, func(p watch.Process) bool { return p.ID == id })
	n := w.processes.notice(w.clock)
	if i < 0 && n == nil {
		return view{}, false
	}
	v := view{Key: pageProcess, Heading: "Process"}
	if n != nil {
		v.Fragments = append(v.Fragments, fragment{ID: "notice-watch", Class: "wide", Template: "notice-box", Data: n})
	}
	if i < 0 {
		return v, true
	}
	p := w.processes.Value[i]
	if _, err := parseSpan(spanName); err != nil || spanName == "" {
		spanName = w.spanFor(p)
	}
	d := w.newProcess(p, spanName)
	d.Alone = true
	for _, name := range spanNames {
		d.Spans = append(d.Spans, spanLink{name, d.Link + "?span=" + name, name == spanName})
	}
	v.Heading = p.Name
	v.Fragments = append(v.Fragments, fragment{ID: d.ID, Class: "card wide", Template: "process", Data: d})
	return v, true
}

func (w world) newProcess(p watch.Process, spanName string) processData {
	escaped := url.PathEscape(p.ID)
	d := processData{Process: p, ID: anchor("process", p.ID), Link: "/memory/" + escaped, Tone: processTone(p, w.clock.Now),
		Verdict: verdictWord(p), Sentence: w.clock.Sentence(p.Finding), Memory: "–", Counters: counters(p.Values), Up: w.clock.Since(p.Started),
		ChartURL: "/api/processes/" + escaped + "/chart?span=" + spanName, ImageURL: "/memory/" + escaped + "/chart.svg?span=" + spanName}
	if value, of, ok := mainMemory(p); ok {
		d.Memory, d.MemoryOf = words.Size(value), counterName(of)
	}
	if !p.Looked.IsZero() {
		d.Looked = w.clock.Exact(p.Looked)
	}
	d.Unconfirmed = unconfirmed(p)
	if p.Finding != nil {
		d.addFinding(w.clock, p.Finding)
	}
	return d
}

func (d *processData) addFinding(c words.Clock, f *trend.Finding) {
	if f.Confidence > 0 {
		d.Confidence = confidence(f.Confidence)
	}
	if f.Limit != nil && f.Limit.Bytes > 0 {
		d.Limit = words.LimitSize(f.Limit.Bytes)
	}
	for _, e := range f.Evidence {
		d.Evidence = append(d.Evidence, evidenceLine{e.Rule, figure(e.Value), figure(e.Threshold), e.Text, e.Holds})
	}
	d.Rules = words.Plural(len(f.Evidence), "rule")
	for _, dr := range f.Drivers {
		d.Drivers = append(d.Drivers, driverLine{dr.Counter, fmt.Sprintf("%s (%s to %s)", words.Size(dr.BytesPerEvent), words.Size(dr.Low), words.Size(dr.High)), share(dr.Share), figure(dr.P)})
	}
	for _, t := range f.Restarts {
		d.Restarts = append(d.Restarts, c.Moment(t))
	}
	for _, s := range f.Steps {
		d.Steps = append(d.Steps, c.Moment(s.At)+": "+words.Size(s.Bytes))
	}
}

// spanFor is the shortest span that shows what the verdict is about: a day, or all of the growth where it took longer.
func (w world) spanFor(p watch.Process) string {
	if p.Finding == nil || p.Finding.Since == nil {
		return "24h"
	}
	age := w.clock.Now.Sub(*p.Finding.Since)
	for _, name := range spanNames[2:] {
		if d, err := parseSpan(name); err == nil && d >= age {
			return name
		}
	}
	return "all"
}

// confidence says a probability in percent, and never that it is certain.
func confidence(p float64) string {
	if p >= 0.99 {
		return strconv.FormatFloat(math.Min(math.Floor(p*1000)/10, 99.9), 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(p*100, 'f', 0, 64) + " %"
}

// worstFirst orders processes by need: those that grow, then what cannot be read, then by memory; ended ones last.
func worstFirst(all []watch.Process, now time.Time) []watch.Process {
	rank := func(p watch.Process) int {
		if p.Gone {
			return 100
		}
		return toneRank(processTone(p, now))
	}
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b watch.Process) int {
		ma, _, _ := mainMemory(a)
		mb, _, _ := mainMemory(b)
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(mb, ma), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func verdictWord(p watch.Process) string {
	switch {
	case p.Gone:
		return "ended"
	case p.Finding == nil:
		return "no verdict yet"
	}
	return string(p.Finding.Verdict)
}

// mainMemory is the counter that stands for what a process holds: the one its verdict was read from, or the best there is.
func mainMemory(p watch.Process) (value float64, name string, ok bool) {
	names := []string{"private", "pss", "rss"}
	if p.Finding != nil {
		names = append([]string{p.Finding.Counter}, names...)
	}
	for _, name := range names {
		if v, found := p.Values[name]; found {
			return v, name, true
		}
	}
	return 0, "", false
}

// counterName says a sampler's counter in words; a name that is not known stays as it is.
func counterName(name string) string {
	switch name {
	case "rss":
		return "resident"
	case "pss":
		return "proportional (PSS)"
	case "private":
		return "private"
	case "fds":
		return "descriptors"
	case "cpu_seconds":
		return "processor time"
	}
	return strings.ReplaceAll(name, "_", " ")
}

// counters lists the newest sample: memory first, then counts, each in its unit.
func counters(values map[string]float64) []counter {
	order := []string{"private", "pss", "rss", "virtual", "swap", "heap_in_use", "heap_released", "goroutines", "threads", "fds", "cpu_seconds", "cgroup_current", "cgroup_limit", "cgroup_swap"}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	place := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b)) })
	out := make([]counter, 0, len(names))
	for _, name := range names {
		out = append(out, counter{counterName(name), counterValue(name, values[name])})
	}
	return out
}

func counterValue(name string, v float64) string {
	switch name {
	case "cpu_seconds":
		if d := time.Duration(v * float64(time.Second)); d >= time.Minute {
			return words.Span(d)
		}
		return strconv.FormatFloat(v, 'f', 1, 64) + " s"
	case "private", "pss", "rss", "virtual", "swap", "heap_in_use", "heap_released", "cgroup_current", "cgroup_swap":
		return words.Size(v)
	case "cgroup_limit":
		return words.LimitSize(v)
	}
	if v >= 0 && v == math.Trunc(v) && v < 1<<53 {
		return words.Number(uint64(v))
	}
	return figure(v)
}

// figure says a number in three digits.
func figure(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

// spanNames are the spans that a process's page offers.
var spanNames = []string{"1h", "6h", "24h", "7d", "30d", "all"}

var errSpan = errors.New("span is a duration such as 6h or 7d, or all")

// parseSpan reads "6h", "7d" or "all"; the empty string and "all" are 0.
func parseSpan(s string) (time.Duration, error) {
	if s == "" || s == "all" {
		return 0, nil
	}
	if n := len(s) - 1; s[n] == 'd' {
		days, err := strconv.ParseUint(s[:n], 10, 16)
		if err != nil || days == 0 {
			return 0, errSpan
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, errSpan
	}
	return d, nil
}

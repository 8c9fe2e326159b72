package analyze

import (
	"fmt"
	"math"
	"slices"
	"time"

	"gatehouse/internal/memory/trend"
)

// host is what all logs say of one machine.
type host struct {
	name  string
	logs  []*log
	parts []part // beside logs
	loc   *time.Location

	trackers []*tracker // in the order of the logs' columns
	byName   map[string]*tracker

	loads       []trend.Series
	inUse       map[string]trend.Series // by process name, where only one process has it
	commitLimit float64                 // 0 when not known
}

// part is a host's share of a log: its slots by the tracker that follows them.
type part struct {
	groups  []group
	names   []string // of all the log's slots, with #N
	lastPID []int    // of all the log's slots
}

type group struct {
	tracker *tracker
	slots   []int
}

// hosts sorts the logs' columns by machine, in the order in which they appear.
func hosts(logs []*log) []*host {
	var all []*host
	byName := map[string]*host{}
	get := func(name string, l *log) *host {
		h, ok := byName[fold(name)]
		if !ok {
			h = &host{name: name, byName: map[string]*tracker{}, loc: l.loc, inUse: map[string]trend.Series{}}
			byName[fold(name)] = h
			all = append(all, h)
		}
		return h
	}
	for _, l := range logs {
		for _, s := range l.wanted.slots {
			get(s.host, l)
		}
		for _, o := range l.wanted.asked {
			get(o.host, l)
		}
	}
	for _, h := range all {
		for _, l := range logs {
			h.join(l)
		}
		h.track()
		h.others()
	}
	return all
}

// join takes the log's columns that tell of the host.
func (h *host) join(l *log) {
	p := part{names: make([]string, len(l.wanted.slots)), lastPID: make([]int, len(l.wanted.slots))}
	groups := map[*tracker]int{}
	for i, s := range l.wanted.slots {
		if fold(s.host) != fold(h.name) {
			continue
		}
		p.names[i] = s.instance()
		t, ok := h.byName[fold(s.name)]
		if !ok {
			t = newTracker(s.name)
			h.byName[fold(s.name)] = t
			h.trackers = append(h.trackers, t)
		}
		g, ok := groups[t]
		if !ok {
			g = len(p.groups)
			groups[t] = g
			p.groups = append(p.groups, group{tracker: t})
		}
		p.groups[g].slots = append(p.groups[g].slots, i)
	}
	h.logs = append(h.logs, l)
	h.parts = append(h.parts, p)
}

// track follows the host's processes through the rows of all logs in the order of time.
func (h *host) track() {
	type place struct {
		at       int64
		log, row int
	}
	var rows []place
	for i, l := range h.logs {
		if len(h.parts[i].groups) == 0 {
			continue
		}
		for row, at := range l.store.times {
			rows = append(rows, place{at, i, row})
		}
	}
	slices.SortStableFunc(rows, func(a, b place) int { return int(min(max(a.at-b.at, -1), 1)) })
	var buffer []sighting
	for number, r := range rows {
		p := &h.parts[r.log]
		for _, g := range p.groups {
			buffer = buffer[:0]
			for _, slot := range g.slots {
				if s, ok := h.sight(r.log, slot, r.row); ok {
					buffer = append(buffer, s)
				}
			}
			if len(buffer) > 0 {
				g.tracker.row(number+1, buffer, func(slot int) string { return p.names[slot] })
			}
		}
	}
}

// sight reads who stands in a slot in a row; it is not ok when nobody does. Memory of zero under no id is nobody.
func (h *host) sight(log, slot, row int) (sighting, bool) {
	l := h.logs[log]
	c := &l.wanted.slots[slot]
	values := l.store.at(row)
	get := func(column int) float64 {
		if column == absent {
			return math.NaN()
		}
		return values[column]
	}
	s := sighting{log: log, slot: slot, row: row, at: l.store.times[row], pid: c.pid,
		memory: values[c.memory], virtual: get(c.virtual), elapsed: get(c.elapsed)}
	if math.IsNaN(s.memory) {
		return s, false
	}
	if c.pid == 0 && c.id != absent {
		last := &h.parts[log].lastPID[slot]
		if id := values[c.id]; !math.IsNaN(id) {
			*last = int(id + 0.5)
		}
		s.pid = *last
	}
	return s, s.pid != 0 || s.memory != 0
}

// others reads what the host's processes share: loads, heaps by name, the commit limit.
func (h *host) others() {
	for _, l := range rankLoads(h.measureLoads(), loadsJudged) {
		s := h.merge(l.path, func(w *wanted) []other { return w.loads })
		s.Name = l.path
		h.loads = append(h.loads, s)
	}
	heaps := map[string][]other{} // by process name, each path once
	for _, l := range h.logs {
		for _, o := range l.wanted.inUse {
			owner := heapOwner(o.name)
			known := slices.ContainsFunc(heaps[owner], func(k other) bool { return fold(k.path) == fold(o.path) })
			if fold(o.host) == fold(h.name) && !known {
				heaps[owner] = append(heaps[owner], o)
			}
		}
		for _, o := range l.wanted.commitLimits {
			if fold(o.host) == fold(h.name) {
				h.commitLimit = lastValue(l.store, o.column, h.commitLimit)
			}
		}
	}
	for owner, all := range heaps {
		if len(all) > 1 {
			continue
		}
		s := h.merge(all[0].path, func(w *wanted) []other { return w.inUse })
		s.Name = all[0].counter
		h.inUse[owner] = s
	}
}

// measureLoads finds how each of the host's loads ranks, over all logs that have it.
func (h *host) measureLoads() []load {
	all := map[string]*moments{}
	var first []other // each path once, in the order of the logs
	for _, l := range h.logs {
		for _, o := range l.wanted.loads {
			if fold(o.host) != fold(h.name) {
				continue
			}
			m, ok := all[fold(o.path)]
			if !ok {
				m = &moments{}
				all[fold(o.path)] = m
				first = append(first, o)
			}
			for row := range l.store.times {
				m.add(l.store.value(row, o.column))
			}
		}
	}
	loads := make([]load, 0, len(first))
	for _, o := range first {
		loads = append(loads, all[fold(o.path)].rank(o.path, o.class))
	}
	return loads
}

// heapOwner is the process that an instance of a heap counter belongs to: its name without #N.
func heapOwner(instance string) string {
	for i := len(instance) - 1; i > 0; i-- {
		if instance[i] == '#' {
			return fold(instance[:i])
		}
		if instance[i] < '0' || instance[i] > '9' {
			break
		}
	}
	return fold(instance)
}

func lastValue(s *store, column int, otherwise float64) float64 {
	for row := len(s.times) - 1; row >= 0; row-- {
		if v := s.value(row, column); !math.IsNaN(v) {
			return v
		}
	}
	return otherwise
}

// merge reads the series of one path from all logs.
func (h *host) merge(path string, of func(*wanted) []other) trend.Series {
	var p points
	for _, l := range h.logs {
		for _, o := range of(l.wanted) {
			if fold(o.path) != fold(path) {
				continue
			}
			for row := range l.store.times {
				p.add(l.store.times[row], l.store.value(row, o.column))
			}
			break
		}
	}
	return p.series(h.loc)
}

// livesJudged is by how many of its lives a process is judged at most: each is a segment of its own to the judge, whose work grows
// faster than their number, and what is started that often lives too short to fail of a leak.
const livesJudged = 50

// subjects lists what is to be judged, with notes on how processes were told apart.
func (h *host) subjects(opt Options) ([]subject, []string) {
	var out []subject
	var c census
	var notes []string
	for _, t := range h.trackers {
		processes := t.processes()
		for _, lives := range processes {
			if n := len(lives); n > livesJudged {
				notes = append(notes, fmt.Sprintf("%s was started %d times; it is judged by the last %d", t.name, n, livesJudged))
				lives = lives[n-livesJudged:]
			}
			out = append(out, newSubject(h, t, lives, len(processes)))
		}
		c.count(t, len(processes))
	}
	seen := map[string]bool{}
	for _, l := range h.logs {
		for _, o := range l.wanted.asked {
			if fold(o.host) == fold(h.name) && !seen[fold(o.path)] && (opt.Process == "" || glob(opt.Process, o.name)) {
				seen[fold(o.path)] = true
				out = append(out, subject{host: h, name: o.name, asked: o})
			}
		}
	}
	return out, append(notes, c.notes()...)
}

// census counts how processes without ids were told apart.
type census struct {
	names, processes, moved int
	byElapsed, byMemory     bool
}

func (c *census) count(t *tracker, processes int) {
	if processes < 2 || !t.byElapsed && !t.byMemory {
		return
	}
	c.names++
	c.processes += processes
	c.moved += t.moved
	c.byElapsed = c.byElapsed || t.byElapsed
	c.byMemory = c.byMemory || t.byMemory
}

func (c *census) notes() []string {
	if c.names == 0 {
		return nil
	}
	by := "the order of the list and how their memory goes on, which may err"
	switch {
	case c.byElapsed && c.byMemory:
		by = "Elapsed Time where the log has it, else by " + by
	case c.byElapsed:
		by = "Elapsed Time"
	}
	note := fmt.Sprintf("the log has no process ids (ID Process): %d processes that share %s were told apart by %s", c.processes, plural(c.names, "name"), by)
	if c.moved > 0 {
		note += fmt.Sprintf("; %s a number passed to another process", plural(c.moved, "time"))
	}
	return []string{note}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

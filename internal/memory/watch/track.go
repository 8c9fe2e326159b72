package watch

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/series"
	"gatehouse/internal/memory/trend"
)

// maxGenerations bounds how many processes one after the other count as one.
const maxGenerations = 64

// keepHours is how long a process that has ended is still shown, in Options.Hour.
const keepHours = 24

// generation is one of the processes that, one after the other, are one track.
type generation struct {
	PID     int       `json:"pid"`
	Key     string    `json:"key"`
	Started time.Time `json:"started"`
	First   time.Time `json:"first"` // the first sample and the last
	Last    time.Time `json:"last"`
}

// track is one watched process, through its restarts. The Watch's mutex guards it, but for what the sampler alone uses.
type track struct {
	name        string
	selector    string // the selector's name; empty for an own worker
	worker      string // the role; empty for a selected process
	limit       float64
	generations []generation // oldest first; the last is process
	process     procmem.Process
	values      procmem.Values // the newest known of each counter
	fresh       procmem.Values // what this round has read
	sampled     time.Time
	gone        bool
	goneAt      time.Time
	failure     string
	memoryNote  string // what is not known of its memory, and why
	pageNote    string // why its page is not read

	finding   *trend.Finding
	curves    trend.Curves
	looked    time.Time
	nextLook  time.Time
	streak    int // looks in a row that said leak; below zero, that said otherwise
	confirmed bool

	// The sampler's own.
	handles    []*series.Handle // by counter, for this generation
	known      bool             // process was looked up by this Watch, not only remembered
	detailNext time.Time
	detailCost time.Duration
	pprofNext  time.Time
}

// id names the process of one generation in addresses: letters, digits, dots and dashes.
func (t *track) id(g generation) string {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.':
			return r
		}
		return '-'
	}, t.name)
	return slug + "-" + strconv.Itoa(g.PID) + "-" + g.Key
}

func (t *track) current() *generation { return &t.generations[len(t.generations)-1] }

// follow makes p the track's process: the same with fresh facts, or its next generation.
func (t *track) follow(p procmem.Process, now time.Time) {
	same := len(t.generations) > 0 && t.process.Same(p)
	t.process, t.known = p, true
	t.gone, t.failure = false, ""
	if same {
		return
	}
	t.values = procmem.Values{}
	t.handles, t.detailNext, t.detailCost, t.pprofNext = nil, time.Time{}, 0, time.Time{}
	t.memoryNote, t.pageNote = "", ""
	t.generations = append(t.generations, generation{PID: p.PID, Key: p.Key, Started: p.Started, First: now, Last: now})
	if over := len(t.generations) - maxGenerations; over > 0 {
		t.generations = slices.Delete(t.generations, 0, over)
	}
}

// end notes that the process has ended.
func (t *track) end(now time.Time) {
	t.gone, t.goneAt = true, now
	t.failure = ""
}

// forgetBefore drops generations that ended before the window of the verdict. The last one stays.
func (t *track) forgetBefore(then time.Time) {
	last := *t.current()
	t.generations = slices.DeleteFunc(t.generations, func(g generation) bool { return g.Last.Before(then) && g != last })
}

func (t *track) note() string {
	if t.memoryNote != "" && t.pageNote != "" {
		return t.memoryNote + "; " + t.pageNote
	}
	return t.memoryNote + t.pageNote
}

func (t *track) snapshot() Process {
	return Process{
		ID: t.id(*t.current()), Name: t.name, PID: t.process.PID, Started: t.process.Started, Worker: t.worker, Gone: t.gone,
		Error: t.failure, Note: t.note(), Values: t.values.Map(), Sampled: t.sampled, Finding: t.finding, Looked: t.looked,
		Confirmed: t.confirmed,
	}
}

// counter is what the verdict is read from: the most exact that can be read of the process.
func (t *track) counter() procmem.Counter {
	for _, c := range []procmem.Counter{procmem.Private, procmem.PSS} {
		if _, ok := t.values.Get(c); ok {
			return c
		}
	}
	return procmem.RSS
}

// limitBytes is the size at which the process fails, 0 when that is not known.
func (t *track) limitBytes() float64 {
	if t.limit > 0 {
		return t.limit
	}
	limit, _ := t.values.Get(procmem.CgroupLimit)
	return limit
}

// handle names the series of a counter of the current generation.
func (t *track) handle(c procmem.Counter) *series.Handle {
	if t.handles == nil {
		t.handles = make([]*series.Handle, len(procmem.All()))
	}
	if t.handles[c] == nil {
		t.handles[c] = series.NewHandle(metric(c), map[string]string{
			labelProcess: t.name, labelPID: strconv.Itoa(t.process.PID), labelStart: t.process.Key, labelWorker: t.worker,
		})
	}
	return t.handles[c]
}

// Processes lists every watched process by name and pid, those that have ended last. The Findings are shared and must
// not be changed.
func (w *Watch) Processes() []Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]Process, 0, len(w.tracks))
	for _, t := range w.tracks {
		all = append(all, t.snapshot())
	}
	slices.SortFunc(all, func(a, b Process) int {
		if a.Gone != b.Gone {
			if a.Gone {
				return 1
			}
			return -1
		}
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.PID - b.PID
	})
	return all
}

package analyze

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// How many loads are looked at. Of a log with thousands of columns these are held: first the counters of services (objects
// that are none of the system's own), then totals of the system's network, then the rest of its network. Of those held, each
// process is judged beside its own processor time and the loadsJudged best: services first, then by how much of the log
// they cover, in quarters, then by how much they vary (standard deviation by mean).
const (
	loadsHeld   = 64
	loadsJudged = 10
)

const (
	classService = iota
	classTotal
	classInstance
)

// networks are the system's objects that tell of activity from outside.
var networks = map[string]bool{"network interface": true, "network adapter": true, "tcpv4": true, "tcpv6": true, "udpv4": true, "udpv6": true, "ipv4": true, "ipv6": true}

// ownObjects tell of the machine or of memory itself, and are no activity that could drive a process.
var ownObjects = map[string]bool{
	"memory": true, "paging file": true, "cache": true, "objects": true, "system": true, "processor": true, "processor information": true,
	"processor performance": true, "physicaldisk": true, "logicaldisk": true, "thread": true, "heap": true, "gpu engine": true, "gpu process memory": true,
	"gpu adapter memory": true, "numa node memory": true, "synchronization": true, "synchronizationnuma": true, "energy meter": true, "power meter": true,
	"thermal zone information": true, "event tracing for windows": true, "event tracing for windows session": true, "job object details": true,
	"process address space usage": true, "physical network interface card activity": true, "storage spaces tier": true, "file system disk activity": true,
}

// activityWords mark counters of a level that memory may follow, beside rates.
var activityWords = []string{"session", "connection", "request", "user", "client", "logon", "login", "subscriber", "job", "mailbox"}

// rateEndings mark counters of events a second, in the languages of the names that perflog knows.
var rateEndings = []string{"/sec", "/s", "/с", "/сек", "в сек", "/sek.", "/sek", "par seconde", "por segundo", "毎秒", "/秒", "persec"}

// activity reports whether a counter looks like activity, and how likely it is to matter.
func activity(object, counter string) (class int, ok bool) {
	object, counter = strings.ToLower(object), strings.ToLower(counter)
	if ownObjects[object] || strings.HasPrefix(object, ".net clr ") || strings.HasPrefix(counter, "%") {
		return 0, false
	}
	rate := slices.ContainsFunc(rateEndings, func(end string) bool { return strings.HasSuffix(counter, end) })
	level := slices.ContainsFunc(activityWords, func(word string) bool { return strings.Contains(counter, word) })
	for _, no := range []string{"bytes", "peak", "maximum", "limit", "average", "avg"} { // sizes, and numbers that only sum up others
		level = level && !strings.Contains(counter, no)
	}
	switch {
	case !rate && !level:
		return 0, false
	case !networks[object]:
		return classService, true
	case strings.Contains(counter, "total") || strings.HasPrefix(object, "tcp"):
		return classTotal, true
	}
	return classInstance, true
}

// load is an activity and how it ranks.
type load struct {
	path      string // as the log has it
	class     int
	coverage  int     // quarters of the rows that have a value
	variation float64 // standard deviation by mean
}

// rankLoads returns the best loads, at most n. A constant, or one that is mostly missing, explains nothing and is left out.
func rankLoads(loads []load, n int) []load {
	loads = slices.DeleteFunc(loads, func(l load) bool { return l.coverage < 2 || l.variation == 0 })
	slices.SortStableFunc(loads, func(a, b load) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(b.coverage, a.coverage), cmp.Compare(b.variation, a.variation))
	})
	return loads[:min(n, len(loads))]
}

// moments adds up a series without holding it (Welford 1962).
type moments struct {
	rows, values int
	mean, m2     float64
}

// add takes a row's value, NaN where it has none.
func (m *moments) add(v float64) {
	m.rows++
	if math.IsNaN(v) {
		return
	}
	m.values++
	d := v - m.mean
	m.mean += d / float64(m.values)
	m.m2 += d * (v - m.mean)
}

// rank sums up what was added.
func (m *moments) rank(path string, class int) load {
	l := load{path: path, class: class}
	if m.rows > 0 {
		l.coverage = 4 * m.values / m.rows
	}
	if m.values > 1 && m.mean != 0 {
		l.variation = math.Sqrt(m.m2/float64(m.values-1)) / math.Abs(m.mean)
	}
	return l
}

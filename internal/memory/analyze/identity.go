package analyze

import (
	"math"
	"slices"
	"strings"
	"time"
)

// life is one process from its first sample to its last: stretches of rows in the slots where it stood.
type life struct {
	name  string // as the log has it at the last sample, with #N
	pid   int    // 0 when the log does not say
	runs  []run
	first int64 // Unix nanoseconds
	last  int64
	reset bool // known to be a new process under the name, not only one that was not seen before

	seen                     int // number of the row, in the host's order, that it was seen in last
	memory, virtual, elapsed float64
}

// run is a stretch of rows of one log in which a process stands in one slot.
type run struct {
	log, slot, from, to int // rows from and to, both included
}

// sighting is a process in one slot in one row.
type sighting struct {
	log, slot, row int
	at             int64
	pid            int // 0 when the log does not say
	memory         float64
	virtual        float64
	elapsed        float64 // seconds since the process started
}

// elapsedSlack is by how much Elapsed Time may go on differently from the log's clock: both are read one after the other.
const elapsedSlack = 5.0

// startsAnew reports whether Elapsed Time says that this is another process than the life's: it ran for less time than the
// life had, or it started after the life was seen last.
func (l *life) startsAnew(s sighting) bool {
	if math.IsNaN(l.elapsed) || math.IsNaN(s.elapsed) {
		return false
	}
	went := time.Duration(s.at - l.last).Seconds()
	return s.elapsed+elapsedSlack < max(l.elapsed, went)
}

// take adds a sighting.
func (l *life) take(s sighting, instance string, seen int) {
	if n := len(l.runs) - 1; n >= 0 && l.runs[n].log == s.log && l.runs[n].slot == s.slot && l.runs[n].to < s.row {
		l.runs[n].to = s.row
	} else {
		l.runs = append(l.runs, run{s.log, s.slot, s.row, s.row})
	}
	if l.first == 0 {
		l.first = s.at
	}
	l.name, l.last, l.seen = instance, s.at, seen
	l.memory, l.virtual, l.elapsed = s.memory, s.virtual, s.elapsed
}

// tracker follows the processes of one name on one host, row by row.
type tracker struct {
	name  string
	lives []*life

	byPID  map[int]*life
	active []*life // those without a known id, in the order of the log's list
	gone   []*life // those that left active in the last rows

	byElapsed bool // whether Elapsed Time told processes apart
	byMemory  bool // whether nothing but the course of memory did
	moved     int  // how many times a number was taken over by another process
}

func newTracker(name string) *tracker { return &tracker{name: name, byPID: map[int]*life{}} }

// row takes all processes of the name that one row shows, in the order of the log's list. The number of the row counts up.
func (t *tracker) row(number int, sightings []sighting, instance func(slot int) string) {
	var unnamed []sighting
	for _, s := range sightings {
		if s.pid > 0 {
			t.known(number, s, instance(s.slot))
		} else {
			unnamed = append(unnamed, s)
		}
	}
	if len(unnamed) > 0 {
		t.follow(number, unnamed, instance)
	}
}

// known takes a process whose id the log says. A process that the same row has shown already is passed over.
func (t *tracker) known(number int, s sighting, instance string) {
	l := t.byPID[s.pid]
	if l != nil && l.seen == number {
		return
	}
	if l == nil || l.startsAnew(s) {
		l = t.born(l != nil)
		l.pid = s.pid
		t.byPID[s.pid] = l
	}
	l.take(s, instance, number)
}

func (t *tracker) born(reset bool) *life {
	l := &life{name: t.name, reset: reset}
	t.lives = append(t.lives, l)
	return l
}

// forget is after how many rows a process that is not seen any more is not looked for.
const forget = 3

// follow takes processes without ids: it finds which of those of the row before each one is.
func (t *tracker) follow(number int, row []sighting, instance func(slot int) string) {
	t.gone = slices.DeleteFunc(t.gone, func(l *life) bool { return number-l.seen > forget })
	match := t.align(row)
	before := t.active
	t.active = make([]*life, len(row))
	for i, s := range row {
		l := match[i]
		if l == nil {
			l = t.revive(s)
		}
		if l == nil {
			l = t.born(len(before) == 1 && len(row) == 1 && before[0].startsAnew(s))
		}
		if n := len(l.runs); n > 0 && l.runs[n-1].log == s.log && l.runs[n-1].slot != s.slot {
			t.moved++
		}
		l.take(s, instance(s.slot), number)
		t.active[i] = l
	}
	for _, l := range before {
		if !slices.Contains(t.active, l) {
			t.gone = append(t.gone, l)
		}
	}
}

// revive finds a process that was missing from the last rows only.
func (t *tracker) revive(s sighting) *life {
	for i, l := range t.gone {
		if unlike(l, s) < sameLevel {
			t.gone = slices.Delete(t.gone, i, i+1)
			return l
		}
	}
	return nil
}

// What it costs to believe things when columns are matched, in units of the logarithm of memory's change: that a process
// ended or began where another would do costs as much as a change by half or double, so one process's memory may go up
// or down fourfold between two rows before it is taken for another's.
const (
	birthCost   = math.Ln2
	sameLevel   = 0.02 // as good as unchanged
	plainChange = 0.1  // no reason to look for another match
)

// small is added to sizes before they are compared: small processes may double without meaning anything.
const small = 1 << 20

// unlike says how unlikely it is that the sighting is the life going on: 0 is certain, +Inf is impossible.
func unlike(l *life, s sighting) float64 {
	if !math.IsNaN(l.elapsed) && !math.IsNaN(s.elapsed) {
		went := time.Duration(s.at - l.last).Seconds()
		if math.Abs(s.elapsed-l.elapsed-went) <= elapsedSlack+0.01*went {
			return 0
		}
		return math.Inf(1)
	}
	cost := change(l.memory, s.memory)
	if v := change(l.virtual, s.virtual); !math.IsNaN(v) {
		cost += v
	}
	return cost
}

func change(a, b float64) float64 { return math.Abs(math.Log((b + small) / (a + small))) }

// align finds for each process of a row which active one it is, nil for a new one. The log's list keeps its order when a
// process leaves it or joins it, so the match does not cross; of all such matches it takes the cheapest.
func (t *tracker) align(row []sighting) []*life {
	t.byElapsed = t.byElapsed || !math.IsNaN(row[0].elapsed)
	t.byMemory = t.byMemory || math.IsNaN(row[0].elapsed)
	match := make([]*life, len(row))
	if len(row) == len(t.active) {
		if len(row) == 1 { // a single process goes on unless Elapsed Time denies it; a jump is for trend to judge
			if !t.active[0].startsAnew(row[0]) {
				match[0] = t.active[0]
			}
			return match
		}
		plain := true
		for i, s := range row {
			match[i] = t.active[i]
			plain = plain && unlike(t.active[i], s) < plainChange
		}
		if plain {
			return match
		}
		clear(match)
	}
	cost, n := t.costs(row), len(row)
	for a, r := len(t.active), n; a > 0 && r > 0; {
		switch cost[a*(n+1)+r] {
		case cost[(a-1)*(n+1)+r] + birthCost:
			a--
		case cost[a*(n+1)+r-1] + birthCost:
			r--
		default:
			a, r = a-1, r-1
			match[r] = t.active[a]
		}
	}
	return match
}

// costs is the table of a sequence alignment (Needleman and Wunsch 1970) of the active processes with a row.
func (t *tracker) costs(row []sighting) []float64 {
	width := len(row) + 1
	cost := make([]float64, (len(t.active)+1)*width)
	for a := range len(t.active) + 1 {
		for r := range width {
			here := math.Inf(1)
			if a == 0 && r == 0 {
				here = 0
			}
			if a > 0 {
				here = min(here, cost[(a-1)*width+r]+birthCost)
			}
			if r > 0 {
				here = min(here, cost[a*width+r-1]+birthCost)
			}
			if a > 0 && r > 0 {
				here = min(here, cost[(a-1)*width+r-1]+unlike(t.active[a-1], row[r-1]))
			}
			cost[a*width+r] = here
		}
	}
	return cost
}

// processes puts the lives together: those that come one after the other are one process that was restarted, those that run
// at once are separate. A new process may start shortly before the old one ends, as when a worker is replaced.
func (t *tracker) processes() [][]*life {
	if len(t.lives) == 0 {
		return nil
	}
	lives := slices.Clone(t.lives)
	slices.SortStableFunc(lives, func(a, b *life) int { return int(min(max(a.first-b.first, -1), 1)) })
	for i, l := range lives[1:] {
		if overlap(lives[:i+1], l) {
			return each(lives)
		}
	}
	return [][]*life{lives}
}

func each(lives []*life) [][]*life {
	out := make([][]*life, len(lives))
	for i, l := range lives {
		out[i] = []*life{l}
	}
	return out
}

// overlapMost is how long a process and its successor may run side by side.
const overlapMost = 5 * time.Minute

// overlap reports whether next runs beside one of the lives for longer than a replacement takes: five minutes, and a tenth
// of the shorter of the two lives.
func overlap(before []*life, next *life) bool {
	for _, l := range before {
		both := min(l.last, next.last) - next.first
		shorter := min(l.last-l.first, next.last-next.first)
		if both >= 0 && (both > int64(overlapMost) || 10*both > shorter) {
			return true
		}
	}
	return false
}

// fold is the form in which hosts and names are compared.
func fold(s string) string { return strings.ToLower(s) }

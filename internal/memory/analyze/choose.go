package analyze

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/memory/perflog"
)

// absent stands for a column that the log does not have.
const absent = -1

// slot is one place in the log's list of processes: the columns that tell of the process which stands there at the moment.
// Columns are places in the store, or absent.
type slot struct {
	host, name string
	index      int // N of name#N
	repeat     int // how many slots before it have the same name and N
	pid        int // of the process when the name holds it, else 0

	memory, virtual, id, elapsed, cpu int
	counter                           string // the name of memory's counter as the log has it
	rank                              int    // of memory's counter, 0 is best
	virtualName                       string
	cpuPath                           string

	unknown     int    // counters whose names are in no known language
	unknownName string // one of them
}

// instance returns the slot's name as the log has it.
func (s *slot) instance() string {
	if s.index > 0 {
		return s.name + "#" + strconv.Itoa(s.index)
	}
	return s.name
}

// other is a column that is not a process's own.
type other struct {
	host, name string // name is the instance
	counter    string // the counter's name
	path       string // the whole path as the log has it
	column     int    // in the store
	class      int    // of a load, 0 is best
}

// wanted says which columns of a log are held, and what each is.
type wanted struct {
	columns      []int // places in the log, in the order of the store
	slots        []slot
	inUse        []other // heap in use, by process name
	loads        []other
	commitLimits []other
	asked        []other // counters that were asked for and are not a process's
	twins        int     // slots that repeat another, value by value
	unknown      int     // counters in no known language, of processes that have no known memory counter
	unknownName  string  // one of them
}

func (w *wanted) add(column int) int {
	w.columns = append(w.columns, column)
	return len(w.columns) - 1
}

// memoryRank orders the counters that a verdict can be read from.
func memoryRank(counter string) (int, bool) {
	for rank, name := range [...]string{perflog.PrivateBytes, perflog.WorkingSetPrivate, perflog.WorkingSet, perflog.VirtualBytes} {
		if counter == name {
			return rank, true
		}
	}
	return 0, false
}

// slotKey is what the columns of one slot have in common.
type slotKey struct {
	host, name    string
	index, repeat int
	second        bool // of the object Process V2
}

// choose finds among a log's columns those that the verdicts need.
func choose(columns []perflog.Column, opt Options) *wanted {
	w := &wanted{}
	c := chooser{wanted: w, opt: opt, slots: map[slotKey]int{}, objects: processObjects(columns)}
	c.pids = c.namesHoldPIDs(columns)
	for _, column := range columns {
		c.column(column)
	}
	c.finish()
	return w
}

// chooser sorts columns by what they are; columns of slots are places in the log until finish.
type chooser struct {
	wanted     *wanted
	opt        Options
	slots      map[slotKey]int
	objects    map[string]bool // folded names of the objects whose instances are processes
	pids       bool            // whether their names hold the id
	candidates []other
}

func (c *chooser) column(column perflog.Column) {
	w, p := c.wanted, column.Path
	asked := slices.ContainsFunc(c.opt.Counters, func(pattern string) bool { return glob(pattern, column.Raw) })
	object := perflog.EnglishObject(p.Object)
	switch {
	case column.Parsed && p.Instance != "" && c.objects[fold(p.Object)]:
		c.processColumn(column, asked)
	case asked:
		w.asked = append(w.asked, other{host: p.Host, name: seriesName(column), counter: counterName(column), path: column.Raw, column: w.add(column.Index)})
	case !column.Parsed:
	case isHeap(object, p.Counter):
		w.inUse = append(w.inUse, other{host: p.Host, name: p.InstanceName(), counter: p.Counter, path: column.Raw, column: w.add(column.Index)})
	case object == "Memory" && perflog.EnglishCounter(p.Counter) == "Commit Limit":
		w.commitLimits = append(w.commitLimits, other{host: p.Host, column: w.add(column.Index)})
	default:
		if class, ok := activity(object, p.Counter); ok {
			c.candidates = append(c.candidates, other{host: p.Host, name: p.Instance, counter: p.Counter, path: column.Raw, column: column.Index, class: class})
		}
	}
}

const secondProcess = "process v2"

// processObjects finds the objects whose instances are processes: those with a known name, and in other languages the
// one that has both the instances Idle and _Total, as no other object has.
func processObjects(columns []perflog.Column) map[string]bool {
	found := map[string]bool{}
	idle, total := map[string]bool{}, map[string]bool{}
	for _, column := range columns {
		object := fold(column.Path.Object)
		switch {
		case !column.Parsed || column.Path.Instance == "" || found[object]:
		case object == secondProcess, strings.EqualFold(perflog.EnglishObject(object), perflog.Process):
			found[object] = true
		case column.Path.Instance == "Idle" && column.Path.Parent == "":
			idle[object] = true
		case column.Path.Instance == "_Total" && column.Path.Parent == "":
			total[object] = true
		}
	}
	for object := range idle {
		if total[object] {
			found[object] = true
		}
	}
	return found
}

// isHeap reports whether a counter is what a process's program holds of its heap.
func isHeap(object, counter string) bool {
	return strings.EqualFold(object, "Heap") && strings.EqualFold(counter, "In Use Bytes") ||
		strings.EqualFold(object, ".NET CLR Memory") && strings.EqualFold(counter, "# Bytes in all Heaps")
}

func seriesName(column perflog.Column) string {
	switch {
	case !column.Parsed:
		return column.Raw
	case column.Path.Instance != "":
		return column.Path.InstanceName()
	}
	return column.Path.Object
}

func counterName(column perflog.Column) string {
	if !column.Parsed {
		return column.Raw
	}
	return column.Path.Counter
}

// processColumn takes a column of an instance of Process or Process V2.
func (c *chooser) processColumn(column perflog.Column, asked bool) {
	p := column.Path
	name := p.Instance
	if p.Parent != "" {
		name = p.Parent + "/" + name
	}
	second := fold(p.Object) == secondProcess
	name, pid := c.splitPID(name, second)
	if name == "_Total" || name == "Idle" {
		return
	}
	if c.opt.Process != "" && !glob(processPattern(c.opt.Process), name) && !glob(c.opt.Process, p.InstanceName()) {
		return
	}
	s := c.slot(slotKey{host: strings.ToLower(p.Host), name: strings.ToLower(p.Instance), index: p.Index, repeat: column.Repeat, second: second}, p, name, pid)
	counter := perflog.EnglishCounter(p.Counter)
	if rank, ok := memoryRank(counter); ok && len(c.opt.Counters) == 0 || asked {
		if s.memory == absent || rank < s.rank {
			s.memory, s.counter, s.rank = column.Index, p.Counter, rank
		}
	}
	switch counter {
	case perflog.VirtualBytes:
		s.virtual, s.virtualName = column.Index, p.Counter
	case perflog.IDProcess:
		s.id = column.Index
	case perflog.ElapsedTime:
		s.elapsed = column.Index
	case perflog.ProcessorTime:
		s.cpu, s.cpuPath = column.Index, column.Raw
	default:
		if foreign(counter) {
			s.unknown++
			s.unknownName = counter
		}
	}
}

// foreign reports whether a counter's name may be that of a memory counter in a language that the tables do not have.
func foreign(counter string) bool {
	if _, known := memoryRank(counter); known {
		return false
	}
	return strings.IndexFunc(counter, func(r rune) bool { return r >= 0x80 || r == '?' }) >= 0
}

// processPattern lets people write a program's name with its ending, which logs leave out.
func processPattern(pattern string) string {
	if n := len(pattern) - len(".exe"); n > 0 && strings.EqualFold(pattern[n:], ".exe") {
		return pattern[:n]
	}
	return pattern
}

func (c *chooser) slot(key slotKey, p perflog.Path, name string, pid int) *slot {
	i, ok := c.slots[key]
	if !ok {
		i = len(c.wanted.slots)
		c.slots[key] = i
		c.wanted.slots = append(c.wanted.slots, slot{host: p.Host, name: name, index: p.Index, repeat: key.repeat, pid: pid,
			memory: absent, virtual: absent, id: absent, elapsed: absent, cpu: absent})
	}
	return &c.wanted.slots[i]
}

// splitPID takes the process id off a name: "name:pid" of Process V2, "name_pid" where the machine was set to write that.
func (c *chooser) splitPID(name string, second bool) (string, int) {
	mark := "_"
	switch {
	case second:
		mark = ":"
	case !c.pids:
		return name, 0
	}
	i := strings.LastIndex(name, mark)
	if i <= 0 {
		return name, 0
	}
	pid, err := strconv.Atoi(name[i+1:])
	if err != nil || pid <= 0 {
		return name, 0
	}
	return name[:i], pid
}

// namesHoldPIDs reports whether the instances of Process are named name_pid (the registry's ProcessNameFormat): whether all
// but one in ten end so.
func (c *chooser) namesHoldPIDs(columns []perflog.Column) bool {
	with, all := 0, 0
	for _, column := range columns {
		p := column.Path
		if !column.Parsed || p.Instance == "" || p.Instance == "_Total" || p.Instance == "Idle" || !c.objects[fold(p.Object)] {
			continue
		}
		all++
		i := strings.LastIndexByte(p.Instance, '_')
		if i > 0 && p.Index == 0 {
			if pid, err := strconv.Atoi(p.Instance[i+1:]); err == nil && pid > 0 {
				with++
			}
		}
	}
	return all > 0 && float64(with) >= 0.9*float64(all)
}

// finish drops slots without a memory counter, puts the columns of the others into the store, and chooses the loads.
func (c *chooser) finish() {
	w := c.wanted
	kept := w.slots[:0]
	for _, s := range w.slots {
		if s.memory == absent {
			if s.unknown > 0 {
				w.unknown += s.unknown
				w.unknownName = s.unknownName
			}
			continue
		}
		for _, column := range []*int{&s.memory, &s.virtual, &s.id, &s.elapsed, &s.cpu} {
			if *column != absent {
				*column = w.add(*column)
			}
		}
		kept = append(kept, s)
	}
	w.slots = kept
	slices.SortStableFunc(w.slots, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.repeat, b.repeat))
	})
	slices.SortStableFunc(c.candidates, func(a, b other) int { return cmp.Compare(a.class, b.class) })
	for _, load := range c.candidates[:min(len(c.candidates), loadsHeld)] {
		load.column = w.add(load.column)
		w.loads = append(w.loads, load)
	}
}

package analyze

import (
	"math"
	"slices"
	"time"

	"gatehouse/internal/memory/perflog"
	"gatehouse/internal/memory/trend"
)

// subject is a process, or a counter that was asked for, that gets a finding.
type subject struct {
	host  *host
	name  string
	pid   int
	lives []*life // in the order of time; empty for a counter
	alone bool    // whether no other process has the name
	asked other   // the counter
}

func newSubject(h *host, t *tracker, lives []*life, processes int) subject {
	last := lives[len(lives)-1]
	s := subject{host: h, name: t.name, pid: last.pid, lives: lives, alone: processes == 1}
	if s.pid == 0 && !s.alone {
		s.name = last.name // nothing but the number tells them apart
	}
	return s
}

// input collects what is known of the subject.
func (s *subject) input(opt Options) trend.Input {
	in := trend.Input{Host: s.host.name, Process: s.name, PID: s.pid, Loads: slices.Clone(s.host.loads)}
	if len(s.lives) == 0 {
		in.Memory = s.host.merge(s.asked.path, func(w *wanted) []other { return w.asked })
		in.Memory.Name = s.asked.counter
	} else {
		s.readLives(&in)
	}
	in.LimitBytes, in.LimitOf = s.limit(&in, opt.Limit)
	return in
}

func (s *subject) readLives(in *trend.Input) {
	rank := math.MaxInt
	for _, l := range s.lives {
		for _, r := range l.runs {
			rank = min(rank, s.slot(r).rank)
		}
	}
	in.Memory = s.read(func(c *slot) (int, string) {
		if c.rank != rank {
			return absent, ""
		}
		return c.memory, c.counter
	})
	virtual := s.read(func(c *slot) (int, string) { return c.virtual, c.virtualName })
	if worst, _ := memoryRank(perflog.VirtualBytes); rank != worst && len(virtual.Times) > 0 {
		in.Virtual = &virtual
	}
	if heap, ok := s.host.inUse[fold(s.lives[0].name)]; ok && s.alone && len(heap.Times) > 0 {
		in.InUse = &heap
	}
	cpu := s.read(func(c *slot) (int, string) { return c.cpu, c.cpuPath })
	if 2*len(cpu.Times) > len(in.Memory.Times) {
		in.Loads = append(in.Loads, cpu)
	}
	for i, l := range s.lives[1:] {
		before := s.lives[i]
		if l.reset || l.pid != before.pid && l.pid != 0 && before.pid != 0 {
			in.Restarts = append(in.Restarts, time.Unix(0, l.first).In(s.host.loc))
		}
	}
}

func (s *subject) slot(r run) *slot { return &s.host.logs[r.log].wanted.slots[r.slot] }

// read collects one kind of column over all lives. A life is read until the next one begins.
func (s *subject) read(column func(*slot) (int, string)) trend.Series {
	var p points
	name := ""
	for i, l := range s.lives {
		until := int64(math.MaxInt64)
		if i+1 < len(s.lives) {
			until = s.lives[i+1].first
		}
		for _, r := range l.runs {
			c, n := column(s.slot(r))
			if c == absent {
				continue
			}
			name = n
			st := s.host.logs[r.log].store
			for row := r.from; row <= r.to && st.times[row] < until; row++ {
				p.add(st.times[row], st.value(row, c))
			}
		}
	}
	series := p.series(s.host.loc)
	series.Name = name
	return series
}

// leastLimit is the smallest commit limit that is believed.
const leastLimit = 64 << 20

// limit returns the size at which the process fails, and the counter that meets it. A given limit is met by Virtual Bytes
// where the log has them and they were not beyond it from the first: then it cannot be the address space's. Without one, the machine's
// commit limit bounds what the process may commit. A log does not say whether a process has a 32-bit address space.
func (s *subject) limit(in *trend.Input, given float64) (float64, string) {
	if given > 0 {
		if in.Virtual != nil && in.Virtual.Values[0] < given {
			return given, in.Virtual.Name
		}
		return given, in.Memory.Name
	}
	commit := s.host.commitLimit
	if len(in.Memory.Values) == 0 {
		return 0, ""
	}
	if perflog.EnglishCounter(in.Memory.Name) == perflog.PrivateBytes && commit >= leastLimit && commit > slices.Max(in.Memory.Values) {
		return commit, in.Memory.Name
	}
	return 0, ""
}

// points collects samples that may come from several logs.
type points struct {
	at     []int64
	values []float64
	mixed  bool // not in the order of time
}

// add takes a sample; NaN is none.
func (p *points) add(at int64, v float64) {
	if math.IsNaN(v) {
		return
	}
	if n := len(p.at); n > 0 && at <= p.at[n-1] {
		p.mixed = true
	}
	p.at = append(p.at, at)
	p.values = append(p.values, v)
}

// series returns the samples in the order of time; of two at the same time, the first that was added.
func (p *points) series(loc *time.Location) trend.Series {
	if p.mixed {
		p.order()
	}
	s := trend.Series{Times: make([]time.Time, len(p.at)), Values: p.values}
	for i, at := range p.at {
		s.Times[i] = time.Unix(0, at).In(loc)
	}
	return s
}

func (p *points) order() {
	index := make([]int, len(p.at))
	for i := range index {
		index[i] = i
	}
	slices.SortStableFunc(index, func(a, b int) int { return int(min(max(p.at[a]-p.at[b], -1), 1)) })
	at, values := make([]int64, 0, len(p.at)), make([]float64, 0, len(p.at))
	for _, i := range index {
		if n := len(at); n > 0 && at[n-1] == p.at[i] {
			continue
		}
		at, values = append(at, p.at[i]), append(values, p.values[i])
	}
	p.at, p.values = at, values
}

package procmem

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// limitAge is how long a group's limit is believed before the files on the way to the root are read again.
const limitAge = time.Minute

// groups finds and remembers control groups. One group is read once a round, however many processes it holds.
type groups struct {
	v1, v2 mount
	round  uint64
	now    time.Time
	known  map[string]*group
}

type group struct {
	round   uint64
	values  Values
	limitAt time.Time
	limit   float64
	limited bool
}

func (r *Reader) findGroups(o Options) groups {
	g := groups{known: make(map[string]*group)}
	if text, err := os.ReadFile(filepath.Join(r.root, "self/mountinfo")); err == nil {
		g.v1, g.v2 = parseMounts(text)
	}
	if o.CgroupV1 != "" {
		g.v1 = mount{root: "/", point: o.CgroupV1, v1: true}
	}
	if o.CgroupV2 != "" {
		g.v2 = mount{root: "/", point: o.CgroupV2}
	}
	return g
}

// Begin starts a round of reading at the given time: Group reads each control group once a round.
func (r *Reader) Begin(now time.Time) {
	g := &r.groups
	for key, one := range g.known {
		if one.round != g.round {
			delete(g.known, key)
		}
	}
	g.round++
	g.now = now
}

// Group sets what the process' memory control group says: CgroupCurrent, CgroupLimit, CgroupSwap and the events. Without
// such a group, or in the root, which has no figures, nothing is set.
func (r *Reader) Group(c Cgroup, v *Values) {
	if c.Memory == "" {
		return
	}
	m := r.groups.v2
	if c.V1 {
		m = r.groups.v1
	}
	folder, ok := m.folder(c.Memory)
	if !ok {
		return
	}
	one := r.groups.known[folder]
	if one == nil {
		one = &group{}
		r.groups.known[folder] = one
	}
	if one.round != r.groups.round || r.groups.round == 0 {
		one.round = r.groups.round
		r.readGroup(one, m, folder)
	}
	v.Merge(&one.values)
}

// folder is where the group's files are. A path outside the mounted part of the hierarchy (seen from within a
// namespace) has none.
func (m mount) folder(group string) (string, bool) {
	if m.point == "" || strings.Contains(group, "..") {
		return "", false
	}
	if m.root != "/" {
		if !below(group, m.root) {
			// In a namespace of its own a process' path counts from the namespace's root, as the mount does.
			if strings.HasPrefix(m.root, "/..") {
				return "", false
			}
		} else {
			group = strings.TrimPrefix(group, m.root)
		}
	}
	return filepath.Join(m.point, group), true
}

func (r *Reader) readGroup(one *group, m mount, folder string) {
	one.values = Values{}
	if r.groups.now.Sub(one.limitAt) >= limitAge || one.limitAt.IsZero() {
		one.limitAt = r.groups.now
		one.limit, one.limited = r.groupLimit(m, folder)
	}
	if one.limited {
		one.values.Set(CgroupLimit, one.limit)
	}
	if m.v1 {
		r.readGroupV1(&one.values, folder)
	} else {
		r.readGroupV2(&one.values, folder)
	}
}

// groupLimit is the lowest limit from the group up to the root of its hierarchy.
func (r *Reader) groupLimit(m mount, folder string) (lowest float64, ok bool) {
	file := "memory.max"
	if m.v1 {
		file = "memory.limit_in_bytes"
	}
	for at := folder; below(at, path.Clean(m.point)); at = path.Dir(at) {
		text, err := r.readFile(at+"/"+file, maxProcFile)
		if err != nil {
			continue // version 2's root has none
		}
		if n, limited := parseLimit(text); limited && (!ok || float64(n) < lowest) {
			lowest, ok = float64(n), true
		}
	}
	return lowest, ok
}

func (r *Reader) readNumber(file string) (float64, bool) {
	text, err := r.readFile(file, maxProcFile)
	if err != nil {
		return 0, false
	}
	n, ok := parseUint(bytes.TrimSpace(text))
	return float64(n), ok
}

func (r *Reader) readGroupV1(v *Values, folder string) {
	usage, ok := r.readNumber(folder + "/memory.usage_in_bytes")
	if ok {
		v.Set(CgroupCurrent, usage)
	}
	// Memory and swap together are accounted only where the kernel was started with swapaccount=1.
	if both, has := r.readNumber(folder + "/memory.memsw.usage_in_bytes"); ok && has {
		v.Set(CgroupSwap, max(0, both-usage))
	}
	if n, ok := r.readNumber(folder + "/memory.failcnt"); ok {
		v.Set(CgroupMaxEvents, n)
	}
	r.readEvents(v, folder+"/memory.oom_control")
}

func (r *Reader) readGroupV2(v *Values, folder string) {
	if n, ok := r.readNumber(folder + "/memory.current"); ok {
		v.Set(CgroupCurrent, n)
	}
	if n, ok := r.readNumber(folder + "/memory.swap.current"); ok {
		v.Set(CgroupSwap, n)
	}
	r.readEvents(v, folder+"/memory.events")
}

func (r *Reader) readEvents(v *Values, file string) {
	text, err := r.readFile(file, maxProcFile)
	if err != nil {
		return
	}
	parseEvents(text, func(key []byte, n uint64) {
		switch string(key) {
		case "oom_kill":
			v.Set(CgroupOOMKills, float64(n))
		case "high":
			v.Set(CgroupHighEvents, float64(n))
		case "max":
			v.Set(CgroupMaxEvents, float64(n))
		}
	})
}

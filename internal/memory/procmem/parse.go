package procmem

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
)

// The parsers below read proc(5) and the kernel's Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
// They take the text as it was read, keep no reference to it, and answer an error or nothing for text that is not so.

// userHZ is the unit of times in /proc/PID/stat. It is part of Linux' interface to programs, whatever the kernel's own.
const userHZ = 100

// stat is what is needed of /proc/PID/stat.
type stat struct {
	comm    string
	cpu     uint64 // user and system time in ticks
	threads uint64
	start   uint64 // ticks since boot
	vsize   uint64 // bytes
	rss     uint64 // pages
}

var errStat = errors.New("parse stat: too few fields")

// parseStat reads /proc/PID/stat. The name stands in brackets and may itself hold brackets and blanks; the last ") "
// ends it.
func parseStat(text []byte) (stat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, errors.New("parse stat: no name in brackets")
	}
	s := stat{comm: string(text[open+1 : end])}
	rest := text[end+1:]
	// Fields count from 3 (state) here; see proc_pid_stat(5).
	for n := 3; ; n++ {
		var field []byte
		field, rest = nextField(rest)
		if field == nil {
			return stat{}, errStat
		}
		value, ok := parseUint(field)
		if !ok && (n == 14 || n == 15 || n == 20 || n == 22 || n == 23 || n == 24) {
			return stat{}, fmt.Errorf("parse stat: field %d is not a number: %.20q", n, field)
		}
		switch n {
		case 14, 15:
			s.cpu += value
		case 20:
			s.threads = value
		case 22:
			s.start = value
		case 23:
			s.vsize = value
		case 24:
			s.rss = value
			return s, nil
		}
	}
}

func nextField(text []byte) (field, rest []byte) {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '\n') {
		text = text[1:]
	}
	if len(text) == 0 {
		return nil, nil
	}
	end := bytes.IndexAny(text, " \t\n")
	if end < 0 {
		return text, nil
	}
	return text[:end], text[end:]
}

// parseUint reads decimal digits without allocating. Anything else, or a number beyond 64 bits, is not ok.
func parseUint(text []byte) (uint64, bool) {
	if len(text) == 0 || len(text) > 20 {
		return 0, false
	}
	var n uint64
	for _, c := range text {
		d := uint64(c - '0')
		if c < '0' || c > '9' || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// parseSizes reads "Key: 123 kB" lines, as /proc/PID/status and smaps_rollup have them, into bytes by key. Lines of
// another form are passed over. want is called for each key and says where its bytes are to be added, or nil.
func parseSizes(text []byte, want func(key []byte) *uint64) (found int) {
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			continue
		}
		into := want(line[:colon])
		if into == nil {
			continue
		}
		field, rest := nextField(line[colon+1:])
		n, ok := parseUint(field)
		unit, _ := nextField(rest)
		if !ok || string(unit) != "kB" || n > math.MaxUint64>>10 {
			continue
		}
		*into += n << 10
		found++
	}
	return found
}

// parseSwap finds VmSwap in /proc/PID/status. Kernel threads have none.
func parseSwap(text []byte) (bytesSwapped uint64, ok bool) {
	found := parseSizes(text, func(key []byte) *uint64 {
		if string(key) == "VmSwap" {
			return &bytesSwapped
		}
		return nil
	})
	return bytesSwapped, found == 1
}

// rollup is what is needed of /proc/PID/smaps_rollup, in bytes.
type rollup struct {
	pss, private, swapPSS uint64
}

func parseRollup(text []byte) (rollup, error) {
	var r rollup
	var pss, private int
	parseSizes(text, func(key []byte) *uint64 {
		switch string(key) {
		case "Pss":
			pss++
			return &r.pss
		case "Private_Dirty", "Private_Hugetlb": // clean pages are a file's, and the kernel drops them at will
			private++
			return &r.private
		case "SwapPss":
			return &r.swapPSS
		}
		return nil
	})
	if pss == 0 || private == 0 {
		return rollup{}, errors.New("parse smaps_rollup: no Pss or no Private lines")
	}
	return r, nil
}

// parseCgroup reads /proc/PID/cgroup: lines of "hierarchy:controllers:path".
func parseCgroup(text []byte) Cgroup {
	var c Cgroup
	var unified string
	var hasUnified bool
	for line := range bytes.Lines(text) {
		parts := bytes.SplitN(bytes.TrimRight(line, "\n"), []byte(":"), 3)
		if len(parts) != 3 || len(parts[2]) == 0 || parts[2][0] != '/' {
			continue
		}
		path := string(parts[2])
		switch {
		case string(parts[0]) == "0" && len(parts[1]) == 0:
			unified, hasUnified = path, true
		case string(parts[1]) == "name=systemd":
			c.Unit = path
		case hasController(parts[1], "memory"):
			c.Memory, c.V1 = path, true
		}
	}
	if hasUnified && !c.V1 {
		c.Memory = unified
	}
	// In the hybrid layout systemd keeps its units in both; where only the unified tree has a real path, that one counts.
	if c.Unit == "" || (c.Unit == "/" && hasUnified) {
		c.Unit = unified
	}
	return c
}

func hasController(list []byte, name string) bool {
	for len(list) > 0 {
		one, rest, _ := bytes.Cut(list, []byte(","))
		if string(one) == name {
			return true
		}
		list = rest
	}
	return false
}

// parseEvents reads "key value" lines, as memory.events and memory.oom_control have them.
func parseEvents(text []byte, want func(key []byte, value uint64)) {
	for line := range bytes.Lines(text) {
		key, rest := nextField(line)
		field, _ := nextField(rest)
		if n, ok := parseUint(field); ok {
			want(key, n)
		}
	}
}

// parseLimit reads a limit in bytes. "max" and version 1's page-rounded largest number mean none.
func parseLimit(text []byte) (limit uint64, ok bool) {
	n, ok := parseUint(bytes.TrimSpace(text))
	if !ok || n >= math.MaxInt64>>12<<12 {
		return 0, false
	}
	return n, true
}

// parseCommand turns the zero-divided arguments of /proc/PID/cmdline into one line.
func parseCommand(text []byte) string {
	return strings.ToValidUTF8(string(bytes.TrimRight(bytes.ReplaceAll(text, []byte{0}, []byte{' '}), " ")), "\uFFFD")
}

// mount is a line of /proc/self/mountinfo that concerns control groups.
type mount struct {
	root, point string
	v1          bool
}

// parseMounts finds where version 1's memory hierarchy and version 2's tree are mounted. The first of each counts.
func parseMounts(text []byte) (memory1, unified mount) {
	for line := range bytes.Lines(text) {
		before, after, ok := bytes.Cut(line, []byte(" - "))
		if !ok {
			continue
		}
		head, tail := bytes.Fields(before), bytes.Fields(after)
		if len(head) < 5 || len(tail) < 3 {
			continue
		}
		m := mount{root: unescapeMount(head[3]), point: unescapeMount(head[4])}
		switch {
		case string(tail[0]) == "cgroup" && hasController(tail[2], "memory") && memory1.point == "":
			m.v1 = true
			memory1 = m
		case string(tail[0]) == "cgroup2" && unified.point == "":
			unified = m
		}
	}
	return memory1, unified
}

// unescapeMount undoes the kernel's octal escapes of blanks in paths.
func unescapeMount(text []byte) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(string(text))
}

package procmem

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const statText = `4242 (a) b (c) S 1 4242 4242 0 -1 4194560 1234 0 0 0 150 50 0 0 20 0 7 0 987654 104857600 2560 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0
`

func TestParseStat(t *testing.T) {
	want := stat{comm: "a) b (c", cpu: 200, threads: 7, start: 987654, vsize: 104857600, rss: 2560}
	got, err := parseStat([]byte(statText))
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for name, text := range map[string]string{
		"empty":      "",
		"no name":    "1 S 1 2 3",
		"reversed":   "1 )a( S 1",
		"cut short":  "1 (a) S 1 1 1 0 -1 4194560 1234 0 0 0 150 50",
		"not number": "1 (a) S 1 1 1 0 -1 4194560 1234 0 0 0 x 50 0 0 20 0 7 0 1 2 3",
	} {
		if got, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestParseSwap(t *testing.T) {
	if n, ok := parseSwap([]byte("Name:\tx\nVmRSS:\t  100 kB\nVmSwap:\t      12 kB\nThreads:\t1\n")); !ok || n != 12<<10 {
		t.Errorf("got %d, %v", n, ok)
	}
	for _, text := range []string{"", "VmSwap:\t12\n", "VmSwap: x kB\n", "Name: VmSwap\n"} {
		if n, ok := parseSwap([]byte(text)); ok {
			t.Errorf("%q: got %d, want none", text, n)
		}
	}
}

const rollupText = `563fd1fb1000-7fff61734000 ---p 00000000 00:00 0                          [rollup]
Rss:                1848 kB
Pss:                 383 kB
Pss_Dirty:           116 kB
Shared_Clean:       1628 kB
Private_Clean:       104 kB
Private_Dirty:       116 kB
Private_Hugetlb:       8 kB
Swap:                 64 kB
SwapPss:              32 kB
`

func TestParseRollup(t *testing.T) {
	got, err := parseRollup([]byte(rollupText))
	want := rollup{pss: 383 << 10, private: 124 << 10, swapPSS: 32 << 10}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got, err := parseRollup([]byte("Rss: 5 kB\n")); err == nil {
		t.Errorf("got %+v for a text without Pss", got)
	}
}

func TestParseCgroup(t *testing.T) {
	for name, row := range map[string]struct {
		text string
		want Cgroup
	}{
		"version 2": {"0::/system.slice/shop.service\n", Cgroup{Unit: "/system.slice/shop.service", Memory: "/system.slice/shop.service"}},
		"version 1": {"9:name=systemd:/system.slice/shop.service\n4:memory:/pods/a\n1:cpu,cpuacct:/\n",
			Cgroup{Unit: "/system.slice/shop.service", Memory: "/pods/a", V1: true}},
		"hybrid": {"4:memory:/pods/a\n1:name=systemd:/\n0::/system.slice/shop.service\n",
			Cgroup{Unit: "/system.slice/shop.service", Memory: "/pods/a", V1: true}},
		"hybrid with nothing in the unified tree": {"9:name=systemd:/\n4:memory:/pods/a\n0::/\n", Cgroup{Unit: "/", Memory: "/pods/a", V1: true}},
		"several controllers":                     {"4:cpu,memory:/x:y\n", Cgroup{Memory: "/x:y", V1: true}},
		"nonsense":                                {"a\n::\n0::relative\n", Cgroup{}},
	} {
		if diff := cmp.Diff(row.want, parseCgroup([]byte(row.text))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestParseLimit(t *testing.T) {
	for _, row := range []struct {
		text string
		want uint64
		ok   bool
	}{
		{"max\n", 0, false},
		{"9223372036854771712\n", 0, false}, // version 1: no limit, 4 KiB pages
		{"9223372036854710272\n", 9223372036854710272, true},
		{"209715200\n", 209715200, true},
		{"0\n", 0, true},
		{"-1\n", 0, false},
		{"", 0, false},
	} {
		if got, ok := parseLimit([]byte(row.text)); got != row.want || ok != row.ok {
			t.Errorf("%q: got %d, %v", row.text, got, ok)
		}
	}
}

func TestParseMounts(t *testing.T) {
	text := `22 1 0:5 / /proc rw - proc proc rw
30 22 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
31 22 0:27 /docker/ab /sys/fs/cgroup/mem\040ory rw,relatime - cgroup cgroup rw,memory
32 22 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	memory, unified := parseMounts([]byte(text))
	if want := (mount{root: "/docker/ab", point: "/sys/fs/cgroup/mem ory", v1: true}); memory != want {
		t.Errorf("memory: got %+v, want %+v", memory, want)
	}
	if want := (mount{root: "/", point: "/sys/fs/cgroup/unified"}); unified != want {
		t.Errorf("unified: got %+v, want %+v", unified, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{statText, rollupText, "VmSwap:\t1 kB", "0::/a\n4:memory:/b\n", "max", "oom_kill 3\n",
		"31 22 0:27 / /x rw - cgroup2 c rw\n", "1\x00-c\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := string(text)
		if s, err := parseStat(text); err == nil && len(s.comm) > len(text) {
			t.Error("name longer than the text")
		}
		parseSwap(text)
		if _, err := parseRollup(text); err != nil && len(text) == 0 {
			return
		}
		if c := parseCgroup(text); c.Memory != "" && c.Memory[0] != '/' {
			t.Errorf("relative path %q", c.Memory)
		}
		parseLimit(text)
		parseEvents(text, func([]byte, uint64) {})
		parseMounts(text)
		parseCommand(text)
		if before != string(text) {
			t.Error("a parser changed its input")
		}
	})
}

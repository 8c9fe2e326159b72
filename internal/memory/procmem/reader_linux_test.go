package procmem

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childEnv makes the test binary a program that holds memory on demand.
const childEnv = "GATEHOUSE_PROCMEM_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		hold()
		return
	}
	os.Exit(m.Run())
}

// hold takes and keeps as many MiB as each line of standard input says, answers "ok", and ends with its input.
func hold() {
	var held [][]byte
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n, _ := strconv.Atoi(in.Text())
		if n > 0 {
			// Not from Go's heap, of which the race detector would hold a shadow.
			block, err := unix.Mmap(-1, 0, n<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
			if err != nil {
				fmt.Println(err)
				return
			}
			held = append(held, block)
		}
		fmt.Println("ok")
	}
	runtime.KeepAlive(held)
}

// child starts a holder; the func makes it take n MiB more and returns once it has.
func child(t testing.TB) (pid int, take func(n int), end func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "procmem-test-child")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(out)
	ended := false
	end = func() {
		if !ended {
			ended = true
			_ = in.Close()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(end)
	take = func(n int) {
		fmt.Fprintln(in, n)
		if !answers.Scan() || answers.Text() != "ok" {
			t.Errorf("child did not answer: %v", answers.Err())
		}
	}
	take(0)
	return cmd.Process.Pid, take, end
}

func newReader(t testing.TB, o Options) *Reader {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReadFollowsAChild(t *testing.T) {
	r := newReader(t, Options{})
	pid, take, end := child(t)
	p, err := r.Lookup(pid)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.Command, "procmem-test-child") || exeBase(p.Exe) != filepath.Base(os.Args[0]) {
		t.Errorf("command %q, program %q", p.Command, p.Exe)
	}
	if age := time.Since(p.Started); age < -2*time.Second || age > time.Minute {
		t.Errorf("started %v ago", age)
	}
	read := func() (v Values) {
		r.Begin(time.Now())
		if err := r.Read(&p, &v); err != nil {
			t.Fatal(err)
		}
		if err := r.Detail(&p, &v); err != nil {
			t.Fatal(err)
		}
		r.Group(p.Cgroup, &v)
		return v
	}
	before := read()
	take(64)
	after := read()
	for _, c := range []Counter{RSS, PSS, Private, Virtual} {
		a, _ := before.Get(c)
		b, _ := after.Get(c)
		if grown := (b - a) / (1 << 20); (c != Virtual && grown < 63) || grown > 80 {
			t.Errorf("%s: grew %.1f MiB, want 64", c, grown)
		}
	}
	for _, c := range []Counter{Threads, FDs, CPUSeconds, Swap} {
		if x, ok := after.Get(c); !ok || (x <= 0 && c != Swap) {
			t.Errorf("%s: %v, %v", c, x, ok)
		}
	}
	fds, _ := after.Get(FDs)
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil || len(entries) != int(fds) {
		t.Errorf("%v descriptors, /proc lists %d (%v)", fds, len(entries), err)
	}
	end()
	var v Values
	if err := r.Read(&p, &v); !errors.Is(err, ErrGone) {
		t.Errorf("after its end: %v", err)
	}
	if len(v.Map()) != 0 {
		t.Errorf("values of a process that has ended: %v", v.Map())
	}
	if _, err := r.Lookup(pid); !errors.Is(err, ErrGone) {
		t.Errorf("lookup after its end: %v", err)
	}
}

func TestScanFindsNewProcesses(t *testing.T) {
	r := newReader(t, Options{})
	found := func(pid int) (n int) {
		if _, err := r.Scan(func(p Process) {
			if p.PID == pid {
				n++
			}
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	found(0)
	pid, _, _ := child(t)
	if found(pid) != 1 {
		t.Error("a new process was not found")
	}
	for range settle {
		found(pid)
	}
	again := 0
	for range sweep {
		again += found(pid)
	}
	if again != 1 {
		t.Errorf("visited %d times in %d scans, want once", again, sweep)
	}
	r.Forget()
	if found(pid) != 1 {
		t.Error("not visited after Forget")
	}
}

// tree writes files below a folder of the test.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const bootStat = "cpu 1 2 3\nbtime 1700000000\nprocesses 5\n"

func TestPidUsedAgain(t *testing.T) {
	root := tree(t, map[string]string{"stat": bootStat, "4242/stat": statText, "4242/cmdline": "x\x00-y\x00"})
	r := newReader(t, Options{Proc: root})
	var first Process
	if _, err := r.Scan(func(p Process) { first = p }); err != nil {
		t.Fatal(err)
	}
	if want := time.Unix(1700000000+9876, 540_000_000).UTC(); !first.Started.Equal(want) || first.Command != "x -y" {
		t.Errorf("started %v, want %v; command %q", first.Started, want, first.Command)
	}
	var v Values
	if err := r.Read(&first, &v); err != nil {
		t.Fatal(err)
	}
	if rss, _ := v.Get(RSS); rss != 2560*float64(os.Getpagesize()) {
		t.Errorf("rss %v", rss)
	}
	if cpu, _ := v.Get(CPUSeconds); cpu != 2 {
		t.Errorf("cpu %v", cpu)
	}
	if _, ok := v.Get(FDs); ok {
		t.Error("descriptors that cannot be read must be absent")
	}
	again := strings.Replace(statText, " 987654 ", " 987655 ", 1)
	if err := os.WriteFile(filepath.Join(root, "4242/stat"), []byte(again), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.Read(&first, &v); !errors.Is(err, ErrGone) {
		t.Errorf("read of a pid that is another's: %v", err)
	}
	r.scans += 10 * sweep // past the scans that read everything
	var second Process
	if _, err := r.Scan(func(p Process) { second = p }); err != nil {
		t.Fatal(err)
	}
	if second.PID != 4242 || second.Same(first) {
		t.Errorf("the new process is %+v", second)
	}
}

func TestScanIsBounded(t *testing.T) {
	root := tree(t, map[string]string{"stat": bootStat, "1/stat": statText, "2/stat": statText, "3/stat": statText, "self/x": ""})
	r := newReader(t, Options{Proc: root, MaxScan: 2})
	n := 0
	over, err := r.Scan(func(Process) { n++ })
	if n != 2 || over != 1 || err != nil {
		t.Errorf("visited %d, %d over, %v", n, over, err)
	}
}

func TestNewSaysWhy(t *testing.T) {
	if _, err := New(Options{Proc: t.TempDir()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := New(Options{Proc: tree(t, map[string]string{"stat": "cpu 1\n"})}); err == nil {
		t.Error("no error without a boot time")
	}
}

func TestGroup(t *testing.T) {
	v2 := map[string]string{
		"pods/memory.max": "1000000\n", "pods/memory.current": "900000\n",
		"pods/a/memory.max": "max\n", "pods/a/memory.current": "500000\n", "pods/a/memory.swap.current": "4096\n",
		"pods/a/memory.events": "low 0\nhigh 7\nmax 3\noom 2\noom_kill 1\n",
	}
	v1 := map[string]string{
		"memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "1\n",
		"pods/memory.limit_in_bytes": "2000000\n", "pods/memory.usage_in_bytes": "700000\n",
		"pods/memory.memsw.usage_in_bytes": "708192\n", "pods/memory.failcnt": "9\n",
		"pods/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
	}
	proc := tree(t, map[string]string{"stat": bootStat})
	r := newReader(t, Options{Proc: proc, CgroupV1: tree(t, v1), CgroupV2: tree(t, v2)})
	r.Begin(time.Unix(0, 0))
	for _, row := range []struct {
		name  string
		group Cgroup
		want  map[string]float64
	}{
		{"version 2", Cgroup{Memory: "/pods/a"}, map[string]float64{"cgroup_current": 500000, "cgroup_limit": 1000000,
			"cgroup_swap": 4096, "cgroup_high_events": 7, "cgroup_max_events": 3, "cgroup_oom_kills": 1}},
		{"version 1", Cgroup{Memory: "/pods", V1: true}, map[string]float64{"cgroup_current": 700000,
			"cgroup_limit": 2000000, "cgroup_swap": 8192, "cgroup_max_events": 9, "cgroup_oom_kills": 4}},
		{"root of version 2", Cgroup{Memory: "/"}, nil},
		{"none", Cgroup{}, nil},
		{"outside the namespace", Cgroup{Memory: "/../pods/a"}, nil},
		{"not there", Cgroup{Memory: "/gone"}, nil},
	} {
		var v Values
		r.Group(row.group, &v)
		if fmt.Sprint(v.Map()) != fmt.Sprint(row.want) {
			t.Errorf("%s: got %v, want %v", row.name, v.Map(), row.want)
		}
	}
}

func TestGroupIsReadOnceARound(t *testing.T) {
	root := tree(t, map[string]string{"a/memory.current": "1\n", "a/memory.max": "10\n"})
	r := newReader(t, Options{Proc: tree(t, map[string]string{"stat": bootStat}), CgroupV2: root})
	now := time.Unix(0, 0)
	read := func() string {
		var v Values
		r.Group(Cgroup{Memory: "/a"}, &v)
		return fmt.Sprint(v.Map())
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, "a", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.Begin(now)
	read()
	write("memory.current", "2\n")
	write("memory.max", "20\n")
	if got := read(); got != "map[cgroup_current:1 cgroup_limit:10]" {
		t.Errorf("in the same round: %s", got)
	}
	r.Begin(now.Add(time.Second))
	if got := read(); got != "map[cgroup_current:2 cgroup_limit:10]" {
		t.Errorf("in the next round: %s", got)
	}
	r.Begin(now.Add(limitAge))
	if got := read(); got != "map[cgroup_current:2 cgroup_limit:20]" {
		t.Errorf("when the limit is old: %s", got)
	}
	r.Begin(now)
	r.Begin(now)
	if n := len(r.groups.known); n != 0 {
		t.Errorf("%d groups remembered that nothing asks for", n)
	}
}

func TestMountFolder(t *testing.T) {
	for _, row := range []struct {
		name, root, group, want string
		ok                      bool
	}{
		{"whole tree", "/", "/pods/a", "/mnt/pods/a", true},
		{"part of the tree", "/docker/ab", "/docker/ab/c", "/mnt/c", true},
		{"own namespace", "/docker/ab", "/c", "/mnt/c", true},
		{"above", "/..", "/c", "", false},
	} {
		got, ok := mount{root: row.root, point: "/mnt"}.folder(row.group)
		if got != row.want || ok != row.ok {
			t.Errorf("%s: got %q, %v", row.name, got, ok)
		}
	}
	if _, ok := (mount{}).folder("/a"); ok {
		t.Error("a hierarchy that is not mounted has folders")
	}
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 4, '4', '2', 0, 0, 0})
	f.Fuzz(func(_ *testing.T, buf []byte) {
		eachEntry(buf, func(uint64, []byte) bool { return true })
	})
}

// BenchmarkRead is the cost of one process' cheap sample, BenchmarkDetail of smaps_rollup, on a Go program of a few MiB.
func BenchmarkRead(b *testing.B) {
	r := newReader(b, Options{})
	p, err := r.Lookup(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var v Values
		if err := r.Read(&p, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDetail(b *testing.B) {
	r := newReader(b, Options{})
	p, err := r.Lookup(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var v Values
		if err := r.Detail(&p, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	r := newReader(b, Options{})
	for range 3 {
		if _, err := r.Scan(func(Process) {}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := r.Scan(func(Process) {}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(r.seen)), "processes")
}

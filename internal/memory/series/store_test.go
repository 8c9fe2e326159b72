package series

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// childEnv makes the test binary a program that writes to the folder named by it until it is killed.
const childEnv = "GATEHOUSE_SERIES_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		write(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// write appends one sample for each line of standard input and answers "ok" when it is stored.
func write(dir string) {
	s, err := Open(context.Background(), Options{Dir: dir, Now: func() time.Time { return start }})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := NewHandle("m", map[string]string{"process": "a"})
	n := 0
	for in := bufio.NewScanner(os.Stdin); in.Scan(); n++ {
		if _, err := s.Append(context.Background(), start.Add(time.Duration(n)*time.Second), []Point{{h, float64(n)}}); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("ok")
	}
}

func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "series")
	}
	if o.Now == nil {
		o.Now = func() time.Time { return start.Add(time.Hour) }
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fill appends one sample a minute for two processes: 0, 1, 2, ... and ten times that.
func fill(t *testing.T, s *Store, n int) {
	t.Helper()
	a := NewHandle("m", map[string]string{"process": "a", "empty": ""})
	b := NewHandle("m", map[string]string{"process": "b.*"})
	for i := range n {
		points := []Point{{a, float64(i)}, {b, float64(10 * i)}, {a, math.NaN()}}
		if refused, err := s.Append(t.Context(), start.Add(time.Duration(i)*time.Minute), points); err != nil || refused != 0 {
			t.Fatalf("append: %d refused, %v", refused, err)
		}
	}
}

func values(all []Series) map[string][]float64 {
	m := make(map[string][]float64)
	for _, one := range all {
		m[one.Labels["process"]] = one.Values
	}
	return m
}

func TestRange(t *testing.T) {
	s := open(t, Options{})
	fill(t, s, 5)
	for _, row := range []struct {
		name    string
		matches []Match
		from    time.Duration
		to      time.Duration
		step    time.Duration
		want    map[string][]float64
	}{
		{"all", nil, 0, time.Hour, 0, map[string][]float64{"a": {0, 1, 2, 3, 4}, "b.*": {0, 10, 20, 30, 40}}},
		{"one", []Match{{"process", []string{"a"}}}, 0, time.Hour, 0, map[string][]float64{"a": {0, 1, 2, 3, 4}}},
		{"either, quoted", []Match{{"process", []string{"b.*", "c"}}}, 0, time.Hour, 0, map[string][]float64{"b.*": {0, 10, 20, 30, 40}}},
		{"ends included", []Match{{"process", []string{"a"}}}, time.Minute, 3 * time.Minute, 0, map[string][]float64{"a": {1, 2, 3}}},
		{"last of each step", []Match{{"process", []string{"a"}}}, 0, time.Hour, 2 * time.Minute, map[string][]float64{"a": {1, 3, 4}}},
		{"none", []Match{{"process", []string{"b"}}}, 0, time.Hour, 0, map[string][]float64{}},
	} {
		got, err := s.Range(t.Context(), "m", row.matches, start.Add(row.from), start.Add(row.to), row.step)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		if diff := cmp.Diff(row.want, values(got)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", row.name, diff)
		}
		for _, one := range got {
			if len(one.Times) != len(one.Values) {
				t.Errorf("%s: %d times, %d values", row.name, len(one.Times), len(one.Values))
			}
			if _, has := one.Labels["empty"]; has || len(one.Labels) != 1 {
				t.Errorf("%s: labels %v", row.name, one.Labels)
			}
		}
	}
}

func TestAppendRefusesTheOld(t *testing.T) {
	s := open(t, Options{})
	h := NewHandle("m", nil)
	for _, row := range []struct {
		name    string
		at      time.Time
		value   float64
		refused int
	}{
		{"first", start, 1, 0},
		{"the same again", start, 1, 0},
		{"another at the same time", start, 2, 1},
		{"a little older: the clock was set back", start.Add(-time.Minute), 3, 0},
		{"much older", start.Add(-3 * time.Hour), 4, 1},
	} {
		refused, err := s.Append(t.Context(), row.at, []Point{{h, row.value}})
		if err != nil || refused != row.refused {
			t.Errorf("%s: %d refused, %v; want %d", row.name, refused, err, row.refused)
		}
	}
}

func TestTooManySamples(t *testing.T) {
	s := open(t, Options{MaxSamples: 8})
	fill(t, s, 5)
	if _, err := s.Range(t.Context(), "m", nil, start, start.Add(time.Hour), 0); !errors.Is(err, ErrTooMany) {
		t.Errorf("range: %v", err)
	}
}

func TestHistorySurvivesClose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "series")
	s := open(t, Options{Dir: dir})
	fill(t, s, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if mode := stat(t, dir).Mode().Perm(); mode != 0o700 {
		t.Errorf("mode of the folder: %v", mode)
	}
	got, err := open(t, Options{Dir: dir}).Range(t.Context(), "m", nil, start, start.Add(time.Hour), 0)
	if diff := cmp.Diff(map[string][]float64{"a": {0, 1, 2}, "b.*": {0, 10, 20}}, values(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func stat(t *testing.T, file string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// holder starts a process that holds the folder and has written n samples to it.
func holder(t *testing.T, dir string, n int) (kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
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
	for range n {
		fmt.Fprintln(in)
		if !answers.Scan() || answers.Text() != "ok" {
			t.Errorf("child: %q, %v", answers.Text(), answers.Err())
		}
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	return kill
}

func TestHistorySurvivesSIGKILL(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "series")
	holder(t, dir, 20)()
	s := open(t, Options{Dir: dir})
	got, err := s.Range(t.Context(), "m", nil, start, start.Add(time.Hour), 0)
	if err != nil || len(got) != 1 || len(got[0].Values) != 20 {
		t.Errorf("after the writer was killed: %v, %v", got, err)
	}
	if len(s.aside) != 0 {
		t.Errorf("set aside: %v", s.aside)
	}
}

func TestLockedFolderIsNotSetAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "series")
	kill := holder(t, dir, 1)
	o := Options{Dir: dir, LockWait: time.Millisecond, Now: func() time.Time { return start }}
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	o.LockWait = time.Hour
	if _, err := Open(gone, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v when the context has ended", err)
	}
	kill() // Open now gets the folder
	if s := open(t, o); len(s.aside) != 0 {
		t.Errorf("set aside: %v", s.aside)
	}
}

// blocks writes enough history that the engine makes a block of it, and gives the blocks' folders.
func blocks(t *testing.T, dir string) []string {
	t.Helper()
	s := open(t, Options{Dir: dir, Now: func() time.Time { return start.Add(8 * time.Hour) }})
	fill(t, s, 8*60)
	if err := s.db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "meta.json"))
	if err != nil || len(found) < 2 {
		t.Fatalf("blocks: %v, %v", found, err)
	}
	for i, file := range found {
		found[i] = filepath.Dir(file)
	}
	return found
}

func TestDamage(t *testing.T) {
	hours := func() time.Time { return start.Add(8 * time.Hour) }
	for _, row := range []struct {
		name  string
		spoil func(t *testing.T, dir string, blocks []string)
		now   func() time.Time
		aside int
		left  bool // some history is left
	}{
		{"one block's index", func(t *testing.T, _ string, blocks []string) { overwrite(t, filepath.Join(blocks[0], "index")) }, hours, 1, true},
		{"newest of the log", func(t *testing.T, dir string, _ []string) {
			files, _ := filepath.Glob(filepath.Join(dir, "wal", "0*"))
			overwrite(t, files[len(files)-1])
		}, hours, 0, true},
		{"a file where the log should be", func(t *testing.T, dir string, _ []string) {
			if err := os.RemoveAll(filepath.Join(dir, "wal")); err != nil {
				t.Fatal(err)
			}
			overwrite(t, filepath.Join(dir, "wal"))
		}, hours, 1, false},
		{"samples from the future", func(*testing.T, string, []string) {}, func() time.Time { return start }, 1, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "series")
			row.spoil(t, dir, blocks(t, dir))
			var log bytes.Buffer
			s := open(t, Options{Dir: dir, Now: row.now, Log: slog.New(slog.NewTextHandler(io.MultiWriter(&log), nil))})
			if len(s.aside) != row.aside {
				t.Errorf("set aside: %v, want %d", s.aside, row.aside)
			}
			for _, aside := range s.aside {
				stat(t, aside)
				if !strings.Contains(log.String(), "history set aside") || !strings.Contains(log.String(), filepath.Base(aside)) {
					t.Errorf("log: %s", log.String())
				}
			}
			got, err := s.Range(t.Context(), "m", nil, start, start.Add(8*time.Hour), 0)
			if err != nil || (len(got) > 0) != row.left {
				t.Errorf("%d series left, %v", len(got), err)
			}
			if refused, err := s.Append(t.Context(), row.now(), []Point{{NewHandle("m", nil), 1}}); err != nil || refused != 0 {
				t.Errorf("append afterwards: %d, %v", refused, err)
			}
		})
	}
}

func overwrite(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, bytes.Repeat([]byte("spoilt "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSaysWhy(t *testing.T) {
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("opened no folder")
	}
	file := filepath.Join(t.TempDir(), "file")
	overwrite(t, file)
	if _, err := Open(t.Context(), Options{Dir: filepath.Join(file, "below")}); err == nil {
		t.Error("opened a folder below a file")
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the file in the way was touched: %v", err)
	}
}

// BenchmarkRange reads 14 days of one process' samples, one every 15 seconds, thinned to 2 minutes, from blocks as they
// are on disk after those days.
func BenchmarkRange(b *testing.B) {
	end := start.Add(14 * 24 * time.Hour)
	s, err := Open(b.Context(), Options{Dir: filepath.Join(b.TempDir(), "series"), Now: func() time.Time { return end }})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	h := NewHandle("m", map[string]string{"process": "a"})
	n := 0
	for at := start; at.Before(end); at = at.Add(15 * time.Second) {
		if _, err := s.Append(b.Context(), at, []Point{{h, float64(1<<20 + n%1000*4096)}}); err != nil {
			b.Fatal(err)
		}
		if n++; n%480 == 0 {
			if err := s.db.Compact(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		got, err := s.Range(b.Context(), "m", []Match{{"process", []string{"a"}}}, start, end, 2*time.Minute)
		if err != nil || len(got) != 1 {
			b.Fatal(len(got), err)
		}
	}
	b.ReportMetric(float64(len(s.db.Blocks())), "blocks")
}

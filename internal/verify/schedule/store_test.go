package schedule

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/state"
)

// TestKilledScheduleComesBack: the second schedule sees only the file, as after SIGKILL: the first is still running.
func TestKilledScheduleComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "verify.json")
	synctest.Test(t, func(t *testing.T) {
		verifiers := []Verifier{
			{Name: "up", Kind: "http", Target: "a", Check: always(state.Good, state.Slow, state.Good, state.Refused)},
			{Name: "down", Kind: "http", Target: "b", Check: always(state.TLSError)},
		}
		first, stop := start(t, Options{Store: &FileStore{Path: path}}, verifiers...)
		defer stop()
		time.Sleep(90 * time.Second)
		for unsaved(first) {
			time.Sleep(time.Second)
		}
		synctest.Wait()
		second, err := New(Options{Store: &FileStore{Path: path}})
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Replace(append(verifiers, Verifier{Name: "new", Check: verifiers[0].Check})); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first.Snapshot(), second.Snapshot()[:2]); diff != "" {
			t.Errorf("state (-before +after):\n%s", diff)
		}
		for _, name := range []string{"up", "down"} {
			before, _ := first.History(name)
			after, _ := second.History(name)
			if diff := cmp.Diff(before, after); diff != "" || len(before) < 3 {
				t.Errorf("%d results of %s (-before +after):\n%s", len(before), name, diff)
			}
		}
		if got := status(t, second, "new"); got.State != state.Unknown {
			t.Errorf("new: %+v", got)
		}
	})
}

// unsaved reports whether a result is so new that it may not be in the file yet.
func unsaved(s *Schedule) bool {
	for _, v := range s.Snapshot() {
		if time.Since(v.Last.At) <= saveEvery+time.Second {
			return true
		}
	}
	return false
}

func TestTransitionIsSavedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "verify.json")
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, Options{Store: &FileStore{Path: path}}, Verifier{Name: "v", Check: always(state.Good), Period: time.Hour})
		defer stop()
		for status(t, s, "v").Checks == 0 {
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		kept, err := (&FileStore{Path: path}).Load()
		if err != nil || len(kept) != 1 || kept[0].State != state.Good {
			t.Errorf("kept %+v, %v", kept, err)
		}
	})
}

func TestOldStateIsNotBelieved(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name string
		age  time.Duration
		want state.State
	}{
		{"a minute", time.Minute, state.Good},
		{"ten periods", 10 * time.Minute, state.Good},
		{"an hour", time.Hour, state.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := entry{v: Verifier{Period: time.Minute}}
			e.stand.state = state.Unknown
			e.restore(Saved{State: state.Good, Streak: 5, Checks: 7, Results: []state.Result{{At: now.Add(-tt.age), State: state.Good}}}, 10, now)
			if e.stand.state != tt.want || e.checks != 7 || e.history.len() != 1 {
				t.Errorf("got %+v", e.stand)
			}
		})
	}
}

func result(minute int, s state.State) state.Result {
	return state.Result{At: time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC), State: s, Reason: "why", Evidence: []string{"a"}}
}

func TestFileStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "verify.json")
	f := &FileStore{Path: path}
	if kept, err := f.Load(); kept != nil || err != nil {
		t.Fatalf("no file: %v, %v", kept, err)
	}
	if grown, err := f.Append([]Saved{{Verifier: "a"}}); !grown || err != nil {
		t.Fatalf("append before rewrite: %v, %v", grown, err)
	}
	a := Saved{Verifier: "a", Kind: "tcp", Target: "t", State: state.Good, Checks: 2, Results: []state.Result{result(1, state.Good), result(2, state.Good)}}
	b := Saved{Verifier: "b", State: state.Refused, Checks: 1, Results: []state.Result{result(1, state.Refused)}}
	if err := f.Rewrite(2, slices.Values([]Saved{a, b})); err != nil {
		t.Fatal(err)
	}
	more := Saved{Verifier: "a", Kind: "tcp", Target: "t", State: state.Timeout, Checks: 3, Results: []state.Result{result(2, state.Good), result(3, state.Timeout)}}
	if grown, err := f.Append([]Saved{more}); grown || err != nil {
		t.Fatalf("append: %v, %v", grown, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	want := a
	want.State, want.Checks = state.Timeout, 3
	want.Results = []state.Result{result(1, state.Good), result(2, state.Good), result(3, state.Timeout)}
	kept, err := f.Load()
	if diff := cmp.Diff([]Saved{want, b}, kept); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if info, err := os.Stat(path); err != nil || (runtime.GOOS != "windows" && info.Mode().Perm() != 0o600) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
		t.Errorf("files left: %q", files)
	}
}

func TestFileStoreDamage(t *testing.T) {
	line := `{"verifier":"a","state":"good","results":[{"at":"2026-01-01T00:00:00Z","state":"good","reason":"","timings":{"total_ms":1}}]}` + "\n"
	for _, tt := range []struct {
		name, text string
		kept       int
		damaged    bool
	}{
		{"whole", fileHead + "\n" + line, 1, false},
		{"torn at the end", fileHead + "\n" + line + line[:20], 1, false},
		{"empty", "", 0, true},
		{"another file", "states: {}\n", 0, true},
		{"a bad line in the middle", fileHead + "\n{]\n" + line, 1, true},
		{"a line without a name", fileHead + "\n{}\n" + line, 1, true},
		{"zeros, as after a power cut", fileHead + "\n" + line + strings.Repeat("\x00", 512) + "\n", 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "verify.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			kept, err := (&FileStore{Path: path}).Load()
			if len(kept) != tt.kept || (err != nil) != tt.damaged {
				t.Errorf("kept %+v, %v", kept, err)
			}
			_, aside := os.Stat(path + ".damaged")
			if (aside == nil) != tt.damaged {
				t.Errorf("set aside: %v", aside == nil)
			}
			if _, err := New(Options{Store: &FileStore{Path: path}}); err != nil {
				t.Errorf("a damaged file keeps the schedule from starting: %v", err)
			}
		})
	}
}

func TestFileStoreIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "verify.json")
	f := &FileStore{Path: path, MaxBytes: 100 << 10}
	all := func(yield func(Saved) bool) {
		for i := range 20 {
			s := Saved{Verifier: fmt.Sprint(i)}
			for m := range 500 {
				s.Results = append(s.Results, result(m, state.Good))
			}
			if !yield(s) {
				return
			}
		}
	}
	if err := f.Rewrite(20, all); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if info, err := os.Stat(path); err != nil || info.Size() > 51<<10 {
		t.Errorf("size %d, %v", info.Size(), err)
	}
	kept, err := f.Load()
	if err != nil || len(kept) != 20 {
		t.Fatalf("kept %d, %v", len(kept), err)
	}
	for _, k := range kept {
		if n := len(k.Results); n == 0 || !k.Results[n-1].At.Equal(result(499, state.Good).At) {
			t.Errorf("%s: %d results, the newest is not among them", k.Verifier, n)
		}
	}
	grown := false
	for i := 0; !grown && i < 10_000; i++ {
		if grown, err = f.Append([]Saved{{Verifier: "1", Results: []state.Result{result(600+i, state.Good)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); !grown || err != nil || info.Size() > 101<<10 {
		t.Errorf("asks for a rewrite: %v, at %d bytes", grown, info.Size())
	}
}

// failing is a store that fails until it is mended.
type failing struct {
	mu       sync.Mutex
	broken   bool
	appends  int
	rewrites int
	last     []Saved
}

func (f *failing) Load() ([]Saved, error) { return nil, errors.New("no") }

func (f *failing) Append(changes []Saved) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.appends++
	if f.broken {
		return false, errors.New("disk full")
	}
	return false, nil
}

func (f *failing) Rewrite(_ int, all iter.Seq[Saved]) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rewrites++
	if f.broken {
		return errors.New("disk full")
	}
	f.last = slices.Collect(all)
	return nil
}

func TestStoreThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failing{broken: true}
		s, stop := start(t, Options{Store: store}, Verifier{Name: "v", Check: always(state.Good), Period: time.Second})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		store.mu.Lock()
		if n := store.rewrites + store.appends; n < 4 || n > 8 {
			t.Errorf("a broken store was called %d times in 2 minutes", n)
		}
		store.broken = false
		store.mu.Unlock()
		time.Sleep(retryEvery)
		stop()
		if len(store.last) != 1 || len(store.last[0].Results) < 119 {
			t.Errorf("after it was mended it got %+v", store.last)
		}
		if status(t, s, "v").Checks < 119 {
			t.Error("checks waited for the store")
		}
	})
}

func TestRing(t *testing.T) {
	var r ring
	for i := range 25 {
		s := state.Good
		if i%2 == 1 {
			s = state.Timeout
		}
		r.add(result(i, s), 10)
	}
	got := r.newest(100)
	if len(got) != 10 || !got[0].At.Equal(result(15, state.Good).At) || !got[9].At.Equal(result(24, state.Good).At) {
		t.Errorf("got %+v", got)
	}
	if r.at(9).detail != r.at(7).detail || r.at(9).detail == r.at(8).detail {
		t.Error("equal results do not share their detail")
	}
	if cap(r.records) > 10 {
		t.Errorf("room for %d records", cap(r.records))
	}
	if last := r.newest(1); last[0].State != state.Good || !slices.Equal(last[0].Evidence, []string{"a"}) {
		t.Errorf("newest %+v", last)
	}
}

func FuzzReadSaved(f *testing.F) {
	f.Add([]byte(fileHead + "\n" + `{"verifier":"a","results":[{"at":"2026-01-01T00:00:00Z","state":"good","timings":{"total_ms":1}}]}` + "\n{}\n"))
	f.Add([]byte(fileHead + "\n" + `{"verifier":"a","streak":-5,"checks":1,"results":null}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		kept, _, err := readSaved(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, k := range kept {
			e := entry{v: Verifier{Period: time.Minute}}
			e.stand.state = state.Unknown
			e.restore(k, 10, time.Now())
			if e.history.len() > 10 || e.stand.streak < 0 {
				t.Errorf("restored %+v from %+v", e.stand, k)
			}
			_ = e.status()
		}
	})
}

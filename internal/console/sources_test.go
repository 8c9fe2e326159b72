package console

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/state"
)

// TestSourceShares sees many pages that ask at once cost one question, and the next moment another.
func TestSourceShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		s := newSource("verify", func(context.Context) (int64, error) {
			time.Sleep(50 * time.Millisecond) // in the bubble
			return asked.Add(1), nil
		})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if a := s.get(t.Context()); a.Err != nil || a.Value != 1 {
					t.Errorf("answer %+v", a)
				}
			})
		}
		wg.Wait()
		time.Sleep(freshFor)
		if a := s.get(t.Context()); a.Value != 2 {
			t.Errorf("an old answer is given: %+v", a)
		}
		s.expire()
		if a := s.get(t.Context()); a.Value != 3 {
			t.Errorf("an expired answer is given: %+v", a)
		}
	})
}

func TestSourceKeepsWhatWasKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		s := newSource("edge", func(context.Context) (string, error) { return "known", fail })
		if a := s.get(t.Context()); a.notice(at) != nil {
			t.Errorf("a good answer has a notice: %+v", a)
		}
		fail = errors.New("refused")
		time.Sleep(time.Second)
		a := s.get(t.Context())
		if n := a.notice(at); a.Value != "known" || n == nil || n.From != "edge" || n.Error != "refused" || n.Last == "" {
			t.Errorf("after a failure: %+v, %+v", a, n)
		}
	})
}

// TestSourceThatHangs is bounded, and a page that goes away while it waits takes nothing from the others.
func TestSourceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource("watch", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		var wg sync.WaitGroup
		begun := time.Now()
		wg.Go(func() {
			a := s.get(t.Context())
			if n := a.notice(at); n == nil || n.Error != "no answer in time" || time.Since(begun) != fetchTimeout {
				t.Errorf("after %v: %+v", time.Since(begun), n)
			}
		})
		synctest.Wait()
		leaving, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if a := s.get(leaving); !errors.Is(a.Err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("a page that goes away waits %v: %+v", time.Since(begun), a)
		}
		wg.Wait()
	})
}

func TestSourceOutlivesItsAsker(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newSource("edge", func(asking context.Context) (int, error) {
		cancel() // the page is closed while its question is under way
		return 1, asking.Err()
	})
	if a := s.get(ctx); a.Err != nil || a.Value != 1 {
		t.Errorf("the question ended with its asker: %+v", a)
	}
}

func TestResultCache(t *testing.T) {
	asked := map[string]int{}
	var mu sync.Mutex
	var fail error
	rc := &resultCache{known: map[string]cachedResults{}, fetch: func(_ context.Context, name string) ([]state.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[name]++
		return make([]state.Result, asked[name]), fail
	}}
	status := func(name string, checks uint64) state.Status { return state.Status{Verifier: name, Checks: checks} }
	two := []state.Status{status("a", 1), status("b", 1)}
	for range 3 {
		if got, err := rc.all(t.Context(), two); err != nil || len(got["a"]) != 1 || len(got["b"]) != 1 {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if got, _ := rc.all(t.Context(), []state.Status{status("a", 2), status("b", 1)}); len(got["a"]) != 2 || len(got["b"]) != 1 {
		t.Errorf("after a check of a: %v", got)
	}
	fail = errors.New("refused")
	if got, err := rc.all(t.Context(), []state.Status{status("a", 3)}); err == nil || len(got["a"]) != 2 {
		t.Errorf("when they cannot be had: %v, %v", got, err)
	}
	if len(rc.known) != 1 {
		t.Errorf("a verifier that is gone is kept: %v", rc.known)
	}
}

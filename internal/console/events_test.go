package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/console"
	"gatehouse/internal/console/consoletest"
	"gatehouse/internal/memory/watch"
)

type event struct{ Name, Data string }

// reader is a page's open stream. It is used inside a synctest bubble: time passes only while all wait, and a sleep there
// takes none.
type reader struct {
	*httptest.ResponseRecorder
	mu     sync.Mutex // guards the recorder's body
	cancel context.CancelFunc
	done   chan struct{}
	seen   int // bytes of the body that take has returned
}

func (s *reader) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ResponseRecorder.Write(p)
}

func (s *reader) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ResponseRecorder.Flush()
}

func listen(t *testing.T, c *console.Console, page string) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "GET", "/events?page="+page, nil)
	r.Host = "localhost"
	s := &reader{ResponseRecorder: httptest.NewRecorder(), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		c.ServeHTTP(s, r)
	}()
	synctest.Wait()
	return s
}

// take returns the events since it was last called.
func (s *reader) take() []event {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	body := s.Body.String()[s.seen:]
	s.seen += len(body)
	var out []event
	for block := range strings.SplitSeq(strings.TrimSpace(body), "\n\n") {
		name, data, _ := strings.Cut(block, "\n")
		if block != "" {
			out = append(out, event{strings.TrimPrefix(name, "event: "), strings.TrimPrefix(data, "data: ")})
		}
	}
	return out
}

func (s *reader) close() {
	s.cancel()
	<-s.done
}

func names(events []event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Name)
	}
	return strings.Join(out, " ")
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := consoletest.New(moment)
		s := listen(t, newConsole(t, world.Options()), "/farms")
		if got := names(s.take()); got != "title page fragment" {
			t.Fatalf("a stream begins with %q", got)
		}
		if got := s.Header().Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("content type %q", got)
		}
		world.SetSessions("shop", "tango", 1399)
		time.Sleep(600 * time.Millisecond)
		events := s.take()
		if got := names(events); got != "fragment" {
			t.Fatalf("one change of one farm brings %q", got)
		}
		var f struct{ ID, HTML string }
		if err := json.Unmarshal([]byte(events[0].Data), &f); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(f.ID, "farm-") || !strings.Contains(f.HTML, "1,399") {
			t.Errorf("the fragment is %s: %s", f.ID, f.HTML)
		}
		world.Silence("edge", errors.New("gone away"))
		time.Sleep(time.Second)
		if got := names(s.take()); got != "title page fragment" { // one more problem, a notice more, a number in the navigation
			t.Errorf("a part that falls silent brings %q", got)
		}
		s.close()
		synctest.Wait()
		if n := world.Listeners(); n != 0 {
			t.Errorf("%d still listen after the page was closed", n)
		}
	})
}

func TestEventsCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := consoletest.New(moment)
		s := listen(t, newConsole(t, world.Options()), "/farms")
		defer s.close()
		s.take()
		for i := range 200 {
			world.SetSessions("shop", "tango", i)
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(time.Second)
		events := s.take()
		if n := len(events); n < 10 || n > 22 {
			t.Errorf("200 changes in 10 s bring %d updates", n)
		}
		if last := events[len(events)-1]; !strings.Contains(last.Data, `\u003e199\u003c`) {
			t.Errorf("the last update misses the last change: %s", last.Data)
		}
	})
}

func TestEventsWithoutChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := consoletest.New(moment)
		o := world.Options()
		o.Changes = nil
		s := listen(t, newConsole(t, o), "/farms")
		defer s.close()
		s.take()
		time.Sleep(60 * time.Second)
		if got := names(s.take()); got != "beat beat beat beat" {
			t.Errorf("a minute in which nothing changes brings %q", got)
		}
		world.SetSessions("shop", "tango", 3)
		time.Sleep(3 * time.Second)
		if got := names(s.take()); got != "fragment" {
			t.Errorf("a change that nobody announces brings %q within 3 s", got)
		}
	})
}

// TestActionWakesPages sees an action show at once on pages that have no other news.
func TestActionWakesPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := consoletest.New(moment).Options()
		o.Changes = func(context.Context) <-chan struct{} { ch := make(chan struct{}); close(ch); return ch }
		c := newConsole(t, o)
		s := listen(t, c, "/farms")
		defer s.close()
		time.Sleep(2100 * time.Millisecond) // just past a refresh
		s.take()
		if w := request(t, c, "POST", "/api/farms/shop/members/tango/drain", ""); w.Code != 200 {
			t.Fatal(w.Body)
		}
		time.Sleep(600 * time.Millisecond)
		if got := names(s.take()); got != "fragment" {
			t.Errorf("an action brings %q", got)
		}
	})
}

func TestEventsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := consoletest.New(moment).Options()
		o.Streams = 2
		c := newConsole(t, o)
		first, second := listen(t, c, "/"), listen(t, c, "/memory")
		if w := request(t, c, "GET", "/events?page=/", ""); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("a third stream: %d", w.Code)
		}
		first.close()
		third := listen(t, c, "/connectivity")
		if third.Code != 200 {
			t.Errorf("after one was closed: %d", third.Code)
		}
		second.close()
		third.close()
	})
}

func TestEventsOfNoPage(t *testing.T) {
	c := newConsole(t, consoletest.New(moment).Options())
	for page, want := range map[string]int{"": 400, "farms": 400, "http://evil.example/farms": 400, "/nothing": 404, "/memory/none": 404, "/static/x": 404} {
		if w := request(t, c, "GET", "/events?page="+page, ""); w.Code != want {
			t.Errorf("page %q: %d, want %d", page, w.Code, want)
		}
	}
}

// TestEventsOfProcessThatGoes ends the stream of a process's page when the process is forgotten.
func TestEventsOfProcessThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := consoletest.New(moment).Options()
		var mu sync.Mutex
		all, gone := o.Processes, false
		o.Processes = func(ctx context.Context) ([]watch.Process, error) {
			mu.Lock()
			defer mu.Unlock()
			if gone {
				return nil, nil
			}
			return all(ctx)
		}
		s := listen(t, newConsole(t, o), "/memory/w3svc-2204")
		s.take()
		mu.Lock()
		gone = true
		mu.Unlock()
		time.Sleep(3 * time.Second)
		if got := names(s.take()); got != "gone" {
			t.Errorf("a process that is forgotten brings %q", got)
		}
		<-s.done
		s.cancel()
	})
}

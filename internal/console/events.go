package console

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	eventGap     = 500 * time.Millisecond // the least time between two updates of a page
	eventRefresh = 2 * time.Second        // the most, for what nobody announces: sessions, ages
	eventBeat    = 15 * time.Second       // a page that hears nothing for longer than two of these reconnects
	eventWrite   = 10 * time.Second       // how long a browser may take to read
)

// wakes tells the open streams that an action was taken.
type wakes struct {
	mu    sync.Mutex
	chans map[chan struct{}]bool
}

func (ws *wakes) wake() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for ch := range ws.chans {
		select {
		case ch <- struct{}{}:
		default: // it has not seen the last one yet
		}
	}
}

func (ws *wakes) subscribe() chan struct{} {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.chans == nil {
		ws.chans = map[chan struct{}]bool{}
	}
	ch := make(chan struct{}, 1)
	ws.chans[ch] = true
	return ch
}

func (ws *wakes) unsubscribe(ch chan struct{}) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.chans, ch)
}

// serveEvents is the stream of one open page. The events, each with one JSON object:
//
//	fragment  {"id", "html"}  one fragment's new content
//	page      {"html"}        all fragments, when there are others than before
//	title     {"title"}       the window's title
//	beat      {}              nothing, so that silence means a lost connection
func (c *Console) serveEvents(w http.ResponseWriter, r *http.Request) {
	page, err := url.ParseRequestURI(r.FormValue("page"))
	if err != nil || page.Host != "" {
		http.Error(w, "page is the path of a page of this console", http.StatusBadRequest)
		return
	}
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many pages are open with live updates", http.StatusServiceUnavailable)
		return
	}
	s := stream{console: c, page: page, w: w, control: http.NewResponseController(w)}
	if !s.update(r.Context()) {
		return
	}
	s.run(r.Context())
}

// stream is one open page: what it was sent, and where more goes.
type stream struct {
	console *Console
	page    *url.URL
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
	title   string
	ids     string
	sent    map[string]template.HTML
}

func (s *stream) run(ctx context.Context) {
	var changes <-chan struct{}
	if s.console.options.Changes != nil {
		changes = s.console.options.Changes(ctx)
	}
	woken := s.console.wakes.subscribe()
	defer s.console.wakes.unsubscribe(woken)
	refresh, beat := time.NewTicker(eventRefresh), time.NewTicker(eventBeat)
	defer refresh.Stop()
	defer beat.Stop()
	last := time.Now()
	var due <-chan time.Time // set while an update is owed
	for {
		owed := true
		select {
		case <-ctx.Done():
			return
		case _, open := <-changes:
			if !open {
				changes, owed = nil, false
			}
		case <-woken:
		case <-refresh.C:
		case <-beat.C:
			if owed = false; !s.send("beat", struct{}{}) || !s.flush() {
				return
			}
		case <-due:
			if due, owed = nil, false; !s.update(ctx) {
				return
			}
			last = time.Now()
		}
		if owed && due == nil {
			due = time.After(max(0, eventGap-time.Since(last)))
		}
	}
}

// update sends what differs from what was sent before. It reports whether the stream is to go on.
func (s *stream) update(ctx context.Context) bool {
	screen, ok, err := s.console.paint(ctx, s.page)
	if err != nil {
		s.console.log.Error("render page", "path", s.page.Path, "error", err)
	}
	if err != nil || !ok {
		if !s.begun {
			http.Error(s.w, "there is no such page", http.StatusNotFound)
			return false
		}
		return ctx.Err() == nil && s.send("gone", struct{}{}) && s.flush() && err != nil
	}
	s.begin()
	return s.difference(screen) && s.flush()
}

func (s *stream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
}

func (s *stream) difference(screen screen) bool {
	if screen.Title != s.title && !s.send("title", map[string]string{"title": screen.Title}) {
		return false
	}
	fresh := map[string]template.HTML{screen.Nav.ID: screen.Nav.HTML}
	for _, f := range screen.Fragments {
		fresh[f.ID] = f.HTML
	}
	if ids := screen.ids(); ids != s.ids {
		page, err := s.console.render(fragment{ID: "page", Template: "fragments", Data: screen.Fragments})
		if err != nil || !s.send("page", page) {
			return false
		}
		s.ids = ids
		s.sent = map[string]template.HTML{screen.Nav.ID: s.sent[screen.Nav.ID]}
		for _, f := range screen.Fragments {
			s.sent[f.ID] = f.HTML
		}
	}
	for _, f := range append(screen.Fragments, screen.Nav) {
		if s.sent[f.ID] != f.HTML && !s.send("fragment", f) {
			return false
		}
	}
	s.title, s.sent = screen.Title, fresh
	return true
}

// send writes one event and reports whether it could.
func (s *stream) send(event string, data any) bool {
	body, err := json.Marshal(data)
	if err != nil {
		s.console.log.Error("write event", "event", event, "error", err)
		return false
	}
	// Not every ResponseWriter has deadlines; the server's own then apply.
	_ = s.control.SetWriteDeadline(time.Now().Add(eventWrite))
	_, err = fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", event, body)
	return err == nil
}

func (s *stream) flush() bool { return s.control.Flush() == nil }

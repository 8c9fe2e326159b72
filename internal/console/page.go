package console

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"gatehouse/internal/words"
	"hash/fnv"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed templates
var templateFiles embed.FS

func parseTemplates(a *assets) (*template.Template, error) {
	t, err := template.New("").Funcs(template.FuncMap{"asset": a.url}).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse built-in pages: %w", err)
	}
	return t, nil
}

// The keys of the pages.
const (
	pageOverview     = "overview"
	pageConnectivity = "connectivity"
	pageFarms        = "farms"
	pageMemory       = "memory"
	pageProcess      = "process"
	pageAPI          = "api"
)

// fragment is a part of a page that is brought up to date by itself. ID is unique in the page and stays the same for the
// same thing.
type fragment struct {
	ID       string
	Class    string
	Template string
	Data     any
}

// view is one page with everything on it.
type view struct {
	Key       string
	Heading   string
	Fragments []fragment
}

// rendered is a fragment as HTML.
type rendered struct {
	ID    string        `json:"id"`
	Class string        `json:"-"`
	HTML  template.HTML `json:"html"`
}

// screen is a rendered page: what the layout shows and what a stream compares.
type screen struct {
	Key       string
	Title     string // of the window, with the number of problems
	Heading   string
	Nav       rendered
	Fragments []rendered
	EventsURL string
	Zone      string
	Offset    int // of the zone, in minutes east of UTC
	Version   string
	Notice    *outcome
}

// ids names the screen's fragments in their order; two screens with equal ids differ in their fragments' content only.
func (s screen) ids() string {
	var b strings.Builder
	for _, f := range s.Fragments {
		b.WriteString(f.ID)
		b.WriteByte(' ')
	}
	return b.String()
}

// anchor makes an id from any name: letters, digits and a dash.
func anchor(kind, name string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return fmt.Sprintf("%s-%x", kind, h.Sum64())
}

// paint builds and renders the page at u. It reports false when there is no such page.
func (c *Console) paint(ctx context.Context, u *url.URL) (screen, bool, error) {
	w := c.look(ctx)
	v, ok := c.view(ctx, w, u)
	if !ok {
		return screen{}, false, nil
	}
	problems := w.problems()
	_, offset := w.clock.Now.Zone()
	s := screen{Key: v.Key, Heading: v.Heading, Title: v.Heading + " · gatehouse", Zone: w.clock.Zone(), Offset: offset / 60,
		EventsURL: "/events?page=" + url.QueryEscape(u.RequestURI()), Version: w.supervisor.Value.Version}
	if len(problems) > 0 {
		s.Title = fmt.Sprintf("(%d) %s", len(problems), s.Title)
	}
	var err error
	if s.Nav, err = c.render(fragment{ID: "nav", Template: "nav", Data: navigation(v.Key, problems)}); err != nil {
		return s, true, err
	}
	for _, f := range v.Fragments {
		r, err := c.render(f)
		if err != nil {
			return s, true, err
		}
		s.Fragments = append(s.Fragments, r)
	}
	return s, true, nil
}

func (c *Console) view(ctx context.Context, w world, u *url.URL) (view, bool) {
	switch path := u.Path; path {
	case "/":
		return w.overview(), true
	case "/connectivity":
		return c.connectivity(ctx, w), true
	case "/farms":
		return w.farmsView(), true
	case "/memory":
		return w.memory(), true
	case "/docs/api":
		return c.apiView(), true
	default:
		id, found := strings.CutPrefix(path, "/memory/")
		if !found {
			return view{}, false
		}
		return w.process(id, u.Query().Get("span"))
	}
}

func (c *Console) render(f fragment) (rendered, error) {
	var b bytes.Buffer
	if err := c.templates.ExecuteTemplate(&b, f.Template, f.Data); err != nil {
		return rendered{}, fmt.Errorf("render %s: %w", f.ID, err)
	}
	return rendered{f.ID, f.Class, template.HTML(b.String())}, nil //nolint:gosec // html/template wrote it
}

// tab is an entry of the navigation.
type tab struct {
	Name, URL string
	Current   bool // the page shown, or the one above it
	Problems  int
	Tone      tone
}

func navigation(key string, problems []problem) []tab {
	tabs := []tab{{Name: "Overview", URL: "/"}, {Name: "Connectivity", URL: "/connectivity"}, {Name: "Farms", URL: "/farms"}, {Name: "Memory", URL: "/memory"}}
	keys := []string{pageOverview, pageConnectivity, pageFarms, pageMemory}
	if key == pageProcess {
		key = pageMemory
	}
	for i := range tabs {
		tabs[i].Current = keys[i] == key
		for _, p := range problems {
			if i == 0 || p.Page == keys[i] {
				if tabs[i].Problems++; tabs[i].Tone != toneFail {
					tabs[i].Tone = p.Tone
				}
			}
		}
	}
	return tabs
}

func (c *Console) servePage(w http.ResponseWriter, r *http.Request) {
	c.writePage(w, r, r.URL, http.StatusOK, nil)
}

// writePage writes the page at u, with the outcome of an action above it where there is one.
func (c *Console) writePage(w http.ResponseWriter, r *http.Request, u *url.URL, status int, o *outcome) {
	s, ok, err := c.paint(r.Context(), u)
	if err != nil {
		c.log.Error("render page", "path", u.Path, "error", err)
		http.Error(w, "the page could not be rendered; the log says why", http.StatusInternalServerError)
		return
	}
	if !ok {
		c.serveMissing(w, r)
		return
	}
	s.Notice = o
	c.writeLayout(w, s, status)
}

func (c *Console) writeLayout(w http.ResponseWriter, s screen, status int) {
	var b bytes.Buffer
	if err := c.templates.ExecuteTemplate(&b, "layout", s); err != nil {
		c.log.Error("render layout", "page", s.Key, "error", err)
		http.Error(w, "the page could not be rendered; the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // an error means that the browser has gone
}

func (c *Console) serveMissing(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		c.writeError(w, http.StatusNotFound, "there is no "+r.URL.Path)
		return
	}
	now := words.Clock{Now: c.now()}
	s := screen{Title: "Not found · gatehouse", Heading: "Not found", Zone: now.Zone()}
	var err error
	if s.Nav, err = c.render(fragment{ID: "nav", Template: "nav", Data: navigation("", nil)}); err == nil {
		var f rendered
		f, err = c.render(fragment{ID: "missing", Template: "missing", Data: r.URL.Path})
		s.Fragments = []rendered{f}
	}
	if err != nil {
		http.NotFound(w, r)
		return
	}
	c.writeLayout(w, s, http.StatusNotFound)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, `{"error":"the answer could not be written as JSON"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // an error means that the client has gone
}

package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gatehouse/internal/console"
	"gatehouse/internal/console/consoletest"
	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/trend"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newConsole(t *testing.T, o console.Options) *console.Console {
	t.Helper()
	c, err := console.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// request asks as a browser on this machine would; headers are pairs of name and value.
func request(t *testing.T, h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:7480"
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(t *testing.T, h http.Handler, target string) string {
	t.Helper()
	w := request(t, h, "GET", target, "")
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
	}
	return w.Body.String()
}

// section returns the section of a page that contains a text.
func section(t *testing.T, page, text string) string {
	t.Helper()
	for _, s := range regexp.MustCompile(`(?s)<section .*?</section>`).FindAllString(page, -1) {
		if strings.Contains(s, text) {
			return s + "\n"
		}
	}
	t.Fatalf("no section contains %q", text)
	return ""
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (write anew with -update):\n%s", name, diff)
	}
}

func TestGoldenFragments(t *testing.T) {
	c := newConsole(t, consoletest.New(moment).Options())
	overview := get(t, c, "/")
	for _, test := range []struct{ file, page, text string }{
		{"attention.html", overview, "things need attention"},
		{"groups.html", overview, `class="tiles"`},
		{"farm-lines.html", overview, "<h2>Farms"},
		{"workers.html", overview, "<h2>Workers"},
		{"process-lines.html", overview, "<h2>Memory"},
		{"verifier.html", get(t, c, "/connectivity"), "shop/uniform"},
		{"farm.html", get(t, c, "/farms"), "whiskey"},
		{"process.html", get(t, c, "/memory"), "shop backend"},
		{"process-alone.html", get(t, c, "/memory/w3svc-2204?span=30d"), "shop backend"},
		{"api.html", get(t, c, "/docs/api"), "/api/status"},
	} {
		t.Run(test.file, func(t *testing.T) { golden(t, test.file, section(t, test.page, test.text)) })
	}
	golden(t, "chart.svg", get(t, c, "/memory/search-5120/chart.svg?span=1h"))
}

func TestTitleCountsProblems(t *testing.T) {
	for name, test := range map[string]struct {
		world *consoletest.World
		title string
	}{
		"bad day": {consoletest.New(moment), "<title>(10) Farms · gatehouse</title>"},
		"calm":    {consoletest.Calm(moment), "<title>Farms · gatehouse</title>"},
	} {
		t.Run(name, func(t *testing.T) {
			if page := get(t, newConsole(t, test.world.Options()), "/farms"); !strings.Contains(page, test.title) {
				t.Errorf("no %s in the page", test.title)
			}
		})
	}
	if page := get(t, newConsole(t, consoletest.Calm(moment).Options()), "/"); !strings.Contains(page, "Nothing needs attention") {
		t.Error("a calm overview does not say that nothing needs attention")
	}
}

// TestSilentParts sees each page say in place who does not answer, with what was last known below, and never break.
func TestSilentParts(t *testing.T) {
	for _, test := range []struct{ part, path, known string }{
		{"supervisor", "/", "18822"},
		{"verify", "/connectivity", "shop/uniform"},
		{"verify", "/", "3 of 5 answer"},
		{"edge", "/farms", "whiskey"},
		{"watch", "/memory", "session cache"},
		{"watch", "/memory/w3svc-2204", "Leaks 23.4 MB a day"},
	} {
		t.Run(test.part+test.path, func(t *testing.T) {
			never := consoletest.New(moment)
			never.Silence(test.part, errors.New("dial: <refused>"))
			page := get(t, newConsole(t, never.Options()), test.path)
			if !strings.Contains(page, test.part+" does not answer:</b> dial: &lt;refused&gt;. Nothing is known of it yet.") {
				t.Errorf("a part that never answered is not named:\n%s", page)
			}
			synctest.Test(t, func(t *testing.T) {
				world := consoletest.New(moment)
				c := newConsole(t, world.Options())
				_ = get(t, c, test.path)
				world.Silence(test.part, errors.New("dial: <refused>"))
				time.Sleep(time.Second) // in the bubble: answers are shared for a moment
				page = get(t, c, test.path)
			})
			if !strings.Contains(page, test.part+" does not answer:</b> dial: &lt;refused&gt;. What is shown was last known at") {
				t.Errorf("a part that fell silent is not named:\n%s", page)
			}
			if !strings.Contains(page, test.known) {
				t.Errorf("%q is no longer shown", test.known)
			}
		})
	}
}

func TestZeroOptions(t *testing.T) {
	c := newConsole(t, console.Options{})
	for _, p := range pages[:4] {
		if page := get(t, c, p.path); !strings.Contains(page, "not connected") {
			t.Errorf("%s does not say that nothing is connected", p.path)
		}
	}
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/api/status", 200}, {"GET", "/api/farms", 502}, {"GET", "/api/verifiers", 502}, {"GET", "/api/processes", 502},
		{"GET", "/api/verifiers/a/results", 502}, {"GET", "/api/processes/a/chart", 502}, {"POST", "/api/verifiers/a/check", 502},
		{"POST", "/api/farms/a/members/b/drain", 502}, {"GET", "/metrics", 404}, {"GET", "/api/v1/query", 404}, {"GET", "/healthz", 200},
	} {
		if w := request(t, c, test.method, test.path, ""); w.Code != test.status {
			t.Errorf("%s %s: %d, want %d: %s", test.method, test.path, w.Code, test.status, w.Body)
		}
	}
}

func TestGuard(t *testing.T) {
	const drain = "/api/farms/shop/members/tango/drain"
	for _, test := range []struct {
		name, address, method, path string
		status                      int
		headers                     []string
	}{
		{"loopback address", "", "GET", "/", 200, nil},
		{"localhost", "", "GET", "/", 200, []string{"Host", "LOCALHOST.:7480"}},
		{"IPv6 loopback", "", "GET", "/", 200, []string{"Host", "[::1]:7480"}},
		{"rebound name", "", "GET", "/api/farms", 421, []string{"Host", "evil.example"}},
		{"name that begins like loopback", "", "GET", "/", 421, []string{"Host", "127.0.0.1.evil.example:7480"}},
		{"other address", "", "GET", "/", 421, []string{"Host", "10.1.2.3:7480"}},
		{"no host", "", "GET", "/", 421, []string{"Host", ""}},
		{"health too", "", "GET", "/healthz", 421, []string{"Host", "evil.example"}},
		{"configured name", "gate.corp.example:7480", "GET", "/", 200, []string{"Host", "gate.corp.example:7480"}},
		{"configured address", "10.1.2.3:7480", "GET", "/", 200, []string{"Host", "10.1.2.3:7480"}},
		{"any address when it listens on all", ":7480", "GET", "/", 200, []string{"Host", "10.1.2.3:7480"}},
		{"but no name", "0.0.0.0:7480", "GET", "/", 421, []string{"Host", "evil.example"}},
		{"script", "", "POST", drain, 200, nil},
		{"own page", "", "POST", drain, 200, []string{"Sec-Fetch-Site", "same-origin"}},
		{"other site", "", "POST", drain, 403, []string{"Sec-Fetch-Site", "cross-site"}},
		{"same site, other port", "", "POST", drain, 403, []string{"Sec-Fetch-Site", "same-site"}},
		{"old browser, other origin", "", "POST", drain, 403, []string{"Origin", "http://evil.example"}},
		{"old browser, own origin", "", "POST", drain, 200, []string{"Origin", "http://127.0.0.1:7480"}},
		{"sandboxed page", "", "POST", drain, 403, []string{"Origin", "null"}},
		{"an action is no GET", "", "GET", drain, 405, nil},
		{"form of another site", "", "POST", "/farms/shop/members/tango/remove", 403, []string{"Sec-Fetch-Site", "cross-site"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			world := consoletest.New(moment)
			o := world.Options()
			o.Address = test.address
			w := request(t, newConsole(t, o), test.method, test.path, "", test.headers...)
			if w.Code != test.status && (test.status != 405 || w.Code != 404) {
				t.Errorf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if done := len(world.Actions()); w.Code >= 400 && done != 0 {
				t.Errorf("refused, and done all the same")
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			policy := w.Header().Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
				if !strings.Contains(policy, part) {
					t.Errorf("the content policy lacks %s: %s", part, policy)
				}
			}
		})
	}
}

func TestFarmActionByAPI(t *testing.T) {
	for _, test := range []struct {
		name, path string
		status     int
		want       string // in the answer
		done       []consoletest.Action
	}{
		{"drain with a deadline", "shop/members/tango/drain?deadline=25m", 200, `"mode": "draining"`, []consoletest.Action{{Farm: "shop", Member: "tango", Action: "drain", Deadline: 25 * time.Minute}}},
		{"drain with the farm's own", "shop/members/tango/drain", 200, `"deadline": "2026-11-22T14:12:11Z"`, []consoletest.Action{{Farm: "shop", Member: "tango", Action: "drain"}}},
		{"resume", "shop/members/whiskey/resume", 200, `"mode": "active"`, []consoletest.Action{{Farm: "shop", Member: "whiskey", Action: "resume"}}},
		{"remove", "mail/members/one/remove", 200, `"mode": "removed"`, []consoletest.Action{{Farm: "mail", Member: "one", Action: "remove"}}},
		{"no such member", "shop/members/zulu/drain", 404, "farm shop has no member zulu", nil},
		{"no such action", "shop/members/tango/explode", 404, `there is no action \"explode\"`, nil},
		{"deadline in no unit", "shop/members/tango/drain?deadline=25", 400, "is not a duration", nil},
		{"deadline in the past", "shop/members/tango/drain?deadline=-5m", 400, "is not a duration", nil},
		{"deadline too far", "shop/members/tango/drain?deadline=169h", 400, "is not a duration", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			world := consoletest.New(moment)
			c := newConsole(t, world.Options())
			_ = get(t, c, "/api/farms") // the answer after the action must not be this one
			w := request(t, c, "POST", "/api/farms/"+test.path, "")
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("%d %s; want %d with %s", w.Code, w.Body, test.status, test.want)
			}
			if diff := cmp.Diff(test.done, world.Actions()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestForms are the forms as they come without scripts and as htmx sends them.
func TestForms(t *testing.T) {
	for _, test := range []struct {
		name, path, body string
		htmx             bool
		status           int
		location, want   string
	}{
		{"drain", "/farms/shop/members/tango/drain", "deadline=15m", false, 303, "/farms#farm-", ""},
		{"drain by htmx", "/farms/shop/members/tango/drain", "deadline=15m", true, 200, "", `<p class="banner ok">`},
		{"bad deadline shows the page again", "/farms/shop/members/tango/drain", "deadline=soon", false, 400, "", "Farms</h1>"},
		{"and says why", "/farms/shop/members/tango/drain", "deadline=soon", false, 400, "", "is not a duration"},
		{"bad deadline by htmx", "/farms/shop/members/tango/drain", "deadline=soon", true, 400, "", `<p class="banner fail">`},
		{"check now", "/connectivity/shop%2Funiform/check", "", false, 303, "/connectivity#verifier-", ""},
		{"check now by htmx", "/connectivity/shop%2Funiform/check", "", true, 200, "", "shop/uniform: refused in"},
		{"check of none", "/connectivity/nobody/check", "", true, 404, "", "verifier nobody: not found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			headers := []string{"Sec-Fetch-Site", "same-origin"}
			if test.htmx {
				headers = append(headers, "HX-Request", "true")
			}
			w := request(t, newConsole(t, consoletest.New(moment).Options()), "POST", test.path, test.body, headers...)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) || !strings.HasPrefix(w.Header().Get("Location"), test.location) {
				t.Errorf("%d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
			}
		})
	}
}

func TestAPI(t *testing.T) {
	world := consoletest.New(moment)
	c := newConsole(t, world.Options())
	decode := func(path string, into any) {
		t.Helper()
		if err := json.Unmarshal([]byte(get(t, c, path)), into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	var status struct {
		Problems   []struct{ Severity, Title string }
		Supervisor struct{ PID int }
		Silent     map[string]string
	}
	decode("/api/status", &status)
	if len(status.Problems) != 10 || status.Problems[0].Severity != "fail" || status.Problems[9].Severity != "warn" || status.Supervisor.PID != 4120 || len(status.Silent) != 0 {
		t.Errorf("status is %+v", status)
	}
	var verifiers []state.Status
	decode("/api/verifiers", &verifiers)
	var results []state.Result
	decode("/api/verifiers/"+url.PathEscape("shop/uniform")+"/results", &results)
	if len(verifiers) != 12 || len(results) != 120 || !results[119].At.After(results[0].At) {
		t.Errorf("%d verifiers, %d results", len(verifiers), len(results))
	}
	var farms []farm.Snapshot
	decode("/api/farms", &farms)
	var processes []watch.Process
	decode("/api/processes", &processes)
	if len(farms) != 2 || len(processes) != 7 || processes[0].Finding.Verdict != trend.Leak {
		t.Errorf("%d farms, %d processes", len(farms), len(processes))
	}
	var chart watch.Chart
	decode("/api/processes/w3svc-2204/chart?span=6h", &chart)
	if n := len(chart.Times); n == 0 || len(chart.Memory) != n || len(chart.Floor) != n || len(chart.Trend) != n || chart.Times[n-1]-chart.Times[0] != 6*3600 {
		t.Errorf("the chart has %d times", len(chart.Times))
	}
	for path, want := range map[string]int{
		"/api/processes/none/chart": 404, "/api/processes/w3svc-2204/chart?span=x": 400, "/api/verifiers/none/results": 404, "/api/nothing": 404, "/nothing": 404, "/memory/none": 404, "/memory/none/chart.svg": 404,
	} {
		if w := request(t, c, "GET", path, ""); w.Code != want {
			t.Errorf("GET %s: %d, want %d", path, w.Code, want)
		}
	}
}

func TestAPIGivesNoOldAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := consoletest.New(moment)
		c := newConsole(t, world.Options())
		_ = get(t, c, "/api/farms")
		world.Silence("edge", errors.New("gone away"))
		time.Sleep(time.Second) // in the bubble: answers are shared for a moment
		if w := request(t, c, "GET", "/api/farms", ""); w.Code != 502 || !strings.Contains(w.Body.String(), "edge does not answer: gone away") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestEmptyListsAreLists(t *testing.T) {
	c := newConsole(t, console.Options{
		Verifiers: func(context.Context) ([]state.Status, error) { return nil, nil },
		Results:   func(context.Context, string) ([]state.Result, error) { return nil, nil },
		Farms:     func(context.Context) ([]farm.Snapshot, error) { return nil, nil },
		Processes: func(context.Context) ([]watch.Process, error) { return nil, nil },
	})
	for _, path := range []string{"/api/verifiers", "/api/verifiers/x/results", "/api/farms", "/api/processes"} {
		if body := get(t, c, path); strings.TrimSpace(body) != "[]" {
			t.Errorf("%s: %s", path, body)
		}
	}
	for path, text := range map[string]string{"/connectivity": "No connectivity verifiers are configured", "/farms": "No web farms are configured", "/memory": "No process is watched yet"} {
		if !strings.Contains(get(t, c, path), text) {
			t.Errorf("%s does not say %q", path, text)
		}
	}
}

// TestHostileNames puts markup into every name that comes from outside.
func TestHostileNames(t *testing.T) {
	const evil = `"><script>alert(1)</script>/../%00`
	o := consoletest.New(moment).Options()
	o.Verifiers = func(context.Context) ([]state.Status, error) {
		return []state.Status{{Verifier: evil, Kind: evil, Target: evil, Group: evil, Farm: evil, State: evil, Reason: evil, Last: &state.Result{State: evil, Reason: evil, Evidence: []string{evil}}}}, nil
	}
	o.Results = func(context.Context, string) ([]state.Result, error) {
		return []state.Result{{State: evil, Reason: evil, Evidence: []string{evil}, Address: evil}}, nil
	}
	o.Farms = func(context.Context) ([]farm.Snapshot, error) {
		return []farm.Snapshot{{Name: evil, Balance: evil, Affinity: evil, Members: []farm.MemberSnapshot{{Name: evil, URL: "javascript:" + evil, State: evil, Reason: evil}}}}, nil
	}
	o.Processes = func(context.Context) ([]watch.Process, error) {
		return []watch.Process{{ID: evil, Name: evil, Error: evil, Worker: evil, Values: map[string]float64{evil: 1},
			Finding: &trend.Finding{Verdict: evil, Evidence: []trend.Evidence{{Rule: evil, Text: evil}}, Drivers: []trend.Driver{{Counter: evil}}}}}, nil
	}
	c := newConsole(t, o)
	for _, path := range []string{"/", "/connectivity", "/farms", "/memory", "/memory/" + url.PathEscape(evil)} {
		page := get(t, c, path)
		if strings.Contains(page, "<script>alert") || strings.Contains(page, `href="javascript:`) {
			t.Errorf("%s carries the markup of a name", path)
		}
	}
}

func TestAssets(t *testing.T) {
	c := newConsole(t, console.Options{})
	page := get(t, c, "/")
	paths := regexp.MustCompile(`(?:src|href)="(/static/[0-9a-f]{12}/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(paths) != 7 {
		t.Fatalf("the page names %d files", len(paths))
	}
	for _, p := range paths {
		w := request(t, c, "GET", p[1], "")
		if w.Code != 200 || w.Body.Len() == 0 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("ETag") == "" {
			t.Errorf("%s: %d %v", p[1], w.Code, w.Header())
		}
		if again := request(t, c, "GET", p[1], "", "If-None-Match", w.Header().Get("ETag")); again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("%s is sent again: %d", p[1], again.Code)
		}
	}
	if w := request(t, c, "GET", "/static/000000000000/app.css", ""); w.Code != 404 {
		t.Errorf("a file with another hash: %d", w.Code)
	}
	if w := request(t, c, "GET", "/favicon.ico", ""); w.Code != 302 {
		t.Errorf("favicon: %d", w.Code)
	}
	if regexp.MustCompile(`<script(?:>| [^>]*>[^<])|<style| style=| on[a-z]+=|https?://[^<"]*\.js`).MatchString(page) {
		t.Error("the page has inline script or style, or asks another site for a script")
	}
}

package procmem

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serve answers with the handler and gives a Scraper and the address.
func serve(t *testing.T, o ScrapeOptions, h http.Handler) (*Scraper, string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s := NewScraper(o)
	t.Cleanup(s.Close)
	return s, server.URL
}

func TestScrapeMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s, url := serve(t, ScrapeOptions{}, promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	v, err := s.Metrics(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Counter{HeapInUse, HeapReleased, Goroutines, RSS, Virtual, CPUSeconds} {
		if _, ok := v.Get(c); !ok {
			t.Errorf("no %s", c)
		}
	}
	own := Runtime()
	heap, _ := own.Get(HeapInUse)
	scraped, _ := v.Get(HeapInUse)
	if ratio := scraped / heap; ratio < 0.5 || ratio > 2 {
		t.Errorf("heap in use: %v by the page, %v by the runtime", scraped, heap)
	}
}

func TestScrapePprof(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	s, url := serve(t, ScrapeOptions{}, mux)
	v, err := s.Pprof(t.Context(), url+"/debug/pprof/")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Counter{HeapInUse, HeapReleased, Goroutines} {
		if x, ok := v.Get(c); !ok || (c != HeapReleased && x <= 0) {
			t.Errorf("%s: %v, %v", c, x, ok)
		}
	}
}

func TestScrapeRefuses(t *testing.T) {
	big := "go_goroutines 5\n# " + strings.Repeat("x", 4096) + "\n"
	for name, row := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"too large":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, big) }, errTooLarge.Error()},
		"no metric":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "other 1\n") }, "no go_ or process_ metric"},
		"not a page": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "parse metrics page"},
		"error":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "403"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, "302"},
	} {
		s, url := serve(t, ScrapeOptions{MaxBytes: 1024}, row.handler)
		if _, err := s.Metrics(t.Context(), url); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, row.want)
		}
	}
}

func TestParseHeapPage(t *testing.T) {
	page := "heap profile: 1: 2 [3: 4] @ heap/1048576\n" + strings.Repeat("0x1 ", 4000) + "# HeapInuse = 9\n" +
		"\n# runtime.MemStats\n# Alloc = 7\n# HeapInuse = 4096\n# HeapReleased = 0\n# NumGC = 3\n"
	var v Values
	if err := parseHeapPage(strings.NewReader(page), &v); err != nil {
		t.Fatal(err)
	}
	if x, _ := v.Get(HeapInUse); x != 4096 {
		t.Errorf("heap in use: %v", x)
	}
	if x, ok := v.Get(HeapReleased); x != 0 || !ok {
		t.Errorf("heap released: %v, %v; zero is a value", x, ok)
	}
	if err := parseHeapPage(strings.NewReader("nothing"), &v); err == nil {
		t.Error("no error for a page without the line")
	}
	if err := parseGoroutinePage(strings.NewReader("goroutine profile: total 17\n1 @ 0x1\n"), &v); err != nil {
		t.Error(err)
	}
	if x, _ := v.Get(Goroutines); x != 17 {
		t.Errorf("goroutines: %v", x)
	}
	if err := parseGoroutinePage(strings.NewReader("x\ngoroutine profile: total 17\n"), &v); err == nil {
		t.Error("no error where the first line is another")
	}
}

func FuzzScrape(f *testing.F) {
	f.Add([]byte("# TYPE go_goroutines gauge\ngo_goroutines 12\ngo_memstats_heap_inuse_bytes 1e6\n"))
	f.Add([]byte("go_goroutines{a=\"b\"} NaN\n"))
	f.Add([]byte("# HeapInuse = 12\ngoroutine profile: total 3\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v Values
		if m, err := parseMetrics(bytes.Clone(text)); err == nil {
			v.Merge(&m)
		}
		_ = parseHeapPage(bytes.NewReader(text), &v)
		_ = parseGoroutinePage(bytes.NewReader(text), &v)
		for name, x := range v.Map() {
			if !(x >= 0) {
				t.Errorf("%s: %v", name, x)
			}
		}
	})
}

package procmem

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// Bounds on what a scraped program may send.
const (
	defaultScrapeTimeout = 5 * time.Second
	defaultScrapeBytes   = 16 << 20
)

// ScrapeOptions bounds scraping. The zero value is right.
type ScrapeOptions struct {
	Transport http.RoundTripper // nil makes one of its own, which uses no proxy
	Timeout   time.Duration     // for a whole scrape; 0 is 5 s
	MaxBytes  int64             // of a body after decompression; 0 is 16 MiB
}

// Scraper asks Go programs for what their runtime knows. It follows no redirect. It may be used by many goroutines.
type Scraper struct {
	client   *http.Client
	maxBytes int64
}

// NewScraper makes a Scraper; Close ends its idle connections.
func NewScraper(o ScrapeOptions) *Scraper {
	if o.Transport == nil {
		o.Transport = &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultScrapeTimeout
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultScrapeBytes
	}
	return &Scraper{
		client: &http.Client{
			Transport:     o.Transport,
			Timeout:       o.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		maxBytes: o.MaxBytes,
	}
}

// Close ends idle connections.
func (s *Scraper) Close() { s.client.CloseIdleConnections() }

// Metrics reads a Prometheus metrics page: the go_memstats_*, go_goroutines and process_* metrics of client libraries.
// A page with none of them is an error.
func (s *Scraper) Metrics(ctx context.Context, url string) (Values, error) {
	var v Values
	err := s.get(ctx, url, func(body io.Reader) error {
		text, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		v, err = parseMetrics(text)
		return err
	})
	if err != nil {
		return Values{}, fmt.Errorf("scrape metrics: %w", err)
	}
	return v, nil
}

// Pprof reads the heap and goroutine pages of net/http/pprof below the base URL. It does not ask for a collection.
func (s *Scraper) Pprof(ctx context.Context, base string) (Values, error) {
	base = strings.TrimSuffix(base, "/")
	var v Values
	err := s.get(ctx, base+"/heap?debug=1", func(body io.Reader) error { return parseHeapPage(body, &v) })
	if err != nil {
		return Values{}, fmt.Errorf("scrape heap profile: %w", err)
	}
	err = s.get(ctx, base+"/goroutine?debug=1", func(body io.Reader) error { return parseGoroutinePage(body, &v) })
	if err != nil {
		return Values{}, fmt.Errorf("scrape goroutine profile: %w", err)
	}
	return v, nil
}

var errTooLarge = errors.New("the answer is too large")

func (s *Scraper) get(ctx context.Context, url string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // what matters has been read
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, res.Status)
	}
	return read(&bounded{res.Body, s.maxBytes})
}

// bounded fails, where io.LimitReader would pretend the end, so that half a page is not taken for a whole one.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// parseMetrics reads the Prometheus text format.
func parseMetrics(text []byte) (v Values, err error) {
	p := textparse.NewPromParser(text, labels.NewSymbolTable(), false)
	found := false
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Values{}, fmt.Errorf("parse metrics page: %w", err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		series, _, value := p.Series()
		name, _, _ := bytes.Cut(series, []byte("{"))
		if c, ok := metricCounter(string(name)); ok && value >= 0 && !math.IsInf(value, 0) {
			v.Set(c, value)
			found = true
		}
	}
	if !found {
		return Values{}, errors.New("parse metrics page: no go_ or process_ metric that is known")
	}
	return v, nil
}

func metricCounter(name string) (Counter, bool) {
	switch name {
	case "go_memstats_heap_inuse_bytes":
		return HeapInUse, true
	case "go_memstats_heap_released_bytes":
		return HeapReleased, true
	case "go_goroutines":
		return Goroutines, true
	case "process_resident_memory_bytes":
		return RSS, true
	case "process_virtual_memory_bytes":
		return Virtual, true
	case "process_open_fds":
		return FDs, true
	case "process_cpu_seconds_total":
		return CPUSeconds, true
	}
	return 0, false
}

// parseHeapPage finds the runtime.MemStats lines, "# HeapInuse = 123", that end a heap profile written as text.
func parseHeapPage(body io.Reader, v *Values) error {
	found := false
	err := lines(body, func(line []byte) bool {
		rest, ok := bytes.CutPrefix(line, []byte("# Heap"))
		if !ok {
			return true
		}
		key, value, ok := bytes.Cut(rest, []byte(" = "))
		n, isNumber := parseUint(value)
		if !ok || !isNumber {
			return true
		}
		switch string(key) {
		case "Inuse":
			v.Set(HeapInUse, float64(n))
			found = true
		case "Released":
			v.Set(HeapReleased, float64(n))
		}
		return true
	})
	if err == nil && !found {
		err = errors.New("parse heap profile: no HeapInuse line")
	}
	return err
}

// parseGoroutinePage reads the first line, "goroutine profile: total 12", and leaves the rest unread.
func parseGoroutinePage(body io.Reader, v *Values) error {
	var n uint64
	var ok bool
	err := lines(body, func(line []byte) bool {
		if rest, has := bytes.CutPrefix(line, []byte("goroutine profile: total ")); has {
			n, ok = parseUint(bytes.TrimSpace(rest))
		}
		return false
	})
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("parse goroutine profile: no total in the first line")
	}
	v.Set(Goroutines, float64(n))
	return nil
}

// lines calls each for every line until it answers false. Of a line longer than the buffer only the beginning is seen:
// what is looked for is short.
func lines(body io.Reader, each func(line []byte) bool) error {
	r := bufio.NewReaderSize(body, 4<<10)
	whole := true
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 && whole && !each(bytes.TrimRight(line, "\r\n")) {
			return nil
		}
		whole = !errors.Is(err, bufio.ErrBufferFull)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && whole {
			return err
		}
	}
}

// Runtime gives what the runtime of this very process knows: HeapInUse, HeapReleased and Goroutines.
func Runtime() Values {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(samples)
	n := func(i int) float64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return float64(samples[i].Value.Uint64())
	}
	var v Values
	v.Set(HeapInUse, n(0)+n(1))
	v.Set(HeapReleased, n(2))
	v.Set(Goroutines, n(3))
	return v
}

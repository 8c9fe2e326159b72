// Package watch is the way from sample to verdict for every watched process: it samples gatehouse's own workers and the
// processes that the configuration names, stores what it reads, and from time to time has the history of each judged.
//
// A process that takes the place of one that has ended (a worker started again, a service restarted) continues its
// history: the verdict sees one process with a restart. Verdicts, and which processes continue which, are kept in a
// file and survive the end of the watch.
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/series"
	"gatehouse/internal/memory/trend"
)

// Defaults of Options.
const (
	defaultInterval     = 15 * time.Second
	defaultLook         = 5 * time.Minute
	defaultMaxProcesses = 1000
)

// windowHours is how far back a verdict looks: 14 days, in Options.Hour.
const windowHours = 14 * 24

// Store keeps the samples; *series.Store is one.
type Store interface {
	Append(ctx context.Context, at time.Time, points []series.Point) (refused int, err error)
	Range(ctx context.Context, metric string, matches []series.Match, from, to time.Time, step time.Duration) ([]series.Series, error)
}

// Judge gives the verdict on one process; trend.JudgeWithCurves is it.
type Judge func(trend.Input, trend.Options) (trend.Finding, trend.Curves)

// Selector names processes to watch. Exactly one of PID, Process, Command, Unit and Cgroup is set (procmem.Query says
// what each means); every process that it means is watched, each with a verdict of its own.
type Selector struct {
	Name    string // unique; what the processes are called
	PID     int
	Process string
	Command string
	Unit    string
	Cgroup  string

	// Metrics is the URL of a Prometheus metrics page, Pprof the base URL of net/http/pprof. They are read while exactly
	// one process is selected, since nothing would tell which one answers.
	Metrics, Pprof string
	LimitBytes     float64 // the size at which the process fails; 0 takes the limit of its control group
}

// Worker is one of gatehouse's own processes.
type Worker struct {
	Role       string
	PID        int
	LimitBytes float64 // its budget; 0 takes the limit of its control group
	// Runtime asks the worker for what its Go runtime knows; nil when it cannot be asked. It is called in every round
	// and must answer soon after ctx has ended.
	Runtime func(ctx context.Context) (procmem.Values, error)
}

// Options makes a Watch. Series is required; the zero value of all else is right.
type Options struct {
	Interval     time.Duration // between samples; 0 is 15 s
	Look         time.Duration // shortest time between two verdicts on one process; 0 is 5 minutes
	Hour         time.Duration // what the verdict on selected processes takes for an hour, see trend.Options; 0 is one hour
	Selectors    []Selector
	MaxProcesses int // most processes watched at once; those found beyond are left out with a warning. 0 is 1,000

	// Workers tells gatehouse's own processes now, Loads the activity so far by name, cumulative: requests, checks. Both
	// are asked in every round and must answer soon after ctx has ended. Nil is none.
	Workers func(ctx context.Context) ([]Worker, error)
	Loads   func(ctx context.Context) map[string]float64
	Series  Store
	Judge   Judge           // nil is trend.JudgeWithCurves
	File    string          // where verdicts are remembered (mode 0600); empty remembers none
	Proc    procmem.Options // for tests
	Scrape  procmem.ScrapeOptions
	Log     *slog.Logger     // nil logs nothing
	Now     func() time.Time // nil is time.Now
}

// Watch watches processes. Its methods may be called from any goroutine; only Run does work.
type Watch struct {
	options Options
	reader  *procmem.Reader
	scraper *procmem.Scraper
	changes changes

	mu        sync.Mutex
	selection *selection
	tracks    []*track
	full      bool // more processes were found than may be watched, and a warning was given

	// The sampler's own, not under mu.
	applied    *selection // the selection that the tracks were made by
	activities map[string]*series.Handle
	points     []series.Point
	appendDown bool // the last append failed, and this was logged
	scanDown   bool // the last scan did not see everything, and this was logged
	askDown    bool // Workers failed the last time, and this was logged

	detailSpent time.Duration // on smaps_rollup in this round
}

// selection is the selectors in force, ready to match.
type selection struct {
	selectors []Selector
	compiled  []*procmem.Selector
	scan      bool // at least one needs a scan of all processes
}

func compile(selectors []Selector) (*selection, error) {
	s := &selection{selectors: selectors}
	names := make(map[string]bool)
	for _, one := range selectors {
		if one.Name == "" || names[one.Name] {
			return nil, fmt.Errorf("watch processes: name %q is empty or given twice", one.Name)
		}
		names[one.Name] = true
		c, err := procmem.Compile(procmem.Query{PID: one.PID, Process: one.Process, Command: one.Command, Unit: one.Unit, Cgroup: one.Cgroup})
		if err != nil {
			return nil, fmt.Errorf("watch processes %q: %w", one.Name, err)
		}
		s.compiled = append(s.compiled, c)
		s.scan = s.scan || c.PID() == 0
	}
	return s, nil
}

// New makes a Watch and takes up what an earlier one remembered. The error says which selector is wrong, or why this
// system's processes cannot be read; a file of verdicts that cannot be read is set aside with a log line.
func New(o Options) (*Watch, error) {
	if o.Series == nil {
		return nil, errors.New("make memory watch: no store given")
	}
	o.setDefaults()
	chosen, err := compile(o.Selectors)
	if err != nil {
		return nil, err
	}
	reader, err := procmem.New(o.Proc)
	if err != nil {
		return nil, fmt.Errorf("make memory watch: %w", err)
	}
	w := &Watch{
		options:    o,
		reader:     reader,
		scraper:    procmem.NewScraper(o.Scrape),
		selection:  chosen,
		applied:    chosen,
		activities: make(map[string]*series.Handle),
	}
	w.recall()
	return w, nil
}

func (o *Options) setDefaults() {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.Look <= 0 {
		o.Look = defaultLook
	}
	if o.Hour <= 0 {
		o.Hour = time.Hour
	}
	if o.MaxProcesses <= 0 {
		o.MaxProcesses = defaultMaxProcesses
	}
	if o.Workers == nil {
		o.Workers = func(context.Context) ([]Worker, error) { return nil, nil }
	}
	if o.Loads == nil {
		o.Loads = func(context.Context) map[string]float64 { return nil }
	}
	if o.Judge == nil {
		o.Judge = trend.JudgeWithCurves
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Scrape.Timeout <= 0 {
		// A page that does not answer holds up its round.
		o.Scrape.Timeout = min(max(o.Interval/2, 250*time.Millisecond), 5*time.Second)
	}
}

// Run samples and looks until ctx ends, which is no error, and remembers the verdicts at the end. It is called once.
func (w *Watch) Run(ctx context.Context) error {
	defer w.scraper.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return every(ctx, w.options.Interval, w.sample) })
	g.Go(func() error { return every(ctx, w.lookTick(), w.lookAll) })
	err := g.Wait()
	w.remember()
	return err
}

// every calls do at once and then at every tick, until ctx ends. A tick that comes while do runs is not made up for.
func every(ctx context.Context, period time.Duration, do func(context.Context)) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		do(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Replace puts other selectors in force with the next sample. Processes that are still selected under the same name keep
// their history and verdict. On an error everything stays as it was.
func (w *Watch) Replace(selectors []Selector) error {
	chosen, err := compile(selectors)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.selection = chosen
	return nil
}

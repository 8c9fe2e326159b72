// Package series keeps time series on disk and answers PromQL over them. It wraps Prometheus' storage engine and query
// engine, whose Go interface changes between versions, so that the rest of the program is kept from that.
//
// A Store never keeps the program from starting because of what is on disk: a part of the folder that cannot be read is
// set aside under another name, with a log line, and a new one begun. The storage engine starts goroutines of its own in
// Open; they have ended when Close returns.
package series

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
)

// The engine's sizes. Its defaults are made for millions of series; here there are thousands, and the memory counts.
const (
	stripes          = 512
	walSegmentBytes  = 8 << 20
	chunkFileBytes   = 64 << 20
	writeBufferBytes = 256 << 10
	longestBlock     = 31 * 24 * time.Hour
)

// clockSlack is how far the clock may be set back before samples are refused for being older than what is stored.
const clockSlack = time.Hour

// Defaults of Options.
const (
	defaultRetention  = 90 * 24 * time.Hour
	defaultMaxSamples = 4_000_000
	defaultTimeout    = 30 * time.Second
	defaultLockWait   = 10 * time.Second
	defaultLookback   = 5 * time.Minute
)

// ErrLocked says that another process holds the folder.
var ErrLocked = errors.New("another process holds the folder")

// Options says where and how long series are kept. Only Dir is required.
type Options struct {
	Dir       string        // made with mode 0700 when it is not there; belongs to the Store alone, as does Dir.lock beside it
	Retention time.Duration // samples older than this go; 0 is 90 days
	MaxBytes  int64         // the oldest blocks go when all together are larger; 0 is no bound. The newest two to three hours, held in a log, come on top
	LockWait  time.Duration // how long Open waits for a predecessor to let the folder go; 0 is 10 s

	MaxSamples int           // most samples that one query may hold; 0 is 4 million (64 MB)
	Timeout    time.Duration // of one query; 0 is 30 s
	Queries    int           // queries over HTTP at once; 0 is 4
	Lookback   time.Duration // how old the newest sample may be that PromQL takes for the present; 0 is 5 minutes

	Metadata map[string]Metadata // type and help by metric, for the metadata call
	Log      *slog.Logger        // nil logs nothing
	Now      func() time.Time    // nil is time.Now
}

// Metadata describes a metric.
type Metadata struct {
	Type string // gauge or counter
	Help string
	Unit string
}

// Store holds the series. It may be used by many goroutines.
type Store struct {
	db      *tsdb.DB
	engine  *promql.Engine
	parser  parser.Parser
	options Options
	queries chan struct{}
	aside   []string
	close   func() error
}

func (o *Options) setDefaults() {
	if o.Retention <= 0 {
		o.Retention = defaultRetention
	}
	if o.LockWait <= 0 {
		o.LockWait = defaultLockWait
	}
	if o.MaxSamples <= 0 {
		o.MaxSamples = defaultMaxSamples
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Queries <= 0 {
		o.Queries = 4
	}
	if o.Lookback <= 0 {
		o.Lookback = defaultLookback
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Open opens the folder, waiting while a predecessor still holds it (ErrLocked when it does not let go, ctx's error when
// ctx ends). What cannot be read is set aside; only a folder that cannot be written is an error beside that.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.setDefaults()
	if o.Dir == "" {
		return nil, errors.New("open series: no folder given")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open series: %w", err)
	}
	s := &Store{
		options: o,
		parser:  parser.NewParser(parser.Options{}),
		queries: make(chan struct{}, o.Queries),
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, fmt.Errorf("open series in %s: %w", o.Dir, err)
	}
	if s.db, err = s.openOrReplace(); err != nil {
		return nil, fmt.Errorf("open series in %s: %w", o.Dir, errors.Join(err, lock.Release()))
	}
	s.close = sync.OnceValue(func() error { return errors.Join(s.db.Close(), lock.Release()) })
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger:                   quiet(o.Log),
		MaxSamples:               o.MaxSamples,
		Timeout:                  o.Timeout,
		LookbackDelta:            o.Lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   s.parser,
	})
	return s, nil
}

// Close writes what is held in memory and ends the engine's goroutines. Calls after the first give its result again.
func (s *Store) Close() error {
	if err := s.close(); err != nil {
		return fmt.Errorf("close series: %w", err)
	}
	return nil
}

func (s *Store) engineOptions() *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = s.options.Retention.Milliseconds()
	o.MaxBytes = s.options.MaxBytes
	o.StripeSize = stripes
	o.NoLockfile = true // see lock
	o.WALSegmentSize = walSegmentBytes
	o.WALCompression = compression.Snappy
	o.MaxBlockChunkSegmentSize = chunkFileBytes
	o.HeadChunksWriteBufferSize = writeBufferBytes
	o.OutOfOrderTimeWindow = clockSlack.Milliseconds()
	// Blocks of a tenth of the retention, so that old samples go in small parts.
	o.MaxBlockDuration = max(o.MinBlockDuration, min(longestBlock, s.options.Retention/10).Milliseconds())
	return o
}

// Handle names one series to Append. It remembers where the engine keeps the series, which saves most of the cost of an
// append; two goroutines must not append to the same Handle at once.
type Handle struct {
	labels labels.Labels
	ref    storage.SeriesRef
}

// NewHandle names the series of a metric with these labels. Labels with an empty value are left out.
func NewHandle(metric string, with map[string]string) *Handle {
	b := labels.NewScratchBuilder(len(with) + 1)
	b.Add(model.MetricNameLabel, metric)
	for name, value := range with {
		if value != "" {
			b.Add(name, value)
		}
	}
	b.Sort()
	return &Handle{labels: b.Labels()}
}

// Point is one sample to append.
type Point struct {
	Series *Handle
	Value  float64
}

// Append stores samples of one moment, to the millisecond, all or none; NaN is left out. Samples that the engine refuses
// for being older than what it has, or there already, are counted in refused and are no error. When Append returns, the
// samples survive the end of the process by SIGKILL (they are with the operating system, not forced to the disk).
func (s *Store) Append(ctx context.Context, at time.Time, points []Point) (refused int, err error) {
	app := s.db.Appender(ctx)
	t := at.UnixMilli()
	for _, p := range points {
		if math.IsNaN(p.Value) {
			continue
		}
		ref, err := app.Append(p.Series.ref, p.Series.labels, t, p.Value)
		switch {
		case err == nil:
			p.Series.ref = ref
		case tooOld(err):
			refused++
		default:
			return 0, fmt.Errorf("append to series: %w", errors.Join(err, app.Rollback()))
		}
	}
	if err := app.Commit(); err != nil {
		return 0, fmt.Errorf("append to series: %w", err)
	}
	return refused, nil
}

func tooOld(err error) bool {
	return errors.Is(err, storage.ErrOutOfOrderSample) || errors.Is(err, storage.ErrOutOfBounds) ||
		errors.Is(err, storage.ErrTooOldSample) || errors.Is(err, storage.ErrDuplicateSampleForTimestamp)
}

// quiet passes on what the engine warns of; its reports of work done are not for an operator's log.
func quiet(log *slog.Logger) *slog.Logger {
	return slog.New(warnings{log.Handler()})
}

type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }

// notDamage reports errors that say nothing about what is on disk, so that setting it aside would be wrong.
func notDamage(err error) bool {
	for _, other := range []error{fs.ErrPermission, syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
		syscall.EROFS, syscall.EDQUOT} {
		if errors.Is(err, other) {
			return true
		}
	}
	return false
}

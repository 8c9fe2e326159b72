package analyze

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gatehouse/internal/memory/trend"
)

// judgeAll gives every subject its verdict, as many at once as there are processors.
func judgeAll(ctx context.Context, subjects []subject, opt Options, report *Report, p *progress) error {
	report.Findings = make([]trend.Finding, len(subjects))
	report.Curves = make([]trend.Curves, len(subjects))
	var mu sync.Mutex
	done := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range subjects {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("judge %s: %w", subjects[i].name, err)
			}
			report.Findings[i], report.Curves[i] = opt.Judge(subjects[i].input(opt), trend.Options{})
			mu.Lock()
			defer mu.Unlock()
			done++
			p.judged(done, len(subjects))
			return nil
		})
	}
	return g.Wait()
}

// verdictOrder is the order of the findings: what needs somebody comes first.
var verdictOrder = []trend.Verdict{trend.Leak, trend.Fragmentation, trend.Step, trend.Retention, trend.Load, trend.WarmUp, trend.Inconclusive, trend.Stable}

// sort orders findings by verdict, then the fastest growing first, then by host, process and pid.
func (r *Report) sort() {
	index := make([]int, len(r.Findings))
	for i := range index {
		index[i] = i
	}
	slices.SortStableFunc(index, func(i, j int) int {
		a, b := &r.Findings[i], &r.Findings[j]
		return cmp.Or(cmp.Compare(slices.Index(verdictOrder, a.Verdict), slices.Index(verdictOrder, b.Verdict)),
			cmp.Compare(perDay(b), perDay(a)), strings.Compare(fold(a.Host), fold(b.Host)), strings.Compare(fold(a.Process), fold(b.Process)), cmp.Compare(a.PID, b.PID))
	})
	findings, curves := make([]trend.Finding, len(index)), make([]trend.Curves, len(index))
	for to, from := range index {
		findings[to], curves[to] = r.Findings[from], r.Curves[from]
	}
	r.Findings, r.Curves = findings, curves
}

func perDay(f *trend.Finding) float64 {
	if f.Rate == nil {
		return 0
	}
	return f.Rate.BytesPerDay
}

// describe sums up what was read.
func describe(logs []*log) LogInfo {
	info := LogInfo{Files: []string{}}
	longest := 0
	for _, l := range logs {
		info.Files = append(info.Files, l.file)
		info.Samples += l.counts.Rows - l.dropped
		info.RowsDropped += l.counts.Dropped + l.dropped
		times := l.store.times
		if len(times) == 0 {
			continue
		}
		start, end := time.Unix(0, times[0]).In(l.loc), time.Unix(0, times[len(times)-1]).In(l.loc)
		if info.Start == nil || start.Before(*info.Start) {
			info.Start = &start
		}
		if info.End == nil || end.After(*info.End) {
			info.End = &end
		}
		if len(times) > max(longest, 1) {
			longest = len(times)
			seconds := time.Duration(usualInterval(times)).Seconds() / float64(l.store.stride)
			info.IntervalSeconds = math.Round(1000*seconds) / 1000
		}
	}
	return info
}

// logNotes tells what a person should know of how each log was read.
func logNotes(logs []*log) []string {
	var out []string
	for _, l := range logs {
		for _, note := range l.notes() {
			out = append(out, l.file+": "+note)
		}
	}
	return out
}

func (l *log) notes() []string {
	var out []string
	say := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	c := l.counts
	say(c.Rows == 0, "it holds no rows")
	if c.Dropped > 0 {
		say(true, "%s left out because of damage: line %d: %s%s", plural(c.Dropped, "row"), c.Drops[0].Line, c.Drops[0].Text, andMore(c.Dropped))
	}
	say(l.dropped > 0, "%s left out because of impossible or repeated times", plural(l.dropped, "row"))
	if c.Bad > 0 {
		say(true, "%s taken as missing because they hold no value: line %d: %s%s", plural(c.Bad, "cell"), c.BadCells[0].Line, c.BadCells[0].Text, andMore(c.Bad))
	}
	for i, s := range l.shifts {
		if i == 3 {
			say(true, "the clock was put back %s more", plural(len(l.shifts)-i, "time"))
			break
		}
		say(true, "the clock was put back by %s after %s: the rows from there on are moved on by as much", s.by.Round(time.Second), time.Unix(0, s.at).In(l.loc).Format("2006-01-02 15:04:05"))
	}
	say(c.Headers > 0, "the header is repeated %s", plural(c.Headers, "time"))
	say(l.header.Bias == nil, "the header does not tell the time zone: times are taken as UTC")
	say(l.header.Encoding == "unknown", "the names are in an unknown code page: their bytes are shown as \\xNN")
	say(l.mark == ',', "its numbers have decimal commas")
	say(l.store.stride > 1, "one row of %d was taken, to bound the memory", l.store.stride)
	say(l.wanted.twins > 0, "%s with the name and the values of others left out", plural(l.wanted.twins, "repeated process"))
	say(l.wanted.unknown > 0, "%s of processes without a known memory counter left out: their names are in no known language, such as %q (--counter takes them)", plural(l.wanted.unknown, "counter"), l.wanted.unknownName)
	return out
}

func andMore(n int) string {
	if n < 2 {
		return ""
	}
	return ", and others"
}

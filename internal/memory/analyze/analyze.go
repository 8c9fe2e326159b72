// Package analyze takes counter logs the way from series to verdict: it reads Performance Monitor logs, tells the processes in
// them apart, and gives each the memory verdict of package trend.
//
// # Identity
//
// Process(name#N) in a log is a place in a list and no identity: when svchost#1 ends, #2 becomes #1 from one row to the
// next. Where the log has the processes' ids (ID Process, Process V2 or names with ids), a process is its name and id, row by
// row, whatever column it stands in. Where it has none, the columns of a name are followed in their order, by Elapsed Time
// if it is there and else by how memory goes on, and a note says so.
//
// Processes of one name that come one after the other, under several ids, are restarts of one process and get one
// finding; those that run at the same time get one each.
//
// # Bounds
//
// Only the columns that a verdict needs are held, and at most about 200 MB of them: of longer logs every second, fourth, …
// row is kept, and a note says so.
package analyze

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/memory/trend"
)

// Options says what to look at. The zero value looks at every process.
type Options struct {
	Limit    float64  // bytes at which a process fails; 0 when not known
	Process  string   // pattern (* and ?) for the names of processes, without regard to case; empty is all
	Counters []string // patterns for counter paths as the log has them: these are judged in place of what would be chosen

	// Progress is told from time to time how much of the work is done; done reaches total at the end. Calls do not overlap,
	// but come from several goroutines. May be nil.
	Progress func(done, total int64)

	// Judge gives the verdicts; it is called by several goroutines at once. Nil is trend.JudgeWithCurves.
	Judge func(trend.Input, trend.Options) (trend.Finding, trend.Curves)
}

// LogInfo describes what was read.
type LogInfo struct {
	Files           []string   `json:"files"`
	Start           *time.Time `json:"start,omitempty"`
	End             *time.Time `json:"end,omitempty"`
	Samples         int        `json:"samples"`
	IntervalSeconds float64    `json:"interval_seconds,omitempty"` // the usual distance of two rows
	RowsDropped     int        `json:"rows_dropped"`
}

// Report is the answer on a set of logs. Its JSON is what "gatehouse analyze --format json" prints.
type Report struct {
	Log      LogInfo         `json:"log"`
	Findings []trend.Finding `json:"findings"` // one for each process, leaks first
	Notes    []string        `json:"-"`        // what a person should know of the log and of how it was read
	Curves   []trend.Curves  `json:"-"`        // beside Findings
}

// Files reads the logs and judges every process in them. Logs of the same host are taken as one: joined in the order of time,
// merged where they overlap. It fails when a file cannot be read or is not such a log, and when ctx ends.
func Files(ctx context.Context, paths []string, opt Options) (*Report, error) {
	if opt.Judge == nil {
		opt.Judge = trend.JudgeWithCurves
	}
	progress := newProgress(paths, opt.Progress)
	logs := make([]*log, 0, len(paths))
	for _, path := range paths {
		l, err := readFile(ctx, path, opt, maxValues/len(paths), progress)
		if err != nil {
			return nil, err
		}
		logs = append(logs, l)
	}
	report := &Report{Log: describe(logs), Findings: []trend.Finding{}}
	report.Notes = append(report.Notes, logNotes(logs)...)
	var subjects []subject
	for _, h := range hosts(logs) {
		found, notes := h.subjects(opt)
		subjects = append(subjects, found...)
		report.Notes = append(report.Notes, notes...)
	}
	if len(subjects) == 0 {
		report.Notes = append(report.Notes, nothingFound(opt))
	}
	if err := judgeAll(ctx, subjects, opt, report, progress); err != nil {
		return nil, err
	}
	report.sort()
	return report, nil
}

func nothingFound(opt Options) string {
	switch {
	case len(opt.Counters) > 0:
		return "no counter of the log has a name that was asked for"
	case opt.Process != "":
		return fmt.Sprintf("no process of the log has the name %s, with a memory counter", opt.Process)
	}
	return `the log holds no memory counter of a process (\Process(…)\Private Bytes, Working Set or Virtual Bytes)`
}

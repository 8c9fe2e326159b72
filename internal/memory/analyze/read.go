package analyze

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/memory/perflog"
)

// log is a file that was read: the columns that were wanted of it, and what became of its rows.
type log struct {
	file    string
	header  perflog.Header
	wanted  *wanted
	store   *store
	counts  perflog.Counts
	dropped int // rows with impossible times
	shifts  []clockShift
	mark    byte // decimal mark
	loc     *time.Location
}

// readFile reads a log into memory, up to about maxValues values of it.
func readFile(ctx context.Context, path string, opt Options, maxValues int, p *progress) (*log, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, cause(err))
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("read %s: it is a folder, not a log", path)
	}
	in, err := perflog.Open(p.reader(f), path)
	if err != nil {
		return nil, err
	}
	w := choose(in.Columns, opt)
	in.Select(w.columns)
	l := &log{file: path, header: in.Header, wanted: w, store: newStore(len(w.columns), maxValues), loc: in.Header.Location()}
	if err := l.fill(ctx, in); err != nil {
		return nil, err
	}
	var drop []bool
	drop, l.dropped, l.shifts = straighten(l.store.times)
	l.store.remove(drop)
	l.dropTwins()
	return l, nil
}

// dropTwins drops slots that have the name of another and the same id and memory in every row: one process that was logged
// twice.
func (l *log) dropTwins() {
	type place struct {
		host, instance string
		pid            int
	}
	first := map[place]int{}
	kept := l.wanted.slots[:0]
	for _, s := range l.wanted.slots {
		p := place{fold(s.host), fold(s.instance()), s.pid}
		if i, ok := first[p]; ok && l.equal(kept[i].memory, s.memory) && l.equal(kept[i].id, s.id) {
			l.wanted.twins++
			continue
		} else if !ok {
			first[p] = len(kept)
		}
		kept = append(kept, s)
	}
	l.wanted.slots = kept
}

// equal reports whether two columns hold the same in every row.
func (l *log) equal(a, b int) bool {
	for row := range l.store.times {
		x, y := l.store.value(row, a), l.store.value(row, b)
		same := x == y || math.IsNaN(x) && math.IsNaN(y)
		if !same {
			return false
		}
	}
	return true
}

// fill takes all rows.
func (l *log) fill(ctx context.Context, in *perflog.Log) error {
	for n := 0; ; n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return fmt.Errorf("read %s: %w", l.file, ctx.Err())
		}
		at, row, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		l.store.add(at, row)
	}
	l.counts, l.mark = in.Counts(), in.Decimals()
	if l.counts.Rows == 0 && l.counts.Dropped > 0 {
		first := l.counts.Drops[0]
		return fmt.Errorf("read %s: none of its %d rows can be read; line %d: %s", l.file, l.counts.Dropped, first.Line, first.Text)
	}
	return nil
}

// cause takes the operation and the name off a file system's error, since the message names the file already.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// progress adds up the work of a whole analysis: reading counts by bytes, and judging counts as much again.
type progress struct {
	mu     sync.Mutex
	report func(done, total int64)
	read   int64
	bytes  int64 // of all files
	told   int64
}

func newProgress(paths []string, report func(done, total int64)) *progress {
	p := &progress{report: report}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			p.bytes += info.Size()
		}
	}
	return p
}

// reader counts what is read of r.
func (p *progress) reader(r io.Reader) io.Reader {
	if p.report == nil {
		return r
	}
	return readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.read += int64(n)
		if p.read-p.told > 1<<20 {
			p.told = p.read
			p.report(min(p.read, p.bytes), 2*p.bytes)
		}
		return n, err
	})
}

// judged says that n of all processes have their verdict.
func (p *progress) judged(n, all int) {
	if p.report == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report(p.bytes+p.bytes*int64(n)/int64(max(all, 1)), 2*p.bytes)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// glob reports whether a name fits a pattern with * and ?, without regard to case.
func glob(pattern, name string) bool {
	return globFold([]rune(strings.ToLower(pattern)), []rune(strings.ToLower(name)))
}

func globFold(pattern, name []rune) bool {
	p, n := 0, 0
	star, mark := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

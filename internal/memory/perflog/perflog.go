// Package perflog reads Performance Monitor counter logs in their text forms, PDH-CSV and PDH-TSV, as typeperf, relog,
// Performance Monitor and the people who edit their files really write them.
//
// A log is read in one pass from an io.Reader. The caller makes two decisions: which columns it wants (Select) and where
// the rows go (Next hands them out one at a time). Memory held is one line and one row of the selected columns, so a log
// of any length can be read.
//
// What is not there stays missing: a blank cell is NaN, never zero. What is damaged is left out, counted and described
// (Counts): a row that cannot be understood costs that row, a cell that cannot be understood costs that cell. Only a file
// that is not such a log at all, or one whose header goes beyond the limits below, is refused.
//
// # Encodings
//
// UTF-8 with and without a byte order mark, UTF-16 in both orders, and the ANSI code page of the machine that wrote the log.
// The header does not name the code page: it is told from which one turns the names into known words, else from the time
// zone's name. When it cannot be told, the bytes stay visible in the names as \xNN.
//
// # Times
//
// A log counts in local time; the header's bias is the number of minutes to add for UTC and is fixed when the log starts, so a
// change to or from daylight saving time within the log is not seen in the header. Rows come in the order of the file, with
// the times as they stand there; where a time goes back it is counted (Counts.Backward).
package perflog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"
)

// The limits of what is taken for a log: beyond them the header is refused and a row is dropped.
const (
	MaxLine    = 16 << 20 // bytes of a line
	MaxColumns = 100_000  // counters of a log
)

// Header is what the log says of itself.
type Header struct {
	Zone      string         // time zone's name, as far as it can be read; often localised or cut short
	Bias      *time.Duration // what must be added to local time for UTC; nil when the header does not say
	Delimiter byte           // ',' '\t' or ';'
	Encoding  string         // "UTF-8", "UTF-16LE", "UTF-16BE", a code page such as "windows-1251", or "unknown"
}

// Location returns the zone in which the log's times count: UTC when the header does not say.
func (h Header) Location() *time.Location {
	if h.Bias == nil {
		return time.UTC
	}
	return time.FixedZone(h.Zone, -int(*h.Bias/time.Second))
}

// Column is one counter of the log.
type Column struct {
	Index  int    // position among the counters, from 0; the time's column does not count
	Raw    string // the name as the log has it, decoded
	Path   Path   // its parts; zero when Parsed is false
	Parsed bool   // whether Raw is a counter path; a hand-made name is not
	Repeat int    // how many columns before this one have the same name
}

// Note is one thing that was wrong with a log, and where.
type Note struct {
	Line int // from 1
	Text string
}

// Counts says what became of the log's lines and cells so far.
type Counts struct {
	Rows     int    // rows handed out
	Dropped  int    // rows left out because they are damaged
	Text     int    // lines after the last row that are no rows: typeperf's farewell
	Headers  int    // repetitions of the header between the rows, passed over
	Backward int    // rows whose time is before that of the row before them
	Blank    int    // selected cells without a value
	Bad      int    // selected cells that hold no number
	Drops    []Note // the first few dropped rows
	BadCells []Note // the first few bad cells
}

// notesKept is how many notes of a kind are kept; the others are only counted.
const notesKept = 5

// Log is an open log. It is used by one goroutine at a time.
type Log struct {
	Header  Header
	Columns []Column

	name     string
	in       *bufio.Reader
	line     int    // number of the line read last
	long     []byte // a line longer than in's buffer
	header   []byte // the header's line, to know it when it comes again
	selected []selection
	row      []float64
	loc      *time.Location
	last     time.Time
	decimals decimals
	counts   Counts
	pending  []Note // lines that are no rows, until it is known whether rows follow
	pendingN int
	lost     bool // a header with other columns came: the rest cannot be assigned
}

// selection is a wanted column; out is where its value goes in the row.
type selection struct {
	field, out  int
	nonNegative bool
}

// Open reads the header of a log. The name is used in errors only. The reader is not closed; it is read ahead of the rows.
func Open(r io.Reader, name string) (*Log, error) {
	in, encoding, err := decode(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	l := &Log{name: name, in: in}
	l.Header.Encoding = encoding
	if err := l.readHeader(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	l.loc = l.Header.Location()
	l.decimals = sniffDecimals(l.peek(), l.Header.Delimiter)
	l.Select(nil)
	return l, nil
}

// Select says which columns Next returns, by Column.Index, and in which order; nil is all of them. An index that does not
// exist is NaN in every row. It may be called before the first Next only.
func (l *Log) Select(columns []int) {
	if columns == nil {
		columns = make([]int, len(l.Columns))
		for i := range columns {
			columns[i] = i
		}
	}
	l.row = make([]float64, len(columns))
	l.selected = makeSelection(l.Columns, columns)
}

// Counts returns what became of the lines read so far; it is complete after Next returned io.EOF.
func (l *Log) Counts() Counts { return l.counts }

// Decimals returns the mark before the decimals of the log's numbers: '.', ',' or 0 while every number was whole. A log has
// one mark; a cell with the other one is bad.
func (l *Log) Decimals() byte { return byte(l.decimals) }

// Next returns the next row: its time and the values of the selected columns, NaN where missing. The slice is the log's own
// and changes with the next call. At the end it returns io.EOF; any other error is the reader's and final.
func (l *Log) Next() (time.Time, []float64, error) {
	for {
		line, err := l.readLine()
		if err != nil {
			return time.Time{}, nil, l.end(err)
		}
		if len(line) == 0 {
			continue
		}
		at, why := l.scan(line)
		if why != "" {
			l.reject(line, why)
			continue
		}
		l.settlePending()
		if at.Before(l.last) {
			l.counts.Backward++
		}
		l.last = at
		l.counts.Rows++
		return at, l.row, nil
	}
}

// end settles the counts at the end of the log.
func (l *Log) end(err error) error {
	l.counts.Text += l.pendingN
	l.pending, l.pendingN = nil, 0
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("read %s: line %d: %w", l.name, l.line+1, err)
}

// reject counts a line that is no row. A line of plain text is held back: after the last row it is a program's parting word,
// between rows it is a damaged row.
func (l *Log) reject(line []byte, why string) {
	if why == repeatedHeader {
		l.counts.Headers++
		return
	}
	note := Note{Line: l.line, Text: why}
	if why != tooLong && !l.lost && isText(line) {
		l.pendingN++
		if len(l.pending) < notesKept {
			l.pending = append(l.pending, note)
		}
		return
	}
	l.settlePending()
	l.drop(note)
}

// settlePending counts held back lines as dropped rows, since something follows them.
func (l *Log) settlePending() {
	if l.pendingN == 0 {
		return
	}
	for _, note := range l.pending {
		l.drop(note)
	}
	l.counts.Dropped += l.pendingN - len(l.pending)
	l.pending, l.pendingN = l.pending[:0], 0
}

func (l *Log) drop(note Note) {
	l.counts.Dropped++
	if len(l.counts.Drops) < notesKept {
		l.counts.Drops = append(l.counts.Drops, note)
	}
}

// peek returns what is already buffered of the rows, at most the buffer's size.
func (l *Log) peek() []byte {
	if _, err := l.in.Peek(1); err != nil {
		return nil
	}
	head, _ := l.in.Peek(min(l.in.Size(), sniffBytes)) // a short log gives what there is
	return head
}

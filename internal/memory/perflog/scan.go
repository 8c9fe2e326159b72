package perflog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Reasons to reject a line that are told apart elsewhere.
const (
	repeatedHeader = "the header again"
	tooLong        = "the line is longer than the limit of 16 MiB"
)

// readLine returns the next line without its end, or io.EOF. The slice is valid until the next call. A line beyond MaxLine is
// read to its end and returned as a line of MaxLine bytes.
func (l *Log) readLine() ([]byte, error) {
	part, err := l.in.ReadSlice('\n')
	if err == nil {
		l.line++
		return trimEnd(part), nil
	}
	l.long = l.long[:0]
	for {
		if room := MaxLine - len(l.long); room > 0 {
			l.long = append(l.long, part[:min(room, len(part))]...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
		part, err = l.in.ReadSlice('\n')
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(l.long) == 0) {
		return nil, err
	}
	l.line++
	return trimEnd(l.long), nil
}

// trimEnd removes a line's end and the white space before it.
func trimEnd(line []byte) []byte {
	n := len(line)
	for n > 0 && (line[n-1] == '\n' || line[n-1] == '\r' || line[n-1] == ' ') {
		n--
	}
	return line[:n]
}

// makeSelection orders the wanted columns by their place in the line, as scan meets them.
func makeSelection(columns []Column, wanted []int) []selection {
	sel := make([]selection, 0, len(wanted))
	for out, index := range wanted {
		if index >= 0 && index < len(columns) {
			sel = append(sel, selection{field: index + 1, out: out, nonNegative: columns[index].nonNegative()})
		}
	}
	slices.SortStableFunc(sel, func(a, b selection) int { return a.field - b.field })
	return sel
}

// scan reads a line into l.row. A reason is returned when the line is not a whole row.
func (l *Log) scan(line []byte) (at time.Time, why string) {
	if l.lost {
		return at, "it comes after a second header with other columns"
	}
	if len(line) >= MaxLine {
		return at, tooLong
	}
	if isHeader(line) {
		if bytes.Equal(line, l.header) {
			return at, repeatedHeader
		}
		l.lost = true
		return at, "a second header with other columns"
	}
	cell, next, ok := nextField(line, 0, l.Header.Delimiter)
	if !ok {
		return at, "a quotation mark is not closed"
	}
	at, ok = parseTime(cell, l.loc)
	if !ok {
		return at, fmt.Sprintf("the time %q is not MM/DD/YYYY HH:MM:SS", shorten(cell))
	}
	return at, l.scanValues(line, next)
}

// scanValues reads the cells from next on. Blank and bad cells are counted only when the row is whole.
func (l *Log) scanValues(line []byte, next int) (why string) {
	for i := range l.row {
		l.row[i] = math.NaN()
	}
	blank, bad := l.counts.Blank, l.counts.Bad
	field, sel := 0, l.selected
	var cell []byte
	ok := true
	for next >= 0 && field <= len(l.Columns) {
		cell, next, ok = nextField(line, next, l.Header.Delimiter)
		if !ok {
			break
		}
		field++
		for len(sel) > 0 && sel[0].field == field {
			l.row[sel[0].out] = l.value(cell, field, sel[0].nonNegative)
			sel = sel[1:]
		}
	}
	extra := next >= 0 || field == len(l.Columns)+1 && len(cell) > 0 // one empty cell at the end is a trailing delimiter
	switch {
	case !ok:
		why = "a quotation mark is not closed"
	case field < len(l.Columns):
		why = fmt.Sprintf("it has %d values for %d counters", field, len(l.Columns))
	case extra:
		why = fmt.Sprintf("it has more values than the %d counters", len(l.Columns))
	default:
		return ""
	}
	l.counts.Blank, l.counts.Bad = blank, bad
	l.counts.BadCells = l.counts.BadCells[:min(len(l.counts.BadCells), bad)]
	return why
}

// value reads a cell, NaN when it holds no number.
func (l *Log) value(cell []byte, field int, nonNegative bool) float64 {
	v, st := l.decimals.parse(cell)
	switch {
	case st == numberBlank:
		l.counts.Blank++
		return math.NaN()
	case st == numberBad, nonNegative && v < 0: // relog writes -1 where it had an error
		l.counts.Bad++
		if len(l.counts.BadCells) < notesKept {
			l.counts.BadCells = append(l.counts.BadCells, Note{l.line, fmt.Sprintf("%q in column %d is not a value", shorten(cell), field+1)})
		}
		return math.NaN()
	}
	return v
}

// nextField returns the field that begins at, without its quotation marks, and where the next one begins: -1 after the last.
// It is not ok when a quotation mark is not closed or something follows the closing one. A doubled quotation mark within
// quotes stays doubled.
func nextField(line []byte, at int, delimiter byte) (field []byte, next int, ok bool) {
	if at >= len(line) {
		return nil, -1, true
	}
	if line[at] != '"' {
		end := bytes.IndexByte(line[at:], delimiter)
		if end < 0 {
			return line[at:], -1, true
		}
		return line[at : at+end], at + end + 1, true
	}
	for end := at + 1; ; end++ {
		i := bytes.IndexByte(line[end:], '"')
		if i < 0 {
			return nil, -1, false
		}
		end += i
		switch {
		case end+1 == len(line):
			return line[at+1 : end], -1, true
		case line[end+1] == delimiter:
			return line[at+1 : end], end + 2, true
		case line[end+1] != '"':
			return nil, -1, false
		}
		end++ // a doubled quotation mark
	}
}

// decimals is the mark before the decimals of a log's numbers: 0 while it has not been seen.
type decimals byte

// numberState says what a cell holds.
type numberState int

const (
	numberOK numberState = iota
	numberBlank
	numberBad
)

// maxExact is the number of decimal digits that always fit a float64's mantissa.
const maxExact = 15

var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// parse reads a number. The first number with decimals decides d when nothing did before.
func (d *decimals) parse(cell []byte) (float64, numberState) {
	var n uint64
	digits, point := 0, -1
	for i, c := range cell {
		switch {
		case c >= '0' && c <= '9' && digits < maxExact:
			n = n*10 + uint64(c-'0')
			digits++
		case c == byte(*d) && c != 0 && point < 0 && digits > 0:
			point = i
		default:
			return d.parseSlow(cell)
		}
	}
	if digits == 0 {
		return d.parseSlow(cell)
	}
	if point < 0 {
		return float64(n), numberOK
	}
	if len(cell) == point+1 {
		return 0, numberBad
	}
	return float64(n) / pow10[len(cell)-point-1], numberOK // both exact, so the quotient is correctly rounded
}

// parseSlow reads what is not a plain short number: blanks, signs, exponents, many digits, a mark not yet known.
func (d *decimals) parseSlow(cell []byte) (float64, numberState) {
	cell = bytes.TrimSpace(cell)
	if len(cell) == 0 {
		return 0, numberBlank
	}
	if len(cell) > 64 {
		return 0, numberBad
	}
	if mark := markOf(cell); *d == 0 {
		*d = decimals(mark)
	}
	var buf [64]byte
	text := buf[:copy(buf[:], cell)]
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9', c == '-', c == '+', c == 'e', c == 'E', c == '.' && *d == '.':
		case c == ',' && *d == ',':
			text[i] = '.'
		default:
			return 0, numberBad
		}
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, numberBad
	}
	return v, numberOK
}

// markOf returns the decimal mark of a number of the form digits, mark, digits (with an optional sign and exponent), else 0.
func markOf(cell []byte) byte {
	i := bytes.IndexAny(cell, ".,")
	if i <= 0 || i+1 == len(cell) || bytes.ContainsAny(cell[i+1:], ".,") {
		return 0
	}
	for _, c := range [2]byte{cell[i-1], cell[i+1]} {
		if c < '0' || c > '9' {
			return 0
		}
	}
	return cell[i]
}

// sniffBytes is how much of the rows is looked at before the first is read.
const sniffBytes = 256 << 10

// sniffDecimals looks for decimal marks in the beginning of the rows. The comma is believed only where no number has a point.
func sniffDecimals(head []byte, delimiter byte) decimals {
	commas := false
	for len(head) > 0 {
		end := bytes.IndexByte(head, '\n')
		line := head
		if end >= 0 {
			line, head = head[:end], head[end+1:]
		} else {
			head = nil
		}
		line = trimEnd(line)
		_, next, ok := nextField(line, 0, delimiter) // the time
		for ok && next >= 0 {
			var cell []byte
			cell, next, ok = nextField(line, next, delimiter)
			if !ok || len(cell) == 0 || cell[0] > '9' {
				continue
			}
			switch markOf(cell) {
			case '.':
				return '.'
			case ',':
				commas = true
			}
		}
	}
	if commas {
		return ','
	}
	return 0
}

// parseTime reads MM/DD/YYYY HH:MM:SS with an optional fraction, the form that every locale's log has.
func parseTime(b []byte, loc *time.Location) (time.Time, bool) {
	b = bytes.TrimSpace(b)
	if len(b) < 19 || b[2] != '/' || b[5] != '/' || b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return time.Time{}, false
	}
	month, ok1 := number(b[0:2])
	day, ok2 := number(b[3:5])
	year, ok3 := number(b[6:10])
	hour, ok4 := number(b[11:13])
	minute, ok5 := number(b[14:16])
	second, ok6 := number(b[17:19])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	nano := 0
	if frac := b[19:]; len(frac) > 0 {
		n, ok := number(frac[1:])
		if !ok || frac[0] != '.' && frac[0] != ',' || len(frac) < 2 || len(frac) > 10 {
			return time.Time{}, false
		}
		for range 10 - len(frac) {
			n *= 10
		}
		nano = n
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nano, loc)
	return t, t.Day() == day && year >= 1980 // Date turns 31 June into 1 July; Windows knows no earlier year
}

// number reads decimal digits only; at most nine.
func number(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) <= 9
}

// isText reports whether a line looks like a sentence rather than the remains of a row.
func isText(line []byte) bool {
	c := line[0]
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
	return letter && bytes.IndexByte(line, '"') < 0
}

// shorten cuts a piece of a file to a length fit for a message.
func shorten(b []byte) string {
	const most = 40
	if len(b) <= most {
		return string(b)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(b[cut]) {
		cut--
	}
	return string(b[:cut]) + "…"
}

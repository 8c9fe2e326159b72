package perflog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// blankLines is how many empty lines may come before the header: typeperf begins its output with one.
const blankLines = 16

var headerMarks = []string{"(PDH-CSV ", "(PDH-TSV "}

// isHeader reports whether a line begins as the header of a log does.
func isHeader(line []byte) bool {
	line = bytes.TrimLeft(line, " \"")
	for _, mark := range headerMarks {
		if bytes.HasPrefix(line, []byte(mark)) {
			return true
		}
	}
	return false
}

// readHeader reads the header's line into l.Header and l.Columns.
func (l *Log) readHeader() error {
	head, err := l.in.Peek(1024)
	if err != nil && len(head) == 0 && !errors.Is(err, io.EOF) {
		return err
	}
	if !isHeader(bytes.TrimLeft(head, "\r\n \"")) {
		return fmt.Errorf(`not a Performance Monitor log: it %s, where such a log begins with "(PDH-CSV 4.0)"`, looksLike(head))
	}
	var line []byte
	for range blankLines {
		if line, err = l.readLine(); err != nil {
			return err
		}
		if len(line) > 0 {
			break
		}
	}
	if len(line) >= MaxLine {
		return fmt.Errorf("the header is longer than the limit of %d bytes", MaxLine)
	}
	if !isHeader(line) {
		return fmt.Errorf("the header does not come within the first %d lines", blankLines)
	}
	l.header = bytes.Clone(line)
	fields, err := l.splitHeader()
	if err != nil {
		return err
	}
	return l.takeHeader(fields)
}

// splitHeader splits the header's line into its cells, still in the file's encoding.
func (l *Log) splitHeader() ([][]byte, error) {
	l.Header.Delimiter = delimiterOf(l.header)
	var fields [][]byte
	for at := 0; at >= 0; {
		field, next, ok := nextField(l.header, at, l.Header.Delimiter)
		at = next
		if !ok {
			return nil, fmt.Errorf("a quotation mark in the header is not closed after column %d: the header is damaged", len(fields))
		}
		fields = append(fields, bytes.ReplaceAll(field, []byte(`""`), []byte(`"`)))
		if len(fields) > MaxColumns+1 {
			return nil, fmt.Errorf("the header names more than %d counters, the limit", MaxColumns)
		}
	}
	if len(fields) > 1 && len(fields[len(fields)-1]) == 0 { // a trailing delimiter
		fields = fields[:len(fields)-1]
	}
	if len(fields) < 2 {
		return nil, fmt.Errorf("the header names no counter")
	}
	return fields, nil
}

// delimiterOf tells what separates the cells: what follows the header's first cell.
func delimiterOf(header []byte) byte {
	rest := header
	if len(rest) > 0 && rest[0] == '"' {
		if end := bytes.IndexByte(rest[1:], '"'); end >= 0 {
			rest = rest[end+2:]
		}
	}
	i := bytes.IndexAny(rest, ",\t;")
	if i >= 0 {
		return rest[i]
	}
	if bytes.Contains(header, []byte("(PDH-TSV ")) {
		return '\t'
	}
	return ','
}

// takeHeader decodes the header's cells and makes the columns.
func (l *Log) takeHeader(fields [][]byte) error {
	zone, bias := parseZone(fields[0])
	names := newNames(l.Header.Encoding, string(zone), fields)
	l.Header.Encoding = names.encoding
	l.Header.Zone = strings.TrimSpace(visible(names.decode(zone)))
	l.Header.Bias = bias
	l.Columns = make([]Column, len(fields)-1)
	seen := make(map[string]int, len(fields))
	for i, field := range fields[1:] {
		raw := names.decode(field)
		path, ok := ParsePath(raw)
		if ok {
			path = path.visible()
		}
		raw = visible(raw)
		key := strings.ToLower(raw)
		l.Columns[i] = Column{Index: i, Raw: raw, Path: path, Parsed: ok, Repeat: seen[key]}
		seen[key]++
	}
	return nil
}

// maxBias bounds a believable bias: no zone is more than 14 hours off, with an hour of daylight saving.
const maxBias = 15 * 60

// parseZone reads `(PDH-CSV 4.0) (Zone name)(bias)`, as much of it as there is. The zone's name is returned in the file's
// encoding, without its parentheses where those are whole.
func parseZone(cell []byte) (zone []byte, bias *time.Duration) {
	end := bytes.IndexByte(cell, ')')
	if end < 0 {
		return nil, nil
	}
	rest := bytes.TrimSpace(cell[end+1:])
	if len(rest) == 0 || rest[0] != '(' {
		return nil, nil
	}
	if split := bytes.LastIndex(rest, []byte(")(")); split >= 0 {
		number, _, closed := bytes.Cut(rest[split+2:], []byte(")"))
		minutes, err := strconv.Atoi(string(bytes.TrimSpace(number)))
		if closed && err == nil && minutes >= -maxBias && minutes <= maxBias {
			d := time.Duration(minutes) * time.Minute
			return rest[1:split], &d
		}
		return rest[1:split], nil
	}
	return bytes.TrimRight(bytes.TrimSuffix(rest[1:], []byte(")")), " ("), nil // cut short
}

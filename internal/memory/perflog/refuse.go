package perflog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// magics are the beginnings of files that people take for a log, or that a log is packed in.
var magics = []struct{ begin, what string }{
	{"\x1f\x8b", "is compressed with gzip (unpack it first)"},
	{"PK\x03\x04", "is a zip archive or a spreadsheet (unpack it, or save the sheet as CSV)"},
	{"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive (unpack it first)"},
	{"\xd0\xcf\x11\xe0", "is an old Office document"},
	{"ElfFile\x00", "is a Windows event log (.evtx)"},
	{"MDMP", "is a minidump"},
	{"MZ", "is a Windows program"},
	{"\x7fELF", "is a Linux program"},
	{"%PDF", "is a PDF document"},
	{"<", "looks like XML or HTML"},
	{"{", "looks like JSON"},
	{"[", "looks like JSON"},
}

// looksLike says in a few words what a file that is not a log seems to be, from its beginning.
func looksLike(head []byte) string {
	text := bytes.TrimSpace(head)
	if len(head) == 0 {
		return "is empty"
	}
	if isTrace(head) {
		return "is a binary log (.blg or .etl; relog FILE -f CSV -o OUT.csv turns a .blg into text)"
	}
	for _, m := range magics {
		if bytes.HasPrefix(text, []byte(m.begin)) {
			return m.what
		}
	}
	if len(text) == 0 {
		return "holds only white space"
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return "holds binary data"
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	for _, d := range []string{",", "\t", ";"} {
		if cells := strings.Split(string(line), d); len(cells) > 1 {
			return fmt.Sprintf("looks like a table with the columns %s", columnNames(cells))
		}
	}
	return fmt.Sprintf("begins with the text %q", shorten(bytes.TrimSpace(line)))
}

func columnNames(cells []string) string {
	const most = 4
	var names []string
	for _, c := range cells[:min(len(cells), most)] {
		c = strings.Trim(strings.TrimSpace(c), `"`)
		names = append(names, visible(shorten([]byte(c))))
	}
	list := strings.Join(names, ", ")
	if len(cells) > most {
		list += ", …"
	}
	return list
}

// isTrace reports whether head begins an event trace file, the container of .blg: the buffer's size stands in its first
// header and again in the TRACE_LOGFILE_HEADER that follows the first event's header (evntrace.h).
func isTrace(head []byte) bool {
	const again = 72 + 32
	if len(head) < again+4 {
		return false
	}
	size := binary.LittleEndian.Uint32(head)
	return size >= 1<<10 && size <= 16<<20 && size == binary.LittleEndian.Uint32(head[again:])
}

package edge

import "math"

// framer follows the framing of one direction of an HTTP/1 connection, RFC 9112, byte by byte and without a buffer. It
// accepts less than a lenient reader would: whatever two readers have been seen to frame differently is an error.
//
// The zero value expects the first head.
type framer struct {
	state  frameState
	line   lineKind
	spaces int  // single spaces seen in the request line
	prev   byte // last byte of the request line
	count  int  // bytes of the line so far
	minor  byte // of the version: '0' or '1'
	tail   [9]byte

	name     [18]byte // the field name in lower case, as far as it fits
	nameLen  int
	field    fieldKind
	value    [20]byte // the field value without white space around it, as far as it fits
	valueLen int
	blank    int // white space seen since the last byte of value

	hosts, lengths, codings int
	chunked, upgrade        bool
	length                  uint64 // Content-Length, then what is left of a body or chunk
	digits                  int
}

type frameState uint8

const (
	atLine    frameState = iota // at the first byte of a line of a head
	inRequest                   // in the request line
	inName                      // in a field name
	inValue                     // in a field value
	atLF                        // CR seen at the end of a line of a head
	atHeadLF                    // CR seen on the empty line that ends a head
	inBody                      // in a body with a length
	inSize                      // in a chunk size
	inExt                       // in a chunk extension
	atSizeLF                    // CR seen after a chunk size
	inChunk                     // in the data of a chunk
	atChunkCR                   // after the data of a chunk
	atChunkLF                   //
	upgrading                   // after the head of a request that asks for an upgrade
)

type fieldKind uint8

const (
	otherField fieldKind = iota
	hostField
	lengthField
	codingField
	upgradeField
)

type lineKind uint8

const (
	requestLine lineKind = iota
	fieldLine
	trailerLine
)

// framingError says what is unclear in the bytes of a request.
type framingError struct{ what string }

func (e *framingError) Error() string { return "read request: " + e.what }

var (
	errLineEnd    = &framingError{"a line does not end with CR LF"}
	errControl    = &framingError{"control byte in the head"}
	errStartLine  = &framingError{"malformed request line"}
	errFold       = &framingError{"folded field line"}
	errFieldName  = &framingError{"malformed field name"}
	errHost       = &framingError{"more than one Host"}
	errLength     = &framingError{"malformed or repeated Content-Length"}
	errCoding     = &framingError{"Transfer-Encoding is not chunked alone"}
	errBothFrames = &framingError{"Transfer-Encoding and Content-Length together"}
	errChunk      = &framingError{"malformed chunk"}
)

// waiting reports whether the framer stands after the head of a request that asks for an upgrade.
func (f *framer) waiting() bool { return f.state == upgrading }

// inHead reports whether the framer is in a head or a trailer section.
func (f *framer) inHead() bool { return f.state <= atHeadLF }

// next expects another head.
func (f *framer) next() { *f = framer{} }

// feed follows p and returns how many of its bytes may be read. That is all of them, or those up to the end of a head
// that asks for an upgrade. With an error it is the bytes before the head or the line of chunked framing that is wrong
// began, as far as they are in p.
func (f *framer) feed(p []byte) (int, error) {
	safe := 0 // everything before is well framed
	for i := 0; i < len(p); {
		switch f.state {
		case inBody, inChunk:
			n := min(f.length, uint64(len(p)-i))
			f.length -= n
			i += int(n)
			if f.length == 0 {
				f.bodyDone()
			}
			safe = i
			continue
		case upgrading:
			return i, nil
		}
		if i += f.run(p[i:]); i == len(p) {
			break
		}
		before := f.state
		if err := f.step(p[i]); err != nil {
			return safe, err
		}
		i++
		if f.between(before) {
			safe = i
		}
	}
	return len(p), nil
}

// run takes the bytes in front of p that leave the state as it is, and returns how many. It does what step would do for
// each of them, faster.
func (f *framer) run(p []byte) int {
	i := 0
	switch {
	case f.state == inRequest && f.spaces == 1 && f.prev != ' ':
		for i < len(p) && p[i] > ' ' && p[i] != 0x7f {
			i++
		}
		if i > 0 {
			f.prev = p[i-1]
			last := p[max(0, i-len(f.tail)):i]
			copy(f.tail[:], f.tail[len(last):])
			copy(f.tail[len(f.tail)-len(last):], last)
		}
	case f.state == inName:
		for i < len(p) && tokenByte[p[i]] {
			if f.nameLen < len(f.name) {
				f.name[f.nameLen] = lower(p[i])
			}
			f.nameLen++
			i++
		}
	case f.state == inValue && f.field == otherField:
		for i < len(p) && (p[i] >= ' ' && p[i] != 0x7f || p[i] == '\t') {
			i++
		}
	}
	return i
}

// between reports whether the step from the state before ended a head or a part of chunked framing.
func (f *framer) between(before frameState) bool {
	switch before {
	case atHeadLF, atSizeLF, atChunkLF:
		return true
	}
	return false
}

// bodyDone goes on after the last byte of a body or a chunk.
func (f *framer) bodyDone() {
	if f.state == inChunk {
		f.state = atChunkCR
		return
	}
	f.next()
}

func (f *framer) step(c byte) error {
	switch f.state {
	case atLine:
		return f.lineStart(c)
	case inRequest:
		return f.requestByte(c)
	case inName:
		return f.nameByte(c)
	case inValue:
		return f.valueByte(c)
	case atLF:
		if c != '\n' {
			return errLineEnd
		}
		return f.lineEnd()
	case atHeadLF:
		if c != '\n' {
			return errLineEnd
		}
		return f.headEnd()
	default:
		return f.chunkByte(c)
	}
}

func (f *framer) lineStart(c byte) error {
	if c == '\r' {
		f.state = atHeadLF // also an empty line before a request line, RFC 9112 section 2.2
		return nil
	}
	if f.line == requestLine {
		f.state, f.spaces, f.prev, f.count = inRequest, 0, ' ', 0
		return f.requestByte(c)
	}
	if c == ' ' || c == '\t' {
		return errFold
	}
	f.state, f.nameLen, f.valueLen, f.blank = inName, 0, 0, 0
	return f.nameByte(c)
}

// requestByte takes "method SP target SP HTTP/1.x", RFC 9112 section 3, with single spaces.
func (f *framer) requestByte(c byte) error {
	switch {
	case c == '\r':
		if f.spaces != 2 || string(f.tail[1:8]) != "HTTP/1." || (f.tail[8] != '0' && f.tail[8] != '1') || f.tail[0] != ' ' {
			return errStartLine
		}
		f.minor = f.tail[8]
		f.state = atLF
		return nil
	case c == '\n':
		return errLineEnd
	case c == ' ':
		if f.prev == ' ' {
			return errStartLine
		}
		f.spaces++
	case c < ' ' || c == 0x7f:
		return errControl
	case f.spaces == 0 && !tokenByte[c]:
		return errStartLine
	}
	f.prev = c
	copy(f.tail[:], f.tail[1:])
	f.tail[8] = c
	return nil
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func (f *framer) nameByte(c byte) error {
	if c == ':' {
		if f.nameLen == 0 {
			return errFieldName
		}
		f.state, f.field = inValue, f.fieldOf()
		return nil
	}
	if !tokenByte[c] {
		if c == '\n' || c == '\r' {
			return errLineEnd
		}
		return errFieldName
	}
	if f.nameLen < len(f.name) {
		f.name[f.nameLen] = lower(c)
	}
	f.nameLen++
	return nil
}

func (f *framer) valueByte(c byte) error {
	switch {
	case c == '\r':
		f.state = atLF
		return nil
	case c == '\n':
		return errLineEnd
	case c == ' ' || c == '\t':
		if f.valueLen > 0 {
			f.blank++
		}
		return nil
	case c < ' ' || c == 0x7f:
		return errControl
	}
	if f.blank > 0 { // inside the value: no value that matters here has any
		f.valueLen = len(f.value) + 1
		f.blank = 0
	}
	if f.valueLen < len(f.value) {
		f.value[f.valueLen] = c
	}
	if f.valueLen <= len(f.value) {
		f.valueLen++
	}
	return nil
}

// lineEnd judges a whole line of a head.
func (f *framer) lineEnd() error {
	f.state = atLine
	if f.line == requestLine {
		f.line = fieldLine
		return nil
	}
	switch f.field {
	case hostField:
		if f.hosts++; f.hosts > 1 {
			return errHost
		}
	case lengthField:
		return f.contentLength()
	case codingField:
		return f.transferEncoding()
	case upgradeField:
		f.upgrade = true
	}
	return nil
}

// fieldOf says which field the name is, as far as it matters to framing.
func (f *framer) fieldOf() fieldKind {
	if f.nameLen > len(f.name) {
		return otherField
	}
	switch string(f.name[:f.nameLen]) {
	case "host":
		return hostField
	case "content-length":
		return lengthField
	case "transfer-encoding":
		return codingField
	case "upgrade":
		return upgradeField
	}
	return otherField
}

func (f *framer) contentLength() error {
	f.lengths++
	if f.line == trailerLine || f.lengths > 1 || f.valueLen == 0 || f.valueLen > 18 {
		return errLength
	}
	for _, c := range f.value[:f.valueLen] {
		if c < '0' || c > '9' {
			return errLength
		}
		f.length = f.length*10 + uint64(c-'0')
	}
	return nil
}

func (f *framer) transferEncoding() error {
	f.codings++
	if f.line == trailerLine || f.codings > 1 || f.minor != '1' || f.valueLen != len("chunked") {
		return errCoding
	}
	for i, c := range f.value[:f.valueLen] {
		if c|0x20 != "chunked"[i] {
			return errCoding
		}
	}
	f.chunked = true
	return nil
}

// headEnd says what follows a head, a trailer section, or an empty line before a request.
func (f *framer) headEnd() error {
	switch {
	case f.line != fieldLine:
		f.next()
	case f.chunked && f.lengths > 0:
		return errBothFrames
	case f.chunked:
		f.state, f.length, f.digits = inSize, 0, 0
	case f.length > 0:
		f.state = inBody
	case f.upgrade:
		f.state = upgrading
	default:
		f.next()
	}
	return nil
}

// chunkByte takes chunked framing, RFC 9112 section 7.1.
func (f *framer) chunkByte(c byte) error {
	switch f.state {
	case inSize:
		return f.sizeByte(c)
	case inExt:
		f.count++
		switch {
		case c == '\r':
			f.state = atSizeLF
		case c < ' ' && c != '\t', c == 0x7f, f.count > 256:
			return errChunk
		}
		return nil
	case atSizeLF:
		if c != '\n' {
			return errChunk
		}
		f.state = inChunk
		if f.length == 0 {
			f.state, f.line = atLine, trailerLine
		}
		return nil
	case atChunkCR:
		if c != '\r' {
			return errChunk
		}
		f.state = atChunkLF
		return nil
	case atChunkLF:
		if c != '\n' {
			return errChunk
		}
		f.state, f.length, f.digits = inSize, 0, 0
		return nil
	}
	return errChunk
}

func (f *framer) sizeByte(c byte) error {
	var v byte
	switch {
	case '0' <= c && c <= '9':
		v = c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		v = c | 0x20 - 'a' + 10
	case f.digits > 0 && c == '\r':
		f.state = atSizeLF
		return nil
	case f.digits > 0 && c == ';':
		f.state, f.count = inExt, 0
		return nil
	default:
		return errChunk
	}
	f.length = f.length<<4 | uint64(v)
	if f.digits++; f.digits > 16 || f.length > math.MaxInt64 {
		return errChunk
	}
	return nil
}

// tokenByte says which bytes are tchar, RFC 9110 section 5.6.2.
var tokenByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-0x20] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

package policy

import "bytes"

// maxReading bounds the bytes that the readings of one path have together, and so the work that a hostile path can cause:
// 64 KiB of path with two readings, 1 KiB with the most that there can be. Longer ones are refused.
const maxReading = 128 << 10

// traits say how many ways there are to read a path, step by step. A path has the fewest that are sure to cover it: what
// does not occur in it is not varied.
type traits struct {
	decode int // steps of decoding: 1 to 4
	params int // 3 where a semicolon may occur: kept, cut before decoding, cut after it
	back   int // 2 where a backslash may occur: kept, read as a slash
	order  int // what happens to slashes and dots: 1 nothing, 2 merging too, 5 dot segments too
}

// ways is the number of readings; 1 is a path that everyone reads alike.
func (t traits) ways() int { return t.bases() * t.order }

// tooLong reports whether a path of that many bytes has more readings than are worth the work.
func (t traits) tooLong(length int) bool { return t.ways() > 1 && length > maxReading/t.ways() }

// bases is the number of readings before anything happens to slashes and dots.
func (t traits) bases() int { return t.decode * t.params * t.back }

// Steps of decoding. The escapes of bytes that may not stand in a path by themselves (RFC 3986, section 3.3) are decoded
// in every reading, for there is no other way to send them.
const (
	decodeNeeded = iota // only these
	decodeOthers        // every escape but those of slash and backslash
	decodeAll           // every escape
	decodeTwice         // and then once more, as two decoders in a row do
	decodeSteps         // the number of steps
)

// Orders of merging slashes and of removing dot segments.
const (
	asItIs = iota
	merged
	resolved
	mergedResolved
	resolvedMerged
	orders // the number of orders
)

// examine looks at a path and returns its traits, or what is wrong with it whatever the reading. needed says whether any
// escape has to be decoded.
func examine(path string) (t traits, needed bool, wrong string) {
	t = traits{1, 1, 1, 1}
	previous := byte(0) // the decoded byte before
	dots := -1          // dots since the segment began, -1 when there was anything else
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch c {
		case '%':
			var ok bool
			if c, ok = unescape(path[i:]); !ok {
				return t, false, "the path holds an invalid escape"
			}
			i, needed = i+2, true
			t.escape(c)
		case ' ', '#', '?':
			return t, false, "the path holds a character that must be escaped"
		}
		switch {
		case c < ' ' || c == 0x7f:
			return t, false, "the path holds a control character"
		case c >= 0x80 && overlong(previous, c):
			return t, false, "the path holds an overlong form of a character"
		case c == '.' && dots >= 0:
			dots++
		case separates(c) || c == ';':
			t.end(c, previous, dots)
			dots = 0
		default:
			dots = -1
		}
		previous = c
	}
	t.end('/', 0, dots)
	return t, needed, ""
}

// escape notes an escaped byte.
func (t *traits) escape(c byte) {
	switch {
	case c == '%':
		*t = traits{decodeSteps, 3, 2, orders} // anything may come out of a second decoding
	case c == '/' || c == '\\':
		t.decode = max(t.decode, decodeAll+1)
	case !mustEscape(c):
		t.decode = max(t.decode, decodeOthers+1)
	}
}

// end notes that a segment, or what counts of one, ends with a byte: a slash, a backslash or a semicolon.
func (t *traits) end(c, previous byte, dots int) {
	if dots == 1 || dots == 2 {
		t.order = orders
	}
	switch c {
	case ';':
		t.params = 3
		t.order = max(t.order, merged+1) // "/;x/" may be read as "//"
		return
	case '\\':
		t.back = 2
	}
	if separates(previous) {
		t.order = max(t.order, merged+1)
	}
}

func separates(c byte) bool { return c == '/' || c == '\\' }

// mustEscape reports whether a byte may stand in a path only as an escape (RFC 3986, sections 3.3 and 2.3).
func mustEscape(c byte) bool {
	switch c {
	case ' ', '"', '<', '>', '^', '`', '{', '|', '}':
		return true
	}
	return c >= 0x80
}

// overlong reports whether two bytes begin a character that UTF-8 has a shorter form for, which decoders that do not
// check take for that character: C0 AE for a dot (RFC 3629, section 10).
func overlong(first, second byte) bool {
	switch first {
	case 0xc0, 0xc1:
		return second&0xc0 == 0x80
	case 0xe0:
		return second >= 0x80 && second < 0xa0
	case 0xf0:
		return second >= 0x80 && second < 0x90
	}
	return false
}

// reading appends to buf, which is empty, the path as the way with that number reads it: 0 is the plainest. It reports
// false when dot segments lead above the root.
func (t traits) reading(buf []byte, path string, way int) ([]byte, bool) {
	return arrange(t.base(buf, path, way/t.order), way%t.order)
}

// base is a reading before anything happens to slashes and dots.
func (t traits) base(buf []byte, path string, way int) []byte {
	decode := way % t.decode
	way /= t.decode
	params, back := way%t.params, way/t.params
	b := decoded(buf, path, decode, params == 1)
	if back == 1 {
		for i, c := range b {
			if c == '\\' {
				b[i] = '/'
			}
		}
	}
	if params == 2 {
		b = withoutParameters(b)
	}
	return b
}

// arrange merges slashes and removes dot segments in an order, in place.
func arrange(b []byte, order int) ([]byte, bool) {
	switch order {
	case merged:
		return merge(b), true
	case resolved:
		return resolve(b)
	case mergedResolved:
		return resolve(merge(b))
	case resolvedMerged:
		b, ok := resolve(b)
		return merge(b), ok
	}
	return b, true
}

// decoded appends the path decoded by that step. With cut, what follows a semicolon in a segment is left out first.
func decoded(buf []byte, path string, step int, cut bool) []byte {
	skipping := false
	for i := 0; i < len(path); i++ {
		c := path[i]
		if cut && (c == ';' || c == '/') {
			skipping = c == ';'
		}
		if skipping {
			continue
		}
		if c != '%' {
			buf = append(buf, c)
			continue
		}
		d, _ := unescape(path[i:])
		if mustEscape(d) || step >= decodeAll || step == decodeOthers && !separates(d) {
			buf = append(buf, d)
		} else {
			buf = append(buf, path[i:i+3]...)
		}
		i += 2
	}
	if step == decodeTwice {
		return again(buf)
	}
	return buf
}

// again decodes what is an escape after the first decoding, in place.
func again(b []byte) []byte {
	kept := b[:0]
	for i := 0; i < len(b); i++ {
		if c, ok := unescape(b[i:]); ok {
			kept = append(kept, c)
			i += 2
			continue
		}
		kept = append(kept, b[i])
	}
	return kept
}

// unescape returns the byte that the escape at the beginning of s stands for, and whether there is an escape.
func unescape[S string | []byte](s S) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	high, low := hex(s[1]), hex(s[2])
	if high < 0 || low < 0 {
		return 0, false
	}
	return byte(high<<4 | low), true
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// merge makes one slash of several, in place.
func merge(b []byte) []byte {
	kept := b[:0]
	for _, c := range b {
		if c == '/' && len(kept) > 0 && kept[len(kept)-1] == '/' {
			continue
		}
		kept = append(kept, c)
	}
	return kept
}

// withoutParameters drops what follows a semicolon in each segment, as some application servers do, in place.
func withoutParameters(b []byte) []byte {
	kept, skipping := b[:0], false
	for _, c := range b {
		if c == ';' || c == '/' {
			skipping = c == ';'
		}
		if !skipping {
			kept = append(kept, c)
		}
	}
	return kept
}

// resolve removes dot segments (RFC 3986, section 5.2.4), in place. It reports false when they lead above the root.
func resolve(b []byte) ([]byte, bool) {
	kept := b[:0] // never ends with a slash, except by an empty segment
	for rest := b; len(rest) > 0; {
		end := bytes.IndexByte(rest[1:], '/') + 1
		if end == 0 {
			end = len(rest)
		}
		segment, final := rest[:end], end == len(rest) // with its slash in front
		rest = rest[end:]
		switch string(segment) {
		case "/.":
		case "/..":
			cut := bytes.LastIndexByte(kept, '/')
			if cut < 0 {
				return nil, false
			}
			kept = kept[:cut]
		default:
			kept = append(kept, segment...)
			continue
		}
		if final {
			kept = append(kept, '/')
		}
	}
	if len(kept) == 0 {
		kept = append(kept, '/')
	}
	return kept, true
}

package perflog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	utext "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// readBuffer holds a whole line of most logs.
const readBuffer = 256 << 10

// decode returns a reader of r's text. UTF-16 is turned into UTF-8; other text passes as it is, with the encoding "" when only
// the names can tell which it is.
func decode(r io.Reader) (*bufio.Reader, string, error) {
	in := bufio.NewReaderSize(r, readBuffer)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	order := utext.LittleEndian
	name := "UTF-16LE"
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, err := in.Discard(3)
		return in, "UTF-8", err
	case bytes.HasPrefix(head, []byte("\xff\xfe")), len(head) == 4 && head[0] != 0 && head[1] == 0 && head[2] != 0 && head[3] == 0:
	case bytes.HasPrefix(head, []byte("\xfe\xff")), len(head) == 4 && head[0] == 0 && head[1] != 0 && head[2] == 0 && head[3] != 0:
		order, name = utext.BigEndian, "UTF-16BE"
	default:
		return in, "", nil
	}
	utf8 := transform.NewReader(in, utext.UTF16(order, utext.UseBOM).NewDecoder())
	return bufio.NewReaderSize(utf8, readBuffer), name, nil
}

// codePage is an ANSI code page that Windows writes logs in, with words that the names of its time zones hold. The words are
// recalled; only the Russian one was seen in a log.
type codePage struct {
	name  string
	enc   encoding.Encoding
	zones []string
}

var codePages = []codePage{
	{"windows-1251", charmap.Windows1251, []string{"RTZ", "Russia", "Moscow", "FLE", "Ekaterinburg", "Belarus", "Bulgar"}},
	{"windows-1252", charmap.Windows1252, []string{"W. Europe", "Romance", "GMT", "Hora", "Heure", "Mitteleurop", "Westeurop", "SA ", "E. South America", "Eastern", "Central America", "Pacific"}},
	{"windows-1250", charmap.Windows1250, []string{"Central Europe", "Central European"}},
	{"windows-1253", charmap.Windows1253, []string{"GTB"}},
	{"windows-1254", charmap.Windows1254, []string{"Turkey"}},
	{"windows-1255", charmap.Windows1255, []string{"Israel", "Jerusalem"}},
	{"windows-1256", charmap.Windows1256, []string{"Arab", "Egypt"}},
	{"shift_jis", japanese.ShiftJIS, []string{"Tokyo"}},
	{"gbk", simplifiedchinese.GBK, []string{"China"}},
	{"euc-kr", korean.EUCKR, []string{"Korea"}},
	{"big5", traditionalchinese.Big5, []string{"Taipei"}},
}

// names decodes the names of one header.
type names struct {
	encoding string
	enc      encoding.Encoding // nil when the bytes are taken as they are
}

// newNames finds the encoding of the header's cells: the one that is known already, UTF-8 where every cell is, the code page that
// makes the most known words, or the one that goes with the time zone.
func newNames(known, zone string, fields [][]byte) names {
	if known != "" {
		return names{encoding: known}
	}
	foreign := sampleForeign(fields)
	if len(foreign) == 0 {
		return names{encoding: "UTF-8"}
	}
	best, most := codePage{}, 0
	for _, page := range codePages {
		if n := knownWords(page.enc, foreign); n > most {
			best, most = page, n
		}
	}
	if most == 0 {
		best = pageOfZone(zone, foreign)
	}
	if best.enc == nil {
		return names{encoding: "unknown"}
	}
	return names{encoding: best.name, enc: best.enc}
}

// sampleForeign returns cells that are not UTF-8; enough of them to tell the code page by.
func sampleForeign(fields [][]byte) [][]byte {
	var foreign [][]byte
	for _, f := range fields {
		if !utf8.Valid(f) {
			foreign = append(foreign, f)
		}
	}
	const enough = 400
	if step := len(foreign)/enough + 1; step > 1 { // from all over the header: one counter's columns stand together
		var some [][]byte
		for i := 0; i < len(foreign); i += step {
			some = append(some, foreign[i])
		}
		return some
	}
	return foreign
}

// knownWords counts the objects and counters that a code page makes of the cells and that the table of names knows.
func knownWords(enc encoding.Encoding, cells [][]byte) int {
	n := 0
	for _, c := range cells {
		text, ok := decodeStrict(enc, c)
		if !ok {
			continue
		}
		path, ok := ParsePath(text)
		if !ok {
			continue
		}
		if knownName(objectNames, path.Object) {
			n++
		}
		if knownName(counterNames, path.Counter) {
			n++
		}
	}
	return n
}

// pageOfZone returns the code page that goes with a zone's name, if it can decode all the cells.
func pageOfZone(zone string, cells [][]byte) codePage {
	for _, page := range codePages {
		for _, word := range page.zones {
			if strings.Contains(zone, word) && decodesAll(page.enc, cells) {
				return page
			}
		}
	}
	return codePage{}
}

func decodesAll(enc encoding.Encoding, cells [][]byte) bool {
	for _, c := range cells {
		if _, ok := decodeStrict(enc, c); !ok {
			return false
		}
	}
	return true
}

// decodeStrict decodes b; it is not ok when b holds bytes that the code page has no sign for.
func decodeStrict(enc encoding.Encoding, b []byte) (string, bool) {
	text, err := enc.NewDecoder().Bytes(b)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) || bytes.ContainsFunc(text, unicode.IsControl) {
		return "", false
	}
	return string(text), true
}

// decode returns a cell's text. Bytes that cannot be decoded stay in it as they are; visible shows them.
func (n names) decode(b []byte) string {
	if n.enc == nil || isASCII(b) {
		return string(b)
	}
	if text, ok := decodeStrict(n.enc, b); ok {
		return text
	}
	return string(b)
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// visible returns s as valid UTF-8 without control characters: what is neither is written as \xNN.
func visible(s string) string {
	clean := true
	for i, r := range s {
		if unicode.IsControl(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size <= 1 || unicode.IsControl(r) {
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, `\x%02X`, c)
			}
		} else {
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

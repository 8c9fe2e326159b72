package edge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// heads is the corpus of unclear framing: none of it may be let through.
var unclear = []struct {
	name, bytes string
	err         error
}{
	{"CL and TE", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", errBothFrames},
	{"TE and CL", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX", errBothFrames},
	{"TE and CL 0", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", errBothFrames},
	{"two CL", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", errLength},
	{"two equal CL", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", errLength},
	{"CL list", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na", errLength},
	{"CL signed", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", errLength},
	{"CL negative", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\na", errLength},
	{"CL hex", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\na", errLength},
	{"CL empty", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", errLength},
	{"CL huge", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", errLength},
	{"CL with space inside", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 2\r\n\r\na", errLength},
	{"TE gzip, chunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", errCoding},
	{"TE identity", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", errCoding},
	{"TE xchunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", errCoding},
	{"TE quoted", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", errCoding},
	{"TE with parameter", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", errCoding},
	{"TE vertical tab", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", errControl},
	{"two TE", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errCoding},
	{"TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errCoding},
	{"space before colon", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", errFieldName},
	{"space in name", "GET / HTTP/1.1\r\nHost: x\r\nX Y: z\r\n\r\n", errFieldName},
	{"no colon", "GET / HTTP/1.1\r\nHost: x\r\nXY\r\n\r\n", errLineEnd},
	{"empty name", "GET / HTTP/1.1\r\nHost: x\r\n: z\r\n\r\n", errFieldName},
	{"folded line", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", errCoding},
	{"folded other line", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n", errFold},
	{"folded first line", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", errFold},
	{"bare LF after request line", "GET / HTTP/1.1\nHost: x\r\n\r\n", errLineEnd},
	{"bare LF after field", "GET / HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n", errLineEnd},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: x\r\n\n", errLineEnd},
	{"bare CR in value", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\rX-B: c\r\n\r\n", errLineEnd},
	{"CR CR LF", "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", errLineEnd},
	{"NUL in value", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\x00c\r\n\r\n", errControl},
	{"DEL in value", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\x7fc\r\n\r\n", errControl},
	{"NUL in target", "GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", errControl},
	{"tab in request line", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", errControl},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", errStartLine},
	{"space in target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", errStartLine},
	{"space at the end", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", errStartLine},
	{"no version", "GET /\r\n\r\n", errStartLine},
	{"lower case version", "GET / http/1.1\r\nHost: x\r\n\r\n", errStartLine},
	{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", errStartLine},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", errStartLine},
	{"odd method", "G{T / HTTP/1.1\r\nHost: x\r\n\r\n", errStartLine},
	{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", errHost},
	{"chunk size empty", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", errChunk},
	{"chunk size 0x", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", errChunk},
	{"chunk size signed", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n", errChunk},
	{"chunk size with space", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n", errChunk},
	{"chunk size too large", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", errChunk},
	{"chunk size of 17 digits", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\na\r\n0\r\n\r\n", errChunk},
	{"chunk size, bare LF", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", errChunk},
	{"chunk extension, bare LF", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;\na\r\n0\r\n\r\n", errChunk},
	{"chunk extension without end", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 300), errChunk},
	{"chunk longer than its size", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", errChunk},
	{"chunk end, bare LF", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", errChunk},
	{"CL in trailers", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n", errLength},
	{"TE in trailers", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", errCoding},
	{"folded trailer", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: b\r\n c\r\n\r\n", errFold},
	{"second request unclear", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\nHost: x\r\n\r\n", errLineEnd},
}

// clear is what must pass, with the number of messages in it.
var clearBytes = []struct {
	name, bytes string
	messages    int
}{
	{"get", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1},
	{"three in a row", strings.Repeat("GET /a?b HTTP/1.1\r\nHost: x\r\nX-A:  b c \t\r\n\r\n", 3), 3},
	{"with length", "POST / HTTP/1.1\r\nHost: x\r\nCONTENT-LENGTH:  3 \r\n\r\nabcGET / HTTP/1.0\r\n\r\n", 2},
	{"length 0", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 2},
	{"chunked", "POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: Chunked\r\n\r\nA\r\n0123456789\r\n01;x=\"y\"\r\na\r\n0\r\nX-T: z\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 2},
	{"empty line before", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 2},
	{"bytes above ASCII in value", "GET / HTTP/1.1\r\nHost: x\r\nX-A: \xc3\xa4\r\n\r\n", 1},
	{"long name", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("content-length", 5) + ": 1\r\n\r\n", 1},
}

func feedBy(data string, step int) error {
	var f framer
	for len(data) > 0 {
		n := min(step, len(data))
		if _, err := f.feed([]byte(data[:n])); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func TestFramerRefuses(t *testing.T) {
	for _, c := range unclear {
		t.Run(c.name, func(t *testing.T) {
			for _, step := range []int{1, 3, 7, 1 << 20} {
				if err := feedBy(c.bytes, step); !errors.Is(err, c.err) {
					t.Errorf("in steps of %d: got %v, want %v", step, err, c.err)
				}
			}
		})
	}
}

func TestFramerPasses(t *testing.T) {
	for _, c := range clearBytes {
		t.Run(c.name, func(t *testing.T) {
			for _, step := range []int{1, 3, 7, 1 << 20} {
				if err := feedBy(c.bytes, step); err != nil {
					t.Errorf("in steps of %d: %v", step, err)
				}
			}
			if n, err := readAll([]byte(c.bytes)); n != c.messages || err != nil {
				t.Errorf("net/http reads %d messages, %v", n, err)
			}
		})
	}
}

// Never more than the bytes before an unclear head is handed out.
func TestFramerHandsOutNoUnclearHead(t *testing.T) {
	first := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	var f framer
	n, err := f.feed([]byte(first + "GET / HTTP/1.1\r\nBad Name: x\r\n\r\n"))
	if n != len(first) || !errors.Is(err, errFieldName) {
		t.Errorf("got %d, %v, want %d", n, err, len(first))
	}
}

func TestFramerStopsAtUpgrade(t *testing.T) {
	head := "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"
	var f framer
	n, err := f.feed([]byte(head + "\x81\x00"))
	if n != len(head) || err != nil || !f.waiting() {
		t.Errorf("got %d, %v, waiting %v", n, err, f.waiting())
	}
}

// readAll counts the requests that net/http reads.
func readAll(data []byte) (int, error) {
	r := bufio.NewReader(bytes.NewReader(data))
	for n := 0; ; n++ {
		for { // as the server does after a POST
			b, err := r.Peek(1)
			if err != nil {
				return n, nil
			}
			if b[0] != '\r' && b[0] != '\n' {
				break
			}
			_, _ = r.Discard(1)
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return n, err
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return n, err
		}
	}
}

// FuzzFramer checks that the framer does not depend on how bytes are cut, and that net/http frames what it passes in the
// same way: after each message that the framer ends, net/http is at the same place.
func FuzzFramer(f *testing.F) {
	for _, c := range unclear {
		f.Add([]byte(c.bytes), 5)
	}
	for _, c := range clearBytes {
		f.Add([]byte(c.bytes), 5)
	}
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		if step <= 0 || step > len(data)+1 {
			step = 1
		}
		var whole framer
		n, err := whole.feed(data)
		if n > len(data) {
			t.Fatalf("%d bytes of %d", n, len(data))
		}
		if whole.waiting() {
			return
		}
		if again := feedBy(string(data), step); !errors.Is(again, err) {
			t.Fatalf("at once: %v, in steps of %d: %v", err, step, again)
		}
		ends := messageEnds(data[:n])
		for i, end := range ends {
			got, err := readAll(data[:end])
			if err != nil {
				return // net/http refuses more than framing
			}
			if got != i+1 {
				t.Fatalf("%q: net/http reads %d messages, the framer %d", data[:end], got, i+1)
			}
		}
	})
}

// messageEnds returns the offsets at which the framer sees a request end.
func messageEnds(data []byte) []int {
	var f framer
	var ends []int
	inside := false
	for i := range data {
		before := f.line
		_, err := f.feed(data[i : i+1])
		if err != nil || f.waiting() {
			return ends
		}
		inside = inside || before != requestLine || f.state == inRequest
		if inside && f.state == atLine && f.line == requestLine {
			ends = append(ends, i+1)
			inside = false
		}
	}
	return ends
}

func BenchmarkFramer(b *testing.B) {
	data := []byte("GET /a/b/c?d=e HTTP/1.1\r\nHost: shop.example\r\n" + strings.Repeat("X-Some-Field: some value of usual length\r\n", 8) + "\r\n")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var f framer
	for b.Loop() {
		if _, err := f.feed(data); err != nil {
			b.Fatal(err)
		}
	}
}

package httpcheck

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/reach"
	"gatehouse/internal/state"
)

// answer is the last response of a server that asked for nothing more.
type answer struct {
	code     int
	text     string // "Not Found"; the server's own words, cleaned
	proto    string
	header   http.Header
	longer   bool // the body goes on beyond what was read
	wantsTLS bool // the body says that plain HTTP came to an https port
}

func (r *answer) status() string {
	return strings.TrimSpace(strconv.Itoa(r.code) + " " + r.text)
}

func (r *answer) retryAfter() []string {
	if v := r.header.Get("Retry-After"); v != "" {
		return []string{"Retry-After: " + reach.Clean(v, 80)}
	}
	return nil
}

// maxInformational bounds the 1xx responses before the answer.
const maxInformational = 8

var errTooLong = errors.New("longer than the limit")

// capped reads at most left bytes and then fails with errTooLong, where io.LimitedReader would end quietly. It remembers
// how reading ended, since net/http calls a head that stops in the middle of a line malformed.
type capped struct {
	r     io.Reader
	left  int64
	ended error
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.ended = errTooLong
		return 0, errTooLong
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.ended = err
	return n, err
}

// protocol is what every answer begins with.
const protocol = "HTTP/"

// exchange sends the request and reads the whole answer, each byte of it counted.
func (a *attempt) exchange(ctx context.Context, conn net.Conn) (*answer, *reach.Failure) {
	start := time.Now()
	_, err := conn.Write(a.target.request)
	a.timings.Request += time.Since(start)
	if err != nil {
		return nil, a.broken(ctx, state.Request, "while the request was sent", err)
	}
	limit := &capped{r: conn, left: a.check.headerBytes}
	in := bufio.NewReaderSize(limit, 2<<10)
	start = time.Now()
	first, err := in.Peek(len(protocol))
	a.timings.FirstByte += time.Since(start)
	if err != nil && string(first) == protocol[:len(first)] {
		return nil, a.broken(ctx, state.FirstByte, "before the first byte of an answer", err)
	}
	start = time.Now()
	defer func() { a.timings.Body += time.Since(start) }()
	if string(first) != protocol {
		return nil, a.notHTTP(in)
	}
	response, err := a.head(in) //nolint:bodyclose // see below
	if err != nil {
		if limit.ended != nil {
			err = limit.ended
		}
		return nil, a.badHead(ctx, err)
	}
	// The body is not closed: that would read a chunked one to its end, and the connection is closed in any case.
	r := &answer{code: response.StatusCode, text: reach.Clean(statusText(response), 60), proto: response.Proto, header: response.Header}
	// Chunks of one byte have five bytes of framing.
	limit.left = 6*a.check.bodyBytes + a.check.headerBytes
	return r, a.body(ctx, response, r)
}

// statusText is the server's own words for the status, the standard's where it has none.
func statusText(response *http.Response) string {
	if _, text, ok := strings.Cut(response.Status, " "); ok && text != "" {
		return text
	}
	return http.StatusText(response.StatusCode)
}

// head reads response heads until one that is not informational.
func (a *attempt) head(in *bufio.Reader) (*http.Response, error) {
	for range maxInformational {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
	return nil, fmt.Errorf("more than %d informational responses", maxInformational)
}

func (a *attempt) notHTTP(in *bufio.Reader) *reach.Failure {
	seen, _ := in.Peek(min(in.Buffered(), 40))
	f := &reach.Failure{
		State: state.Error, Phase: state.FirstByte, Reason: "what answers there is not HTTP",
		Evidence: []string{fmt.Sprintf("first bytes %q", seen)},
	}
	// A TLS alert or handshake record: content type 21 or 22, major version 3.
	if len(seen) > 2 && (seen[0] == 21 || seen[0] == 22) && seen[1] == 3 {
		f.Reason = "what answers there is TLS, not plain HTTP: the URL should begin with https"
	}
	return f
}

func (a *attempt) badHead(ctx context.Context, err error) *reach.Failure {
	if errors.Is(err, errTooLong) {
		return &reach.Failure{
			State: state.Error, Phase: state.FirstByte, Err: err,
			Reason: fmt.Sprintf("the head of the answer is longer than %d bytes", a.check.headerBytes),
		}
	}
	f := a.broken(ctx, state.FirstByte, "in the head of the answer", err)
	if f.State == state.Error && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) && !isNetwork(err) {
		f.Reason = "the head of the answer is not valid HTTP"
		f.Evidence = []string{reach.Clean(err.Error(), 200)}
	}
	return f
}

// body reads as much of the body as is allowed.
func (a *attempt) body(ctx context.Context, response *http.Response, r *answer) *reach.Failure {
	var look sniffer
	n, err := look.drain(response.Body, a.check.bodyBytes)
	r.wantsTLS = look.wantsTLS()
	switch {
	case n > a.check.bodyBytes || errors.Is(err, errTooLong):
		r.longer = true
	case err != nil:
		f := a.broken(ctx, state.Body, fmt.Sprintf("after %d bytes of the body", n), err)
		f.Evidence = append([]string{r.proto + " " + r.status()}, f.Evidence...)
		if response.ContentLength > 0 {
			f.Evidence = append(f.Evidence, fmt.Sprintf("Content-Length: %d", response.ContentLength))
		}
		return f
	}
	return nil
}

// sniffer looks at the first bytes of a body and lets the rest go.
type sniffer struct {
	seen [256]byte
	n    int
}

// drain reads to the end or to one byte beyond limit. Its buffer is small: io.Copy would take 32 KiB for two bytes.
func (s *sniffer) drain(r io.Reader, limit int64) (n int64, err error) {
	buf := make([]byte, 1<<10)
	for n <= limit {
		got, err := r.Read(buf[:min(int64(len(buf)), limit+1-n)])
		s.n += copy(s.seen[s.n:], buf[:got])
		n += int64(got)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// wantsTLS knows the words with which nginx, Apache and Go answer plain HTTP on an https port.
func (s *sniffer) wantsTLS() bool {
	text := strings.ToLower(string(s.seen[:s.n]))
	return strings.Contains(text, "https port") || strings.Contains(text, "https server") || strings.Contains(text, "ssl-enabled server port")
}

// broken says how an exchange ended before its time; where names the place in words. An alert of TLS 1.3 that arrives
// late, a demand for a client certificate above all, is told as what it is.
func (a *attempt) broken(ctx context.Context, phase state.Phase, where string, err error) *reach.Failure {
	if reach.IsAlert(err) {
		f := reach.ExplainTLS(ctx, err, time.Now())
		f.Phase = phase
		return f
	}
	f := reach.Explain(ctx, phase, err)
	switch {
	case f.State == state.Timeout:
		f.Reason = "the time ran out " + where
	case f.State != state.Error:
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		f.Reason = "the server closed the connection " + where
	case isNetwork(err):
		f.Reason = strings.TrimSuffix(f.Reason, fmt.Sprintf(" in the %s phase", phase)) + " " + where
		f.Evidence = append(f.Evidence, "system: "+reach.Clean(err.Error(), 200))
	default:
		f.Reason = "the answer could not be read " + where
		f.Evidence = append(f.Evidence, reach.Clean(err.Error(), 200))
	}
	return f
}

func isNetwork(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

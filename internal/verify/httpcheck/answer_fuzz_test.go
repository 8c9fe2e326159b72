package httpcheck

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/reach"
	"gatehouse/internal/state"
)

// scripted is the client's end of a connection on which everything is written at once and a fixed answer comes back.
type scripted struct {
	net.Conn
	answer *strings.Reader
}

func (c *scripted) Write(p []byte) (int, error) { return len(p), nil }
func (c *scripted) Read(p []byte) (int, error)  { return c.answer.Read(p) }
func (c *scripted) Close() error                { return nil }
func (c *scripted) SetDeadline(time.Time) error { return nil }
func (c *scripted) RemoteAddr() net.Addr        { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

// FuzzAnswer: whatever a server sends, a check ends with one of the words, and says nothing that a terminal would obey.
func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)
	f.Add("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 401 No\r\nWWW-Authenticate: NTLM, Basic realm=\"\x1b[1m\"\r\n\r\n", false)
	f.Add("HTTP/1.1 302 Found\r\nLocation: //other\x7f/\u202e?q\r\n\r\n", true)
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", false)
	f.Fuzz(func(t *testing.T, text string, follow bool) {
		c, err := New(Options{URL: "http://192.0.2.1/", FollowRedirects: follow, BodyBytes: 100, HeaderBytes: 1000, Dialer: &reach.Dialer{
			LookupIP: func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("192.0.2.2")}, nil
			},
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return &scripted{answer: strings.NewReader(text)}, nil
			},
		}, TLS: nil})
		if err != nil {
			t.Fatal(err)
		}
		got := c.Check(t.Context())
		if got.State.Severity() >= len(state.States()) || got.Reason == "" || (got.State.Answered() != (got.Phase == "")) {
			t.Errorf("got %+v", got)
		}
		for _, line := range append(got.Evidence, got.Reason, got.Address) {
			for _, r := range line {
				if !strconv.IsPrint(r) {
					t.Errorf("%q has what cannot be printed", line)
				}
			}
		}
	})
}

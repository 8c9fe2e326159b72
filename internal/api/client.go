package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// Client speaks to one process. It is safe for concurrent use and keeps at most two idle connections; Close ends them.
type Client struct {
	name   string
	socket string
	http   *http.Client
}

// NewClient returns a client for the process named name (for error messages) that listens on the unix socket.
func NewClient(name, socket string) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: 2,
		DisableCompression:  true,
	}
	return &Client{name: name, socket: socket, http: &http.Client{Transport: transport}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get reads the document at path into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.exchange(ctx, http.MethodGet, path, nil, out)
}

// Post sends in (nil for nothing) to path and reads the answer into out (nil to ignore it).
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.exchange(ctx, http.MethodPost, path, in, out)
}

func (c *Client) exchange(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s: encode request: %w", c.name, err)
		}
		body = bytes.NewReader(data)
	}
	resp, err := c.Do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, MaxDocument))
	if err != nil {
		return fmt.Errorf("%s: read answer: %w", c.name, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s: read answer to %s: %w", c.name, path, err)
	}
	return nil
}

// Do sends a request and returns the answer as it is when it is a success; the caller closes its body. Any other answer
// is an *Error, and a process that does not listen is a plain sentence.
func (c *Client) Do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://gatehouse"+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, fmt.Errorf("%s does not answer on %s: %w", c.name, c.socket, op.Err)
		}
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	failure := &Error{Status: resp.StatusCode}
	if json.Unmarshal(data, failure) != nil || failure.Message == "" {
		failure.Message = strings.TrimSpace(string(data))
	}
	return nil, fmt.Errorf("%s: %w", c.name, failure)
}

// Follow reads the stream of server-sent events at path and hands each to on, in order, until ctx ends, the stream ends
// or on returns an error. The data belongs to on until it returns. It never returns nil.
func (c *Client) Follow(ctx context.Context, path string, on func(event string, data []byte) error) error {
	resp, err := c.Do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), MaxDocument)
	var event string
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		switch {
		case len(line) == 0:
			if data != nil {
				if err := on(event, data); err != nil {
					return err
				}
			}
			event, data = "", nil
		case bytes.HasPrefix(line, []byte("event: ")):
			event = string(line[len("event: "):])
		case bytes.HasPrefix(line, []byte("data: ")):
			data = append(data, line[len("data: "):]...)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: follow %s: %w", c.name, path, err)
	}
	return fmt.Errorf("%s: follow %s: %w", c.name, path, io.EOF)
}

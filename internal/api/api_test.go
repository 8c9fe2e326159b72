package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server with the routes until the test ends.
func serve(t *testing.T, mux *http.ServeMux) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, ln, mux, slog.New(slog.DiscardHandler)) }()
	client := NewClient("part", socket)
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return client
}

type document struct{ Text string }

func TestDocuments(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /good", func(w http.ResponseWriter, _ *http.Request) { Reply(w, document{"<x> & y"}) })
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("GET /bad", func(w http.ResponseWriter, _ *http.Request) {
		Fail(w, http.StatusNotFound, errors.New("no farm \"x\""))
	})
	mux.HandleFunc("GET /nonsense", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{") })
	client := serve(t, mux)

	var got document
	if err := client.Get(t.Context(), "/good", &got); err != nil || got.Text != "<x> & y" {
		t.Errorf("get: %v, %+v", err, got)
	}
	if err := client.Post(t.Context(), "/echo", document{"sent"}, &got); err != nil || got.Text != "sent" {
		t.Errorf("post: %v, %+v", err, got)
	}
	var failure *Error
	err := client.Get(t.Context(), "/bad", &got)
	if !errors.As(err, &failure) || failure.Status != http.StatusNotFound || err.Error() != `part: no farm "x"` {
		t.Errorf("failure: %v", err)
	}
	if err := client.Get(t.Context(), "/nonsense", &got); err == nil || !strings.Contains(err.Error(), "part: read answer to /nonsense") {
		t.Errorf("nonsense: %v", err)
	}
	if err := NewClient("verify", filepath.Join(t.TempDir(), "none")).Get(t.Context(), "/", &got); err == nil ||
		!strings.HasPrefix(err.Error(), "verify does not answer on /") {
		t.Errorf("no socket: %v", err)
	}
}

func TestEventsUntilTheServerEnds(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		events, err := NewEvents(w)
		if err != nil {
			t.Error(err)
			return
		}
		for _, text := range []string{"one", "two\nlines"} {
			if err := errors.Join(events.Send("said", document{text}), events.Beat()); err != nil {
				t.Error(err)
			}
		}
		<-r.Context().Done()
	})
	client := serve(t, mux)
	var got []string
	enough := errors.New("enough")
	err := client.Follow(t.Context(), "/events", func(event string, data []byte) error {
		got = append(got, event+" "+string(data))
		if len(got) == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("follow ended with %v", err)
	}
	if want := "said {\"Text\":\"one\"}|said {\"Text\":\"two\\nlines\"}"; strings.Join(got, "|") != want {
		t.Errorf("events = %q", got)
	}
}

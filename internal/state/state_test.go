package state

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSeverityOrdersEveryStateOnce(t *testing.T) {
	seen := map[int]State{}
	for _, s := range States() {
		if other, ok := seen[s.Severity()]; ok {
			t.Errorf("%q and %q are equally severe", s, other)
		}
		seen[s.Severity()] = s
	}
	if Good.Severity() != 0 {
		t.Errorf("good has severity %d, want 0", Good.Severity())
	}
	if invented := State("lost"); invented.Severity() <= Timeout.Severity() {
		t.Errorf("a state that is not one of the words has severity %d, want the worst", invented.Severity())
	}
}

func TestAnswered(t *testing.T) {
	want := map[State]bool{Good: true, Slow: true, AuthenticationRequired: true}
	for _, s := range States() {
		if s.Answered() != want[s] {
			t.Errorf("%q answered: %v", s, s.Answered())
		}
	}
}

func TestWorst(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []State
		want State
	}{
		{"none", nil, Unknown},
		{"one", []State{Slow}, Slow},
		{"authentication beats slow", []State{Good, AuthenticationRequired, Slow}, AuthenticationRequired},
		{"failure beats unknown", []State{Unknown, Error, Good}, Error},
		{"timeout is the worst word", []State{Timeout, Refused, UnresolvedName}, Timeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Worst(tt.in...); got != tt.want {
				t.Errorf("Worst(%v) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestTimingsJSON(t *testing.T) {
	got, err := json.Marshal(Timings{Connect: 1234 * time.Microsecond, Total: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"connect_ms":1.234,"total_ms":2000}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var bad Timings
	if err := json.Unmarshal([]byte(`{"total_ms":"soon"}`), &bad); err == nil {
		t.Error("a word in place of a number was taken")
	}
}

func TestTimingsJSONKeepsMicroseconds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micros := func(name string) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(time.Hour/time.Microsecond)).Draw(t, name)) * time.Microsecond
		}
		want := Timings{micros("resolve"), micros("connect"), micros("tls"), micros("request"), micros("first"), micros("body"), micros("total")}
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Timings
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("got %v, want %v from %s", got, want, data)
		}
	})
}

func TestGraded(t *testing.T) {
	took := Timings{Total: 5100 * time.Millisecond}
	for _, tt := range []struct {
		name      string
		in        Result
		threshold time.Duration
		state     State
		reason    string
	}{
		{"fast", Result{State: Good, Reason: "HTTP 200 OK", Timings: Timings{Total: 5 * time.Second}}, 5 * time.Second, Good, "HTTP 200 OK"},
		{"slow", Result{State: Good, Reason: "HTTP 200 OK", Timings: took}, 5 * time.Second, Slow, "HTTP 200 OK; it took 5100 ms, more than the threshold of 5000 ms"},
		{"no threshold", Result{State: Good, Reason: "HTTP 200 OK", Timings: took}, 0, Good, "HTTP 200 OK"},
		{"authentication stays", Result{State: AuthenticationRequired, Reason: "who?", Timings: took}, time.Second, AuthenticationRequired, "who?; it took 5100 ms, more than the threshold of 1000 ms"},
		{"a failure stays", Result{State: Timeout, Reason: "late", Timings: took}, time.Second, Timeout, "late"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.Graded(tt.threshold); got.State != tt.state || got.Reason != tt.reason {
				t.Errorf("got %q: %s", got.State, got.Reason)
			}
		})
	}
}

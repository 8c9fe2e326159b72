package cli

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/state"
)

// runVerify runs gatehouse verify in this process.
func runVerify(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	env := &Env{Args: append([]string{"verify"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	code = Run(t.Context(), env)
	return code, out.String(), errs.String()
}

func TestVerify(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	mux.HandleFunc("/who", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("WWW-Authenticate", "Negotiate")
		w.Header().Add("WWW-Authenticate", "NTLM")
		w.WriteHeader(http.StatusUnauthorized)
	})
	mux.HandleFunc("/bad", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/good", http.StatusFound) })
	mux.HandleFunc("/colour", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/\x1b[31m")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/host", func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "shop.example" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	plain := httptest.NewServer(mux)
	defer plain.Close()
	secure := httptest.NewTLSServer(mux)
	defer secure.Close()
	silent := listen(t)
	port := strings.TrimPrefix(plain.URL, "http://")
	for _, tt := range []struct {
		name string
		args []string
		code int
		has  []string
	}{
		{"good", []string{plain.URL + "/good"}, 0, []string{"state    good\n", "why      HTTP 200 OK\n", "reached  " + port, "first byte", "- HTTP/1.1 200 OK"}},
		{"slow", []string{"--threshold", "1ns", plain.URL + "/good"}, 0, []string{"state    slow\n", "next     "}},
		{"authentication required", []string{plain.URL + "/who"}, 0, []string{"authentication required (HTTP 401, Negotiate and NTLM offered)", "- WWW-Authenticate: NTLM", "next     the server is alive"}},
		{"503", []string{plain.URL + "/bad"}, 1, []string{"state    error\n", "HTTP 503", "the server's own log"}},
		{"404", []string{plain.URL + "/nothing"}, 1, []string{"HTTP 404", "check the path"}},
		{"redirect", []string{plain.URL + "/moved"}, 0, []string{"HTTP 302 Found to /good, not followed"}},
		{"redirect followed", []string{"--follow-redirects", plain.URL + "/moved"}, 0, []string{"why      HTTP 200 OK", "- Location: /good"}},
		{"host", []string{"--host", "shop.example", plain.URL + "/host"}, 0, []string{"state    good"}},
		{"certificate", []string{secure.URL + "/good"}, 1, []string{"state    TLS error", `failed   in the phase "tls"`, "failed here", "next     have gatehouse trust"}},
		{"insecure", []string{"--insecure", secure.URL + "/good"}, 0, []string{"state    good", "TLS 1.3"}},
		{"plain to https", []string{strings.Replace(secure.URL, "https", "http", 1) + "/good"}, 1, []string{"that port wants https", "next     write https://"}},
		{"https to plain", []string{strings.Replace(plain.URL, "http", "https", 1) + "/good"}, 1, []string{"does not speak TLS", "next     try http://"}},
		{"hangs", []string{"--timeout", "30ms", "http://" + silent + "/"}, 1, []string{"state    timeout", "before the first byte of an answer", "overloaded or hangs"}},
		{"tcp", []string{port}, 0, []string{"state    good", "the port accepts connections"}},
		{"json", []string{"--format", "json", plain.URL + "/good"}, 0, []string{`"state": "good"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := runVerify(t, tt.args...)
			if code != tt.code || errs != "" {
				t.Errorf("exit code %d, want %d; %s", code, tt.code, errs)
			}
			for _, want := range tt.has {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
		})
	}
	if _, out, _ := runVerify(t, plain.URL+"/colour"); strings.Contains(out, "\x1b") {
		t.Errorf("a server's escape sequence reaches the terminal: %q", out)
	}
	var report verifyReport
	_, out, _ := runVerify(t, "--format", "json", plain.URL+"/who")
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Result.State != state.AuthenticationRequired || report.Kind != "http" || report.Next == "" {
		t.Errorf("%v: %+v", err, report)
	}
}

// listen accepts into the kernel's queue and never answers.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestVerifyWrongCalls(t *testing.T) {
	for _, args := range [][]string{
		{}, {"a", "b"}, {"shop.example"}, {"ftp://shop.example"}, {"tcp://shop.example"}, {"icmp://a:80"}, {"http://u:p@a/"},
		{"--format", "xml", "a:1"}, {"--timeout", "0s", "a:1"}, {"--threshold", "-1s", "a:1"}, {"--insecure", "a:1"}, {"--never", "a:1"},
	} {
		code, out, errs := runVerify(t, args...)
		if code != 2 || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestVerifyICMP(t *testing.T) {
	code, out, _ := runVerify(t, "--timeout", "5s", "icmp://127.0.0.1")
	if strings.Contains(out, "may not send echo requests") {
		t.Skip("echo requests are not allowed here")
	}
	if code != 0 || !strings.Contains(out, "host only") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestVerifyAdvice: whatever goes wrong, there is something to do.
func TestVerifyAdvice(t *testing.T) {
	for _, s := range state.States() {
		for _, phase := range []state.Phase{state.Resolve, state.Connect, state.TLS, state.Request, state.FirstByte, state.Body} {
			r := state.Result{State: s, Phase: phase, Timings: state.Timings{Body: time.Second}}
			if got := verifyAdvice("http", "http://a/", r); (got == "") != (s == state.Good) {
				t.Errorf("%s in phase %s: %q", s, phase, got)
			}
		}
	}
}

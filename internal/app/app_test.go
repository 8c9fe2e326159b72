//go:build unix

package app_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/cli"
	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

// TestMain lets the test binary stand for gatehouse: with a command as its first argument it is the program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Exit(cli.Run(context.Background(), cli.OS()))
	}
	os.Exit(m.Run())
}

// gateway is a whole gatehouse in processes of its own.
type gateway struct {
	t       *testing.T
	dir     string
	config  string
	site    string // URL of the published farm
	console string
	members []*member
	log     bytes.Buffer
	systemd *net.UnixConn // hears what gatehouse tells systemd
	stop    func()        // ends gatehouse; more than once is once
}

// member is a server of the farm, in the test's own process.
type member struct {
	*httptest.Server
	failing atomic.Bool
	served  atomic.Int64
}

func newMember(t *testing.T, name string) *member {
	m := &member{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.failing.Load() {
			http.Error(w, "failing", http.StatusInternalServerError)
			return
		}
		if r.URL.Path != "/health" {
			m.served.Add(1)
		}
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(m.Close)
	return m
}

// start runs gatehouse over three members until the test ends.
func start(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir()}
	free := freePorts(t, 2)
	g.site, g.console = "http://"+free[0], free[1]
	for _, name := range []string{"a", "b", "c"} {
		g.members = append(g.members, newMember(t, name))
	}
	g.config = filepath.Join(g.dir, "gatehouse.yaml")
	g.configure("")
	systemd := &net.UnixAddr{Name: filepath.Join(g.dir, "systemd"), Net: "unixgram"}
	var err error
	if g.systemd, err = net.ListenUnixgram("unixgram", systemd); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "run", "-c", g.config)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "NOTIFY_SOCKET="+systemd.Name)
	cmd.Stderr = &g.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("gatehouse ended: %v", err)
		}
	})
	t.Cleanup(func() {
		g.stop()
		_ = g.systemd.Close()
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.Logf("its log:\n%s", g.log.String())
		}
	})
	g.await("every worker ready", func() bool {
		s, err := g.status()
		if err != nil {
			return false
		}
		for _, w := range s.Workers {
			if w.State != "ready" {
				return false
			}
		}
		return len(s.Workers) == 3
	})
	g.await("every member good", func() bool {
		for _, m := range g.farm().Members {
			if m.State != state.Good || !m.Usable {
				return false
			}
		}
		return true
	})
	return g
}

// configure writes the configuration; extra is more of it.
func (g *gateway) configure(extra string) {
	g.t.Helper()
	text := fmt.Sprintf(`state: %s
log: {level: debug, access: false}
console: {listen: "%s"}
web_listeners: {public: {address: "%s"}}
web_farms:
  shop:
    members:
      - {name: a, url: "%s"}
      - {name: b, url: "%s"}
      - {name: c, url: "%s"}
    affinity: none
    slow_start: 0s
    verifier: {http: "http://*/health", period: 100ms, timeout: 2s, threshold: 1s}
publishing_rules: {shop: {farm: shop}}
memory: {interval: 200ms, look: 1s}
%s`, filepath.Join(g.dir, "state"), g.console, strings.TrimPrefix(g.site, "http://"),
		g.members[0].URL, g.members[1].URL, g.members[2].URL, extra)
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// freePorts returns addresses that nobody listens on, each another.
func freePorts(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ln.Close() }()
		addresses = append(addresses, ln.Addr().String())
	}
	return addresses
}

// await polls until something holds.
func (g *gateway) await(what string, holds func() bool) {
	g.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			g.t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func get[T any](g *gateway, part, path string) (T, error) {
	client := api.NewClient(part, supervisor.SocketPath(filepath.Join(g.dir, "state"), part))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var v T
	return v, client.Get(ctx, path, &v)
}

func (g *gateway) status() (supervisor.Status, error) {
	return get[supervisor.Status](g, "supervisor", "/status")
}

func (g *gateway) farm() farm.Snapshot {
	g.t.Helper()
	farms, err := get[[]farm.Snapshot](g, "edge", "/farms")
	if err != nil || len(farms) != 1 {
		g.t.Fatalf("farms: %v %+v", err, farms)
	}
	return farms[0]
}

func (g *gateway) verifier(name string) state.Status {
	g.t.Helper()
	all, err := get[[]state.Status](g, "verify", "/verifiers")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, v := range all {
		if v.Verifier == name {
			return v
		}
	}
	g.t.Fatalf("no verifier %s in %+v", name, all)
	return state.Status{}
}

// kill kills a worker and returns once another process is ready in its place.
func (g *gateway) kill(role string) {
	g.t.Helper()
	before, err := g.status()
	if err != nil {
		g.t.Fatal(err)
	}
	pid := 0
	for _, w := range before.Workers {
		if w.Role == role {
			pid = w.PID
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		g.t.Fatal(err)
	}
	began := time.Now()
	g.await(role+" back", func() bool {
		s, err := g.status()
		if err != nil {
			return false
		}
		for _, w := range s.Workers {
			if w.Role == role && w.PID != pid && w.State == "ready" {
				return true
			}
		}
		return false
	})
	g.t.Logf("%s was back after %s", role, time.Since(began).Round(time.Millisecond))
}

// load sends requests through the farm until stopped, and returns how many there were and which failed.
func (g *gateway) load() (stop func() (requests int64, failures []string)) {
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	var requests atomic.Int64
	var mu sync.Mutex
	var failures []string
	for i := range 4 { // half of them with a connection for each request, which no client repeats on another
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}, Timeout: 10 * time.Second}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				requests.Add(1)
				if err := visit(client, g.site); err != nil {
					mu.Lock()
					failures = append(failures, err.Error())
					mu.Unlock()
				}
			}
		})
	}
	return func() (int64, []string) {
		cancel()
		clients.Wait()
		return requests.Load(), failures
	}
}

func visit(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

// gatehouse runs a command of the program.
func (g *gateway) gatehouse(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = cli.Run(context.Background(), &cli.Env{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string {
			if name == "GATEHOUSE_STATE" {
				return filepath.Join(g.dir, "state")
			}
			return os.Getenv(name)
		},
	})
	return out.String(), errs.String(), code
}

// TestKilledWorkersUnderLoad: the death of verify or watch fails no request; each is back within a second or so with what
// it knew.
func TestKilledWorkersUnderLoad(t *testing.T) {
	g := start(t)
	g.members[2].failing.Store(true)
	g.await("c down", func() bool { return !g.farm().Members[2].Usable })
	before := g.verifier("shop/c")

	stop := g.load()
	g.kill("verify")
	after := g.verifier("shop/c")
	if after.State != before.State || !after.Since.Equal(before.Since) {
		t.Errorf("verify forgot: before %+v, after %+v", before, after)
	}
	if m := g.farm().Members[2]; m.Usable {
		t.Error("the edge uses a failing member because verify was restarted")
	}
	g.await("samples of the edge in the history", func() bool { return g.samples(time.Now()) > 8 })
	then := time.Now()
	samples := g.samples(then)
	g.kill("watch")
	g.await("the console", func() bool { return g.samples(time.Now()) > 0 })
	if kept := g.samples(then); kept < samples { // asked of the moment before: new samples do not count
		t.Errorf("of %d samples before watch was killed %d are left", samples, kept)
	}
	requests, failures := stop()
	t.Logf("%d requests while verify and watch were killed", requests)
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed, first: %s", len(failures), requests, failures[0])
	}

	g.members[2].failing.Store(false)
	g.await("c up again", func() bool { return g.farm().Members[2].Usable })
}

// samples counts the samples of the edge's memory that the history has of the hour before a moment, through the
// Prometheus API of the console.
func (g *gateway) samples(at time.Time) int {
	resp, err := http.Get(fmt.Sprintf("http://%s/api/v1/query?time=%.3f&query="+
		"sum(count_over_time(gatehouse_process_rss_bytes{worker=%%22edge%%22}[1h]))", g.console, float64(at.UnixMilli())/1000))
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any
			}
		}
	}
	if json.NewDecoder(resp.Body).Decode(&answer) != nil || len(answer.Data.Result) == 0 {
		return 0
	}
	n := 0
	_, _ = fmt.Sscan(fmt.Sprint(answer.Data.Result[0].Value[1]), &n)
	return n
}

// TestKilledEdgeComesBack: connections under way are lost with the process, later ones wait in the sockets that the
// supervisor holds.
func TestKilledEdgeComesBack(t *testing.T) {
	g := start(t)
	if out, errs, code := g.gatehouse("farm", "drain", "shop", "a", "--deadline", "1h"); code != 0 || !strings.Contains(out, "draining") {
		t.Fatalf("drain: %d %s%s", code, out, errs)
	}
	g.kill("edge")
	if err := visit(http.DefaultClient, g.site); err != nil {
		t.Errorf("after the edge came back: %v", err)
	}
	if m := g.farm().Members[0]; m.Mode != farm.Draining || time.Until(*m.Deadline) > time.Hour {
		t.Errorf("the restarted edge forgot the drain or its deadline: %+v", m)
	}
	served := g.members[0].served.Load()
	for range 20 {
		if err := visit(http.DefaultClient, g.site); err != nil {
			t.Error(err)
		}
	}
	if now := g.members[0].served.Load(); now != served {
		t.Errorf("the draining member got %d new requests", now-served)
	}
	out, _, code := g.gatehouse("status")
	if code != 0 || !strings.Contains(out, "signal: killed") {
		t.Errorf("status: %d\n%s", code, out)
	}
}

// TestDrainUnderLoad: draining, removing and resuming members fails no request.
func TestDrainUnderLoad(t *testing.T) {
	g := start(t)
	stop := g.load()
	for _, words := range [][]string{
		{"farm", "drain", "shop", "a", "--deadline", "1m"}, {"farm", "remove", "shop", "b"},
		{"farm", "resume", "shop", "a"}, {"farm", "resume", "shop", "b"},
	} {
		if out, errs, code := g.gatehouse(words...); code != 0 {
			t.Errorf("%v: %d %s%s", words, code, out, errs)
		}
		served := g.members[2].served.Load()
		g.await("traffic", func() bool { return g.members[2].served.Load() > served+50 })
	}
	if requests, failures := stop(); len(failures) > 0 {
		t.Errorf("%d of %d requests failed, first: %s", len(failures), requests, failures[0])
	}
	if _, errs, code := g.gatehouse("farm", "drain", "shop", "x"); code != 1 || !strings.Contains(errs, `x`) {
		t.Errorf("drain of a member that is not there: %d %s", code, errs)
	}
}

// TestRecycleUnderLoad: replacing the worker that carries the traffic fails no request.
func TestRecycleUnderLoad(t *testing.T) {
	g := start(t)
	stop := g.load()
	for range 5 {
		if out, errs, code := g.gatehouse("recycle", "edge"); code != 0 {
			t.Errorf("recycle: %d %s%s", code, out, errs)
		}
		served := g.members[0].served.Load()
		g.await("traffic", func() bool { return g.members[0].served.Load() > served+50 })
	}
	requests, failures := stop()
	t.Logf("%d requests over five recycles", requests)
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed, first: %s", len(failures), requests, failures[0])
	}
	for _, role := range []string{"verify", "watch"} {
		if out, errs, code := g.gatehouse("recycle", role); code != 0 {
			t.Errorf("recycle %s: %d %s%s", role, code, out, errs)
		}
	}
}

// TestReload: a wrong configuration is refused and says why, a good one is taken up under load, and a new listener gets
// its socket.
func TestReload(t *testing.T) {
	g := start(t)
	stop := g.load()
	g.configure("nonsense: true\n")
	_, errs, code := g.gatehouse("reload")
	if code != 2 || !strings.Contains(errs, "gatehouse.yaml:") || !strings.Contains(errs, "nonsense") {
		t.Errorf("refused reload: %d %s", code, errs)
	}
	if s, err := g.status(); err != nil || !strings.Contains(s.ConfigError, "nonsense") {
		t.Errorf("status after a refused reload: %v %q", err, s.ConfigError)
	}
	g.configure("connectivity_verifiers: {console: {tcp: \"" + g.console + "\", period: 100ms, group: web}}\n")
	g.await("a thousand requests", func() bool { return g.farm().Members[0].Requests > 1000 })
	requestsBefore := g.farm().Members[0].Requests
	if out, errs, code := g.gatehouse("reload"); code != 0 {
		t.Fatalf("reload: %d %s%s", code, out, errs)
	}
	if m := g.farm().Members[0]; m.Requests < requestsBefore || !m.Usable {
		t.Errorf("the reload lost a member's counters (%d before) or health: %+v", requestsBefore, m)
	}
	g.await("the new verifier", func() bool {
		all, err := get[[]state.Status](g, "verify", "/verifiers")
		return err == nil && len(all) == 4 && g.verifier("console").State == state.Good
	})
	if requests, failures := stop(); len(failures) > 0 {
		t.Errorf("%d of %d requests failed, first: %s", len(failures), requests, failures[0])
	}
	before, err := g.status()
	if err != nil {
		t.Fatal(err)
	}
	g.configure("verification: {history: 7}\n")
	if out, errs, code := g.gatehouse("reload"); code != 0 {
		t.Fatalf("reload with a setting that needs a new worker: %d %s%s", code, out, errs)
	}
	after, err := g.status()
	if err != nil || after.Workers[1].PID == before.Workers[1].PID || after.Workers[0].PID != before.Workers[0].PID {
		t.Errorf("workers before %+v\nafter %+v (%v)", before.Workers, after.Workers, err)
	}
	other := freePorts(t, 1)[0]
	text, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("web_listeners: {"), []byte("web_listeners: {other: {address: \""+other+"\"}, "), 1)
	if err := os.WriteFile(g.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, code := g.gatehouse("explain", g.site+"/x"); code != 0 || !strings.Contains(out, "rule shop takes it") {
		t.Errorf("explain: %d %s", code, out)
	}
	if out, errs, code := g.gatehouse("reload"); code != 0 {
		t.Fatalf("reload with another listener: %d %s%s", code, out, errs)
	}
	if err := visit(http.DefaultClient, "http://"+other); err != nil {
		t.Errorf("the new listener: %v", err)
	}
}

// TestHTTPS: a listener with certificates from files chooses by name and speaks HTTP/2, and is one more socket of a
// running gateway.
func TestHTTPS(t *testing.T) {
	g := start(t)
	address := freePorts(t, 1)[0]
	roots := x509.NewCertPool()
	var files []string
	for _, name := range []string{"one.test", "two.test"} {
		certificate, key := selfSigned(t, g.dir, name, roots)
		files = append(files, fmt.Sprintf("{certificate: %s, key: %s}", certificate, key))
	}
	text, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	listener := fmt.Sprintf("web_listeners: {secure: {address: %q, tls: {certificates: [%s]}}, ", address, strings.Join(files, ", "))
	text = bytes.Replace(text, []byte("web_listeners: {"), []byte(listener), 1)
	if err := os.WriteFile(g.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := g.gatehouse("reload"); code != 0 {
		t.Fatalf("reload: %d %s%s", code, out, errs)
	}
	for _, name := range []string{"one.test", "two.test"} {
		client := &http.Client{Transport: &http.Transport{
			ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name},
		}}
		resp, err := client.Get("https://" + address)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = resp.Body.Close()
		client.CloseIdleConnections()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || resp.TLS.PeerCertificates[0].Subject.CommonName != name {
			t.Errorf("%s: %s over %s with the certificate of %s", name, resp.Status, resp.Proto, resp.TLS.PeerCertificates[0].Subject)
		}
	}
}

// selfSigned writes a certificate and its key, and adds it to roots.
func selfSigned(t *testing.T, dir, name string, roots *x509.CertPool) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := errors.Join(os.WriteFile(certificate, chain, 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}), 0o600)); err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(chain)
	return certificate, key
}

// TestSystemd: what systemd is told of a start, a reload by SIGHUP and a stop (sd_notify(3)).
func TestSystemd(t *testing.T) {
	g := start(t)
	s, err := g.status()
	if err != nil {
		t.Fatal(err)
	}
	g.hears("READY=1")
	g.configure("connectivity_verifiers: {console: {tcp: \"" + g.console + "\"}}\n")
	if err := syscall.Kill(s.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	g.hears("RELOADING=1\nMONOTONIC_USEC=")
	g.hears("READY=1")
	if all, err := get[[]state.Status](g, "verify", "/verifiers"); err != nil || len(all) != 4 {
		t.Errorf("after SIGHUP: %v, %d verifiers", err, len(all))
	}
	g.stop()
	g.hears("STOPPING=1")
	if left, _ := filepath.Glob(filepath.Join(g.dir, "state", "*.sock")); len(left) > 0 {
		t.Errorf("sockets left: %v", left)
	}
}

// hears waits for the next thing that systemd is told.
func (g *gateway) hears(want string) {
	g.t.Helper()
	if err := g.systemd.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		g.t.Fatal(err)
	}
	heard := make([]byte, 1024)
	n, err := g.systemd.Read(heard)
	if err != nil || !strings.HasPrefix(string(heard[:n]), want) {
		g.t.Fatalf("systemd heard %q (%v), want %q", heard[:n], err, want)
	}
}

// TestConsoleAndMetrics: the console shows the farm and one page has every worker's metrics.
func TestConsoleAndMetrics(t *testing.T) {
	g := start(t)
	for path, want := range map[string]string{
		"/": "shop", "/connectivity": "shop/a", "/farms": "shop", "/memory": "edge", "/healthz": "ok",
		"/metrics": `gatehouse_worker_up{worker="verify"} 1`,
	} {
		g.await(path+" with "+want, func() bool {
			resp, err := http.Get("http://" + g.console + path)
			if err != nil {
				return false
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			return err == nil && resp.StatusCode == http.StatusOK && strings.Contains(string(body), want)
		})
	}
	resp, err := http.Post("http://"+g.console+"/api/farms/shop/members/b/drain?deadline=10m", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if m := g.farm().Members[1]; resp.StatusCode/100 != 2 || m.Mode != farm.Draining {
		t.Errorf("drain by the console: %s, %+v", resp.Status, m)
	}
	for _, path := range []string{"/api/processes/nobody/chart", "/api/verifiers/nobody/results"} {
		resp, err := http.Get("http://" + g.console + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	resp, err = http.Post("http://"+g.console+"/api/farms/shop/members/nobody/drain", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("drain of nobody: %s", resp.Status)
	}
	g.await("four watched processes", func() bool {
		processes, err := get[[]watch.Process](g, "watch", "/processes")
		return err == nil && len(processes) == 4
	})
}

//go:build unix

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/api"
)

// The test binary is its own worker: with this variable set it serves its sockets as a worker would.
const workerVariable = "GATEHOUSE_TEST_WORKER"

func TestMain(m *testing.M) {
	if role := os.Getenv(workerVariable); role != "" {
		if err := testWorker(role); err != nil {
			fmt.Fprintln(os.Stderr, "test worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// testWorker answers "PID CONFIG" on every socket, where CONFIG is what the file named by the variable held when it last
// loaded it. A config "broken" is refused on reload; "stillborn" makes a new worker die at once.
func testWorker(string) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	ctx, stop := Lifeline(context.Background(), os.Stdin)
	defer stop()
	handover, err := Inherit(os.Getenv)
	if err != nil {
		return err
	}
	var cfg atomic.Value
	load := func() string {
		data, err := os.ReadFile(os.Getenv("GATEHOUSE_TEST_CONFIG"))
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	cfg.Store(load())
	if cfg.Load() == "stillborn" {
		return errors.New("stillborn")
	}
	for _, ln := range handover.Listeners {
		defer serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, "%d %s", os.Getpid(), cfg.Load())
		}))()
	}
	handover.Ready()
	for {
		select {
		case <-term:
			return nil
		case <-ctx.Done():
			return nil
		case <-hup:
			next := load()
			if next == "broken" {
				handover.Refused(errors.New("broken configuration"))
				continue
			}
			cfg.Store(next)
			handover.Ready()
		}
	}
}

// serve answers on ln. The function it returns stops accepting, waits for the connections and returns: http.Server's
// Shutdown would drop a request that is read after it was called.
func serve(ln net.Listener, h http.Handler) (drain func()) {
	var open sync.WaitGroup
	server := &http.Server{Handler: h, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Done()
		}
	}}
	served := make(chan struct{})
	go func() {
		_ = server.Serve(ln)
		close(served)
	}()
	return func() {
		server.SetKeepAlivesEnabled(false)
		_ = ln.Close()
		<-served
		open.Wait()
	}
}

// house is a supervisor over test workers.
type house struct {
	*Supervisor
	t      *testing.T
	config string
	state  string
	plan   Plan
	refuse error
	notice chan string
}

// start runs a supervisor with the roles a and b until the test ends.
func start(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, state: t.TempDir(), notice: make(chan string, 100)}
	h.config = filepath.Join(h.state, "config")
	h.write("one")
	free := freeAddresses(t, 2)
	for i, name := range []string{"a", "b"} {
		h.plan.Roles = append(h.plan.Roles, Role{Name: name, Exclusive: name == "b", Sockets: []Socket{
			{Name: "api", Network: "unix", Address: SocketPath(h.state, name)},
			{Name: "web/" + name, Network: "tcp", Address: free[i]},
		}})
	}
	h.plan.Commit = func() error { return nil }
	var err error
	h.Supervisor, err = New(Options{
		Executable: os.Args[0], Arguments: func(string) []string { return nil },
		Env:   append(os.Environ(), workerVariable+"=yes", "GATEHOUSE_TEST_CONFIG="+h.config, "GORACE=atexit_sleep_ms=0"),
		State: h.state, Load: func() (Plan, error) { return h.plan, h.refuse },
		Drain: 10 * time.Second, Notify: func(s string) { h.notice <- s }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	h.await("READY=1")
	return h
}

func (h *house) write(config string) {
	h.t.Helper()
	if err := os.WriteFile(h.config, []byte(config), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// await waits for a notice to systemd.
func (h *house) await(want string) {
	h.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case got := <-h.notice:
			if strings.HasPrefix(got, want) {
				return
			}
		case <-timeout:
			h.t.Fatalf("no %s from the supervisor", want)
		}
	}
}

// ask returns the pid and the configuration of the worker that answers on a role's web socket. The socket is open even
// while no worker runs, so a request may wait, but is never refused.
func (h *house) ask(role int) (pid int, config string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.plan.Roles[role].Sockets[1].Address, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatalf("ask %s: %v", h.plan.Roles[role].Name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(body), " ")
	pid, err = strconv.Atoi(first)
	if err != nil {
		h.t.Fatal(err)
	}
	return pid, rest
}

// freeAddresses returns addresses that nobody listens on, each another.
func freeAddresses(t *testing.T, n int) (addresses []string) {
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

func TestKilledWorkerComesBackAndTheOtherGoesOn(t *testing.T) {
	h := start(t)
	a, _ := h.ask(0)
	b, _ := h.ask(1)
	if err := syscall.Kill(a, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	again, _ := h.ask(0) // waits in the socket's backlog until the new worker accepts
	if again == a {
		// The request may have been accepted by the dying process's backlog; it was not, or ask had failed.
		t.Fatalf("pid %d answers after it was killed", a)
	}
	t.Logf("back after %s", time.Since(began))
	if still, _ := h.ask(1); still != b {
		t.Errorf("the other worker changed from pid %d to %d", b, still)
	}
	status := h.Status()
	if w := status.Workers[0]; w.Restarts != 1 || w.LastExit != "signal: killed" || w.PID != again {
		t.Errorf("status = %+v", w)
	}
	if runtimeHasResident && status.Workers[1].RSSBytes == 0 {
		t.Error("no resident memory in the status")
	}
}

func TestReloadReachesWorkersInPlace(t *testing.T) {
	h := start(t)
	before, config := h.ask(0)
	if config != "one" {
		t.Fatalf("config = %q", config)
	}
	h.write("two")
	if err := h.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	after, config := h.ask(0)
	if config != "two" || after != before {
		t.Errorf("after reload: pid %d (was %d), config %q", after, before, config)
	}
	h.await("RELOADING=1\nMONOTONIC_USEC=")
	h.await("READY=1")
}

func TestRefusedReloadLeavesEverything(t *testing.T) {
	h := start(t)
	before, _ := h.ask(0)

	h.refuse = errors.New("line 3: unknown key")
	if err := h.Reload(context.Background()); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("reload of a wrong configuration: %v", err)
	}
	if got := h.Status().ConfigError; got != "line 3: unknown key" {
		t.Errorf("status says %q", got)
	}

	h.refuse = nil
	h.write("broken")
	if err := h.Reload(context.Background()); err == nil || !strings.Contains(err.Error(), "worker a: broken configuration") {
		t.Errorf("reload that a worker refuses: %v", err)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	good := h.plan
	h.plan.Roles = append([]Role{}, good.Roles...)
	h.plan.Roles[0].Sockets = append(append([]Socket{}, good.Roles[0].Sockets...), Socket{"web/x", "tcp", taken.Addr().String()})
	if err := h.Reload(context.Background()); err == nil || !strings.Contains(err.Error(), "open web/x") {
		t.Errorf("reload with an address that is taken: %v", err)
	}
	h.plan = good
	h.write("three")
	if err := h.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	after, config := h.ask(0)
	if after != before || config != "three" || h.Status().ConfigError != "" {
		t.Errorf("pid %d (was %d), config %q, refused %q", after, before, config, h.Status().ConfigError)
	}
}

func TestOtherSocketsRecycle(t *testing.T) {
	h := start(t)
	a, _ := h.ask(0)
	b, _ := h.ask(1)
	roles := append([]Role{}, h.plan.Roles...)
	roles[0].Sockets = []Socket{roles[0].Sockets[0], {"web/other", "tcp", freeAddresses(t, 1)[0]}}
	closed := h.plan.Roles[0].Sockets[1].Address
	h.plan.Roles = roles
	if err := h.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	if now, _ := h.ask(0); now == a {
		t.Error("the worker whose sockets changed was not replaced")
	}
	if now, _ := h.ask(1); now != b {
		t.Error("the worker whose sockets stayed was replaced")
	}
	for conn, err := net.Dial("tcp", closed); err == nil; conn, err = net.Dial("tcp", closed) {
		_ = conn.Close() // the old worker still drains
	}
}

func TestOtherSettingsRecycle(t *testing.T) {
	h := start(t)
	a, _ := h.ask(0)
	b, _ := h.ask(1)
	h.plan.Roles = append([]Role{}, h.plan.Roles...)
	h.plan.Roles[1].Settings = "other"
	for range 2 { // the second time they are the same
		if err := h.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if now, _ := h.ask(0); now != a {
		t.Error("the worker whose settings stayed was replaced")
	}
	if now, _ := h.ask(1); now == b {
		t.Error("the worker whose settings changed was not replaced")
	}
	if got := h.Status().Workers[1].Generation; got != 2 {
		t.Errorf("generation %d", got)
	}
}

func TestRecycleLosesNoRequest(t *testing.T) {
	h := start(t)
	stop := make(chan struct{})
	asked := make(chan int)
	go func() {
		n := 0
		defer func() { asked <- n }()
		for ; ; n++ {
			select {
			case <-stop:
				return
			default:
				h.ask(0)
			}
		}
	}()
	before, _ := h.ask(0)
	for range 5 {
		if err := h.Recycle(context.Background(), "a"); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	t.Logf("%d requests over five recycles", <-asked)
	for after := before; after == before; after, _ = h.ask(0) { // until the first worker has stopped accepting
		if t.Context().Err() != nil {
			t.Fatal("the first worker never stopped accepting")
		}
	}
	if got := h.Status().Workers[0]; got.Generation != 6 || got.Restarts != 0 {
		t.Errorf("status = %+v", got)
	}
	if err := h.Recycle(context.Background(), "c"); err == nil {
		t.Error("recycle of a role that is not there is accepted")
	}
}

func TestExclusiveRoleStopsBeforeItStarts(t *testing.T) {
	h := start(t)
	before, _ := h.ask(1)
	if err := h.Recycle(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(before, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the old process is still there: %v", err)
	}
	if after, _ := h.ask(1); after == before {
		t.Error("same process after the recycle")
	}
	h.write("stillborn")
	if err := h.Recycle(context.Background(), "b"); err == nil {
		t.Error("a recycle into a worker that dies is accepted")
	}
	h.write("well again")
	if _, config := h.ask(1); config != "well again" {
		t.Errorf("after the restart: %q", config)
	}
}

func TestRecycleKeepsTheOldWorkerWhenTheNewOneDies(t *testing.T) {
	h := start(t)
	before, _ := h.ask(0)
	h.write("stillborn")
	err := h.Recycle(context.Background(), "a")
	if err == nil || !strings.Contains(err.Error(), "the new worker died: exit status 1") {
		t.Errorf("recycle: %v", err)
	}
	if after, _ := h.ask(0); after != before {
		t.Errorf("pid %d answers, was %d", after, before)
	}
}

func TestAPI(t *testing.T) {
	h := start(t)
	client := api.NewClient("supervisor", SocketPath(h.state, "supervisor"))
	defer client.Close()
	var status Status
	if err := client.Get(t.Context(), "/status", &status); err != nil {
		t.Fatal(err)
	}
	if len(status.Workers) != 2 || status.Workers[0].State != ready || status.PID != os.Getpid() {
		t.Errorf("status = %+v", status)
	}
	if err := client.Post(t.Context(), "/recycle?worker=b", nil, &status); err != nil || status.Workers[1].Generation != 2 {
		t.Errorf("recycle: %v, %+v", err, status.Workers)
	}
	h.refuse = errors.New("no")
	var refused *api.Error
	if err := client.Post(t.Context(), "/reload", nil, nil); !errors.As(err, &refused) || refused.Status != http.StatusUnprocessableEntity {
		t.Errorf("refused reload: %v", err)
	}
	for _, name := range []string{"supervisor", "a", "b"} {
		info, err := os.Stat(SocketPath(h.state, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s socket: %v %v", name, info, err)
		}
	}
}

func TestSecondSupervisorIsRefused(t *testing.T) {
	h := start(t)
	other, err := New(h.opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another gatehouse runs on") {
		t.Errorf("second supervisor: %v", err)
	}
}

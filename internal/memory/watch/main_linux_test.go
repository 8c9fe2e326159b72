package watch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"gatehouse/internal/memory/series"
	"gatehouse/internal/memory/trend"
)

// The test binary is also the programs that the tests watch and kill; the variable says which.
const roleEnv = "GATEHOUSE_WATCH_TEST"

func TestMain(m *testing.M) {
	switch role, argument, _ := strings.Cut(os.Getenv(roleEnv), "="); role {
	case "hold":
		hold()
	case "watch":
		if err := watchOnly(argument); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	default:
		goleak.VerifyTestMain(m)
	}
}

// hold takes as many MiB as each line of its input says, answers "ok", and ends with its input.
func hold() {
	var held [][]byte
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n, _ := strconv.Atoi(in.Text())
		if n > 0 {
			// Not from Go's heap, of which the race detector would hold a shadow.
			block, err := unix.Mmap(-1, 0, n<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
			if err != nil {
				fmt.Println(err)
				return
			}
			held = append(held, block)
		}
		fmt.Println("ok")
	}
	runtime.KeepAlive(held)
}

// watchOnly is a watch in a process of its own, which judges its parent; it says "ok" after each change once a confirmed leak is on disk.
func watchOnly(dir string) error {
	store, err := series.Open(context.Background(), series.Options{Dir: filepath.Join(dir, "series")})
	if err != nil {
		return err
	}
	w, err := New(realOptions(dir, store))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changed := w.Subscribe(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	for range changed {
		// The file is written whole after each look, so that this one holds what it says.
		if text, err := os.ReadFile(filepath.Join(dir, "verdicts.json")); err == nil && strings.Contains(string(text), `"confirmed":true`) {
			fmt.Println("ok")
		}
	}
	return errors.Join(ctx.Err(), <-done)
}

// realOptions watches the process whose pid stands in the folder, with a judge that always says leak.
func realOptions(dir string, store Store) Options {
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		panic(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		panic(err)
	}
	return Options{
		Interval: 20 * time.Millisecond, Look: 50 * time.Millisecond, Hour: time.Second, Series: store,
		Selectors: []Selector{{Name: "parent", PID: pid}}, File: filepath.Join(dir, "verdicts.json"),
		Judge: func(in trend.Input, _ trend.Options) (trend.Finding, trend.Curves) {
			return trend.Finding{Process: in.Process, Verdict: trend.Leak, Confidence: float64(len(in.Memory.Times))}, trend.Curves{}
		},
	}
}

// program is a child in one of the roles.
type program struct {
	t       testing.TB
	cmd     *exec.Cmd
	in      *os.File
	answers *bufio.Scanner
	ended   bool
}

func start(t testing.TB, role string, arguments ...string) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0], arguments...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	r, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = r
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	p := &program{t: t, cmd: cmd, in: in, answers: bufio.NewScanner(out)}
	t.Cleanup(p.kill)
	return p
}

func (p *program) kill() {
	if !p.ended {
		p.ended = true
		_ = p.in.Close()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

func (p *program) answer() {
	p.t.Helper()
	if !p.answers.Scan() || p.answers.Text() != "ok" {
		p.t.Fatalf("child: %q, %v", p.answers.Text(), p.answers.Err())
	}
}

func (p *program) take(mib int) {
	p.t.Helper()
	fmt.Fprintln(p.in, mib)
	p.answer()
}

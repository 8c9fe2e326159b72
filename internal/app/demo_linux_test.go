package app_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDemoNamesTheLeak: the demo names the leaking process, and only that one, and leaves nothing behind.
func TestDemoNamesTheLeak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	d := startDemo(t, "--until-named")
	said := d.read(func(string) bool { return false })
	if err := d.Wait(); err != nil {
		t.Errorf("demo ended: %v", err)
	}
	named := slices.DeleteFunc(slices.Clone(said), func(line string) bool { return !strings.Contains(line, "LEAK") })
	if len(named) != 1 || !strings.Contains(named[0], "LEAK    leaking (pid ") || !strings.Contains(named[0], "It reaches its limit of 1 GiB") {
		t.Errorf("named: %q\nin\n%s", named, strings.Join(said, "\n"))
	}
	for _, want := range []string{"verify  shop/b: slow: HTTP 200 OK", "member b is quick again"} {
		if !slices.ContainsFunc(said, func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("the demo did not say %q", want)
		}
	}
	d.nothingLeft()
}

// TestDemoInterrupted: Ctrl-C ends everything, and so does the death of the demo itself.
func TestDemoInterrupted(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			d := startDemo(t)
			d.read(func(line string) bool { return strings.Contains(line, "stop    with Ctrl-C") })
			if err := d.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			said := d.read(func(string) bool { return false })
			err := d.Wait()
			if signal == syscall.SIGINT {
				if err != nil || !slices.Contains(said, "stopped; nothing is left behind") {
					t.Errorf("demo ended: %v, %q", err, said)
				}
				d.nothingLeft()
				return
			}
			d.noProcesses() // who is killed cannot clean its folder, but its processes go
		})
	}
}

type demo struct {
	*exec.Cmd
	t      *testing.T
	dir    string
	output *bufio.Scanner
}

func startDemo(t *testing.T, args ...string) *demo {
	t.Helper()
	d := &demo{t: t, dir: t.TempDir()}
	args = append([]string{"demo", "--console", "127.0.0.1:0", "--farm", "127.0.0.1:0", "--log", filepath.Join(t.TempDir(), "log")}, args...)
	d.Cmd = exec.Command(os.Args[0], args...)
	d.Env = append(os.Environ(), "TMPDIR="+d.dir, "GORACE=atexit_sleep_ms=0")
	d.Stderr = os.Stderr
	out, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.output = bufio.NewScanner(out)
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill() })
	return d
}

// read returns the lines up to the one that until wants, or all there will be.
func (d *demo) read(until func(string) bool) (lines []string) {
	for d.output.Scan() {
		lines = append(lines, d.output.Text())
		if until(d.output.Text()) {
			return lines
		}
	}
	return lines
}

func (d *demo) nothingLeft() {
	d.t.Helper()
	left, err := os.ReadDir(d.dir)
	if err != nil || len(left) != 0 {
		d.t.Errorf("left in the temporary folder: %v %v", left, err)
	}
	d.noProcesses()
}

// noProcesses waits until no process of the demo is there: they have its TMPDIR in their environment.
func (d *demo) noProcesses() {
	d.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left := d.processes()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("processes left: %q", left)
		}
		<-tick.C
	}
}

func (d *demo) processes() (left []string) {
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, file := range all {
		environ, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(environ), "TMPDIR="+d.dir+"\x00") {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if len(cmdline) > 0 { // a process that has ended and waits to be reaped has none
			left = append(left, strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return left
}

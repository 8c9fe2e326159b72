package supervisor

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// notice is something that a worker told its supervisor.
type notice struct {
	ready bool
	err   string
}

// process is one worker process. Its two goroutines end with it.
type process struct {
	pid     int
	started time.Time
	how     string // how it ended; valid once exited is closed, read through settled

	cmd      *exec.Cmd
	lifeline io.Closer     // the worker's standard input: closed, it drains and goes
	notices  chan notice   // never blocks the reader: the oldest is dropped
	exited   chan struct{} // closed when the process is gone
}

// startProcess starts the worker of a role and hands it the sockets as systemd would: from descriptor 3 on, with
// LISTEN_FDS and LISTEN_FDNAMES (names are URL-escaped). LISTEN_PID is not set, because Go cannot know it before the
// start. After them comes the pipe on which the worker says READY=1, named by GATEHOUSE_NOTIFY_FD.
func startProcess(opt *Options, role string, sockets []*openSocket) (*process, error) {
	notifyRead, notifyWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start worker %s: %w", role, err)
	}
	defer func() { _ = notifyWrite.Close() }()
	cmd := exec.Command(opt.Executable, opt.Arguments(role)...)
	cmd.Stdout, cmd.Stderr = opt.Stderr, opt.Stderr
	names := make([]string, 0, len(sockets))
	for _, s := range sockets {
		names = append(names, url.QueryEscape(s.Name))
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.file)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, notifyWrite)
	cmd.Env = opt.Env
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(slices.Clip(cmd.Env),
		"LISTEN_FDS="+strconv.Itoa(len(sockets)),
		"LISTEN_FDNAMES="+strings.Join(names, ":"),
		"GATEHOUSE_NOTIFY_FD="+strconv.Itoa(firstFD+len(sockets)),
		"NOTIFY_SOCKET=", // systemd hears the supervisor, not its workers
	)
	cmd.SysProcAttr = OwnGroup()
	lifeline, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_ = notifyRead.Close()
		return nil, fmt.Errorf("start worker %s: %w", role, err)
	}
	p := &process{
		pid: cmd.Process.Pid, started: time.Now(), cmd: cmd, lifeline: lifeline,
		notices: make(chan notice, 16), exited: make(chan struct{}),
	}
	go p.watch(notifyRead)
	return p, nil
}

// watch reads what the worker says until it is gone, then reaps it. It ends with the process.
func (p *process) watch(notices *os.File) {
	lines := bufio.NewScanner(notices)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch key {
		case "READY":
			p.tell(notice{ready: true})
		case "ERROR":
			p.tell(notice{err: value})
		}
	}
	_ = notices.Close()
	err := p.cmd.Wait()
	p.how = "exit status 0"
	if err != nil {
		p.how = err.Error()
	}
	_ = p.lifeline.Close()
	close(p.exited)
}

func (p *process) tell(n notice) {
	for {
		select {
		case p.notices <- n:
			return
		default:
			select {
			case <-p.notices:
			default:
			}
		}
	}
}

// settled returns the process once it is gone.
func (p *process) settled() *process {
	<-p.exited
	return p
}

// end asks the process to drain, waits, kills it when it takes longer, and returns when it is gone.
func (p *process) end(drain time.Duration) {
	if drain > 0 {
		p.terminate()
		_ = p.lifeline.Close()
		timer := time.NewTimer(drain)
		defer timer.Stop()
		select {
		case <-p.exited:
			return
		case <-timer.C:
		}
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

package supervisor

import (
	"errors"
	"os"
	"syscall"
)

// errWindows is what "gatehouse run" answers on Windows: a process there does not inherit sockets in this way.
var errWindows = errors.New("supervise workers: not built for Windows yet; use gatehouse analyze, verify and config there")

// OwnGroup is nothing here.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func (p *process) reload()    {}
func (p *process) terminate() { _ = p.cmd.Process.Kill() }

func lockState(string) (func(), error) { return nil, errWindows }

func holdable(syscall.Conn, string) (*os.File, error) { return nil, errWindows }

func monotonicMicroseconds() int64 { return 0 }

func closeOnExec(int) {}

//go:build unix

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// OwnGroup keeps the terminal's signals from the workers: the supervisor tells them.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func (p *process) reload()    { _ = p.cmd.Process.Signal(syscall.SIGHUP) }
func (p *process) terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// lockState makes the state folder and takes it for this supervisor alone.
func lockState(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock state folder: another gatehouse runs on %s", dir)
		}
		return nil, fmt.Errorf("lock state folder %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// holdable turns a listener's descriptor into a file that can be handed to any number of processes while it stays
// non-blocking. The flag belongs to the socket that all of them share, and os.File's Fd would clear it at every start of
// a process if the file had been made from a non-blocking descriptor.
func holdable(conn syscall.Conn, name string) (*os.File, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("hold socket: %w", err)
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(own uintptr) { fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, fmt.Errorf("hold socket: %w", err)
	}
	if dupErr != nil {
		return nil, fmt.Errorf("hold socket: %w", dupErr)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		return nil, fmt.Errorf("hold socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("hold socket: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}

// monotonicMicroseconds is CLOCK_MONOTONIC, which systemd wants with RELOADING=1.
func monotonicMicroseconds() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano() / 1000
}

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// socketKey tells sockets apart: the same address stays open over a reload, whatever its name.
type socketKey struct{ network, address string }

// openSocket is a listening socket that is held for workers.
type openSocket struct {
	Socket
	file *os.File
}

func (s Socket) key() socketKey { return socketKey{s.Network, s.Address} }

// openSockets opens the sockets of the plan that are not open yet.
func (s *Supervisor) openSockets(plan Plan) error {
	var problems []error
	for _, r := range plan.Roles {
		for _, want := range r.Sockets {
			s.mu.Lock()
			_, open := s.sockets[want.key()]
			s.mu.Unlock()
			if open {
				continue
			}
			file, err := listen(want)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			s.mu.Lock()
			s.sockets[want.key()] = &openSocket{Socket: want, file: file}
			s.mu.Unlock()
		}
	}
	return errors.Join(problems...)
}

// socketsOf returns the open sockets of a role, under the names that it has for them.
func (s *Supervisor) socketsOf(r Role) []*openSocket {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := make([]*openSocket, 0, len(r.Sockets))
	for _, want := range r.Sockets {
		held := s.sockets[want.key()]
		open = append(open, &openSocket{Socket: want, file: held.file})
	}
	return open
}

// closeUnused closes the sockets that no role has.
func (s *Supervisor) closeUnused() {
	used := map[socketKey]bool{}
	for _, r := range s.roles {
		r.mu.Lock()
		for _, socket := range r.sockets {
			used[socket.key()] = true
		}
		r.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, socket := range s.sockets {
		if !used[key] {
			_ = socket.file.Close()
			delete(s.sockets, key)
		}
	}
}

func (s *Supervisor) closeSockets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, socket := range s.sockets {
		_ = socket.file.Close()
		if socket.Network == "unix" {
			_ = os.Remove(socket.Address)
		}
		delete(s.sockets, key)
	}
}

// listen opens a socket so that it can be handed on. A unix socket gets mode 0600, and a file of that name left by a
// supervisor before (this one holds the lock of the folder) is replaced.
func listen(want Socket) (*os.File, error) {
	if want.Network == "unix" {
		if err := os.Remove(want.Address); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("listen on %s: %w", want.Address, err)
		}
	}
	ln, err := net.Listen(want.Network, want.Address)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", want.Name, err)
	}
	if unix, ok := ln.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
		if err := os.Chmod(want.Address, 0o600); err != nil {
			return nil, fmt.Errorf("open %s: %w", want.Name, errors.Join(err, ln.Close()))
		}
	}
	conn, ok := ln.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("open %s: %w", want.Name, errors.Join(errors.New("socket has no descriptor"), ln.Close()))
	}
	file, err := holdable(conn, want.Name)
	return file, errors.Join(err, ln.Close())
}

// sameSockets reports whether two workers of a role would be handed the same.
func sameSockets(a, b []*openSocket) bool {
	if len(a) != len(b) {
		return false
	}
	have := map[Socket]bool{}
	for _, s := range a {
		have[s.Socket] = true
	}
	for _, s := range b {
		if !have[s.Socket] {
			return false
		}
	}
	return true
}

//go:build unix

package reach

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/state"
)

func TestErrno(t *testing.T) {
	for _, tt := range []struct {
		errno  syscall.Errno
		state  state.State
		reason string
	}{
		{syscall.ECONNREFUSED, state.Refused, "the connection was refused"},
		{syscall.ETIMEDOUT, state.Timeout, "the time ran out"},
		{syscall.ECONNRESET, state.Error, "the server reset the connection"},
		{syscall.EHOSTUNREACH, state.Error, "the host is unreachable"},
		{syscall.ENETUNREACH, state.Error, "the network is unreachable"},
		{syscall.EPERM, state.Error, "this machine's own firewall"},
		{syscall.EMFILE, state.Unknown, "could not tell"},
		{syscall.EADDRNOTAVAIL, state.Unknown, "could not tell"},
	} {
		t.Run(tt.errno.Error(), func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", &net.OpError{Op: "dial", Err: tt.errno})
			if f := Explain(t.Context(), state.Connect, err); f.State != tt.state || !strings.HasPrefix(f.Reason, tt.reason) {
				t.Errorf("got %+v", f)
			}
		})
	}
}

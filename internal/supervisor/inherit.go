package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
)

// firstFD is the first inherited descriptor, as in sd_listen_fds(3).
const firstFD = 3

// Handover is the worker's side of its supervisor: the sockets that it was handed and the pipes between them.
type Handover struct {
	Listeners map[string]net.Listener // by Socket.Name; the caller closes them

	mu     sync.Mutex
	notify *os.File
}

// Inherit takes over what the supervisor handed to this process. It is called once, before anything else opens
// descriptors.
func Inherit(getenv func(string) string) (*Handover, error) {
	count, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || count < 0 {
		return nil, errors.New("inherit sockets: this process was not started by a supervisor (LISTEN_FDS is not set)")
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	if count == 0 {
		names = nil
	}
	if len(names) != count {
		return nil, fmt.Errorf("inherit sockets: LISTEN_FDNAMES has %d names for %d sockets", len(names), count)
	}
	h := &Handover{Listeners: map[string]net.Listener{}}
	for i, escaped := range names {
		name, err := url.QueryUnescape(escaped)
		if err != nil {
			return nil, fmt.Errorf("inherit socket %d: %w", i, err)
		}
		file := os.NewFile(uintptr(firstFD+i), name)
		ln, err := net.FileListener(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, fmt.Errorf("inherit socket %s: %w", name, err)
		}
		h.Listeners[name] = ln
	}
	if fd, err := strconv.Atoi(getenv("GATEHOUSE_NOTIFY_FD")); err == nil {
		h.notify = os.NewFile(uintptr(fd), "notify")
		closeOnExec(fd)
	}
	return h, nil
}

// Ready tells the supervisor that the worker serves, after a start or a reload.
func (h *Handover) Ready() { h.say("READY=1") }

// Refused tells the supervisor that a reload did not work; the worker goes on as before.
func (h *Handover) Refused(err error) {
	h.say("ERROR=" + strings.ReplaceAll(err.Error(), "\n", "; "))
}

func (h *Handover) say(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.notify != nil {
		_, _ = io.WriteString(h.notify, line+"\n")
	}
}

// Lifeline returns a context that ends with ctx, or when the supervisor closes the worker's standard input or dies. The
// one goroutine behind it waits in a read of stdin and ends with the process.
func Lifeline(ctx context.Context, stdin io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}()
	return ctx, cancel
}

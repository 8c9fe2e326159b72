package reach

import (
	"errors"

	"golang.org/x/sys/windows"
)

// The Winsock numbers: syscall's names of the same sound are inventions of Go that no Windows call returns.
func refused(err error) bool   { return errors.Is(err, windows.WSAECONNREFUSED) }
func forbidden(err error) bool { return errors.Is(err, windows.WSAEACCES) }

func wasReset(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAECONNABORTED)
}

func hostUnreachable(err error) bool {
	return errors.Is(err, windows.WSAEHOSTUNREACH) || errors.Is(err, windows.WSAEHOSTDOWN)
}

func networkUnreachable(err error) bool {
	return errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAENETDOWN) || errors.Is(err, windows.WSAEAFNOSUPPORT)
}

// exhausted reports whether this machine, and not the other, is the reason.
func exhausted(err error) bool {
	for _, own := range []error{windows.WSAEMFILE, windows.WSAENOBUFS, windows.WSAEADDRNOTAVAIL} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

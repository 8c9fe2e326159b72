//go:build !linux

package icmpcheck

import (
	"fmt"
	"runtime"

	"golang.org/x/net/icmp"
)

// open prefers an unprivileged socket, which macOS has, and takes a raw one elsewhere.
func open(f family) (socket, error) {
	if runtime.GOOS == "darwin" {
		network, address := "udp4", "0.0.0.0"
		if f == v6 {
			network, address = "udp6", "::"
		}
		if conn, err := icmp.ListenPacket(network, address); err == nil {
			return &packetSocket{family: f, conn: conn, buf: make([]byte, 1500)}, nil
		}
	}
	s, err := openRaw(f)
	if err != nil {
		return nil, fmt.Errorf("echo requests are not allowed here: gatehouse must run as an administrator for them: %w", err)
	}
	return s, nil
}

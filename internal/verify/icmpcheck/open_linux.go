package icmpcheck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// open prefers a ping socket, which needs no privilege but the system's leave, and takes a raw one where that is what is
// allowed.
func open(f family) (socket, error) {
	s, pingErr := openPing(f)
	if pingErr == nil {
		return s, nil
	}
	raw, rawErr := openRaw(f)
	if rawErr == nil {
		return raw, nil
	}
	if errors.Is(rawErr, unix.EPERM) || errors.Is(pingErr, unix.EACCES) || errors.Is(pingErr, unix.EPERM) {
		return nil, fmt.Errorf("this user may not send echo requests: let its group in with "+
			"\"sysctl -w net.ipv4.ping_group_range='%d %d'\" (it is for IPv6 too), or give gatehouse CAP_NET_RAW (ping socket: %w; raw socket: %w)",
			os.Getgid(), os.Getgid(), pingErr, rawErr)
	}
	return nil, fmt.Errorf("no socket for echo requests: ping socket: %w; raw socket: %w", pingErr, rawErr)
}

// pingSocket is Linux's datagram ICMP socket. The kernel puts its own identifier into requests, delivers only replies to
// them, and puts what routers say into the socket's queue of errors.
type pingSocket struct {
	family family
	conn   *net.UDPConn
	raw    rawConn
	buf    []byte
	oob    []byte
}

// rawConn is syscall.RawConn's part that is used.
type rawConn interface {
	Read(func(fd uintptr) (done bool)) error
}

func openPing(f family) (socket, error) {
	domain, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if f == v6 {
		domain, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := prepare(fd, f); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "icmp")
	conn, err := net.FilePacketConn(file) // has a descriptor of its own
	_ = file.Close()
	if err != nil {
		return nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("the system gave a socket of another kind")
	}
	raw, err := udp.SyscallConn()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &pingSocket{family: f, conn: udp, raw: raw, buf: make([]byte, 1500), oob: make([]byte, 512)}, nil
}

// prepare binds the socket, which gives it its identifier, and asks for what routers say.
func prepare(fd int, f family) error {
	if f == v6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet6{}))
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{}))
}

// Send implements socket.
func (s *pingSocket) Send(to netip.Addr, id, seq uint16, payload []byte) error {
	packet, err := render(s.family, id, seq, payload)
	if err != nil {
		return err
	}
	// An error that a router has reported for an earlier request is told to whoever sends next, and means nothing to him.
	for range 3 {
		if _, err = s.conn.WriteToUDPAddrPort(packet, netip.AddrPortFrom(to, 0)); err == nil || !reported(err) {
			break
		}
	}
	return err
}

// reported says whether an error may be that of another request. Without a route the error comes again at once, so that
// trying again costs nothing.
func reported(err error) bool {
	return errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.ECONNREFUSED) ||
		errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPROTO) || errors.Is(err, unix.EHOSTDOWN) || errors.Is(err, unix.ENOPROTOOPT)
}

// Receive implements socket. It takes a reply or, first, a message of a router.
func (s *pingSocket) Receive() (m message, err error) {
	var failed error
	err = s.raw.Read(func(fd uintptr) bool {
		var got bool
		if m, got = s.failure(int(fd)); got {
			return true
		}
		n, from, err := unix.Recvfrom(int(fd), s.buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
			return false
		case err != nil && reported(err):
			m = message{} // its particulars are in the queue of errors, which is read next
		case err != nil:
			failed = os.NewSyscallError("recvfrom", err)
		default:
			m = parse(s.family, s.buf[:n], sockaddr(from))
			m.anyID = true
		}
		return true
	})
	if err != nil {
		return message{}, err
	}
	return m, failed
}

// failure takes one message from the queue of errors: the request that failed, where it had gone, and in the control
// data why (struct sock_extended_err) and who says so.
func (s *pingSocket) failure(fd int) (message, bool) {
	n, oobn, _, to, err := unix.Recvmsg(fd, s.buf, s.oob, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return message{}, false
	}
	_, seq, ok := request(s.family, s.buf[:n])
	controls, err := unix.ParseSocketControlMessage(s.oob[:oobn])
	if !ok || err != nil {
		return message{}, true
	}
	for _, c := range controls {
		if e, ok := extended(s.family, c.Data); ok {
			return message{event: e, to: sockaddr(to), seq: seq, anyID: true}, true
		}
	}
	return message{}, true
}

// The layout of struct sock_extended_err (linux/errqueue.h): errno, origin, type, code, pad, info, data, and after these
// 16 bytes the address of who says so.
const (
	extendedErr    = 16
	originICMP     = 2
	originICMP6    = 3
	offenderOffset = extendedErr
)

// extended reads the control data of an error.
func extended(f family, data []byte) (event, bool) {
	if len(data) < extendedErr {
		return event{}, false
	}
	errno, origin, kind, code := unix.Errno(binary.NativeEndian.Uint32(data)), data[4], data[5], data[6]
	e := event{kind: unreachable, from: offender(f, data[offenderOffset:])}
	switch {
	case origin != originICMP && origin != originICMP6:
		e.detail = errno.Error() // this machine says so
	case f == v4 && kind == 11, f == v6 && kind == 3:
		e.kind, e.detail = expired, "time to live exceeded"
	case f == v4 && kind == 3, f == v6 && kind == 1:
		e.detail = unreachableText(f, int(code))
	default:
		e.kind, e.detail = rejected, fmt.Sprintf("ICMP type %d, code %d", kind, code)
	}
	return e, true
}

// offender reads a struct sockaddr_in or sockaddr_in6.
func offender(f family, data []byte) netip.Addr {
	switch {
	case f == v4 && len(data) >= 8 && binary.NativeEndian.Uint16(data) == unix.AF_INET:
		return netip.AddrFrom4([4]byte(data[4:8]))
	case f == v6 && len(data) >= 24 && binary.NativeEndian.Uint16(data) == unix.AF_INET6:
		return netip.AddrFrom16([16]byte(data[8:24])).Unmap()
	}
	return netip.Addr{}
}

func sockaddr(sa unix.Sockaddr) netip.Addr {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr).Unmap()
	}
	return netip.Addr{}
}

// Close implements socket.
func (s *pingSocket) Close() error { return s.conn.Close() }

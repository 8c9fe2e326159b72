package icmpcheck

import (
	"net"
	"net/netip"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// packetSocket is a socket of x/net/icmp: a raw one, or an unprivileged one where the system has them.
type packetSocket struct {
	family family
	conn   *icmp.PacketConn
	raw    bool
	buf    []byte
}

// openRaw opens a raw socket, which takes privilege on every system.
func openRaw(f family) (socket, error) {
	network, address := "ip4:icmp", "0.0.0.0"
	if f == v6 {
		network, address = "ip6:ipv6-icmp", "::"
	}
	conn, err := icmp.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	s := &packetSocket{family: f, conn: conn, raw: true, buf: make([]byte, 1500)}
	s.filter()
	return s, nil
}

// filter has the kernel keep back what is not about echo requests. Without it, parse ignores that.
func (s *packetSocket) filter() {
	if p := s.conn.IPv4PacketConn(); p != nil {
		var f ipv4.ICMPFilter
		f.SetAll(true)
		for _, t := range []ipv4.ICMPType{ipv4.ICMPTypeEchoReply, ipv4.ICMPTypeDestinationUnreachable, ipv4.ICMPTypeTimeExceeded, ipv4.ICMPTypeParameterProblem} {
			f.Accept(t)
		}
		_ = p.SetICMPFilter(&f)
	}
	if p := s.conn.IPv6PacketConn(); p != nil {
		var f ipv6.ICMPFilter
		f.SetAll(true)
		for _, t := range []ipv6.ICMPType{ipv6.ICMPTypeEchoReply, ipv6.ICMPTypeDestinationUnreachable, ipv6.ICMPTypeTimeExceeded, ipv6.ICMPTypeParameterProblem} {
			f.Accept(t)
		}
		_ = p.SetICMPFilter(&f)
	}
}

// Send implements socket.
func (s *packetSocket) Send(to netip.Addr, id, seq uint16, payload []byte) error {
	packet, err := render(s.family, id, seq, payload)
	if err != nil {
		return err
	}
	var addr net.Addr = &net.UDPAddr{IP: to.AsSlice(), Zone: to.Zone()}
	if s.raw {
		addr = &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()}
	}
	_, err = s.conn.WriteTo(packet, addr)
	return err
}

// Receive implements socket.
func (s *packetSocket) Receive() (message, error) {
	n, from, err := s.conn.ReadFrom(s.buf)
	if err != nil {
		return message{}, err
	}
	m := parse(s.family, s.buf[:n], addressOf(from))
	m.anyID = !s.raw
	return m, nil
}

// Close implements socket.
func (s *packetSocket) Close() error { return s.conn.Close() }

func addressOf(a net.Addr) netip.Addr {
	var ip net.IP
	var zone string
	switch a := a.(type) {
	case *net.IPAddr:
		ip, zone = a.IP, a.Zone
	case *net.UDPAddr:
		ip, zone = a.IP, a.Zone
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap().WithZone(zone)
}

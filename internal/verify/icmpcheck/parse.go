package icmpcheck

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// The protocol numbers of IANA.
const (
	protocolICMPv4 = 1
	protocolICMPv6 = 58
)

// parse says what an ICMP message, without IP header, means for echo requests. What is not about them, or is not whole,
// is ignored.
func parse(f family, data []byte, from netip.Addr) message {
	protocol := protocolICMPv4
	if f == v6 {
		protocol = protocolICMPv6
	}
	m, err := icmp.ParseMessage(protocol, data)
	if err != nil {
		return message{}
	}
	switch body := m.Body.(type) {
	case *icmp.Echo:
		if m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply {
			return message{}
		}
		return message{event: event{kind: replied, from: from}, id: uint16(body.ID), seq: uint16(body.Seq), payload: body.Data}
	case *icmp.DstUnreach:
		return returned(f, body.Data, event{unreachable, from, unreachableText(f, m.Code)})
	case *icmp.TimeExceeded:
		return returned(f, body.Data, event{expired, from, "time to live exceeded"})
	case *icmp.ParamProb:
		return returned(f, body.Data, event{rejected, from, "a bad header"})
	}
	return message{}
}

// returned reads the packet that a message of a router returns: RFC 792 promises its IP header and eight bytes, which are
// the whole head of an echo request.
func returned(f family, packet []byte, e event) message {
	var to netip.Addr
	var inner []byte
	if f == v4 {
		if len(packet) < 20 || packet[0]>>4 != 4 || packet[9] != protocolICMPv4 {
			return message{}
		}
		header := int(packet[0]&0x0f) * 4
		if header < 20 || len(packet) < header {
			return message{}
		}
		to, inner = netip.AddrFrom4([4]byte(packet[16:20])), packet[header:]
	} else {
		// Extension headers are never sent here.
		if len(packet) < 40 || packet[0]>>4 != 6 || packet[6] != protocolICMPv6 {
			return message{}
		}
		to, inner = netip.AddrFrom16([16]byte(packet[24:40])), packet[40:]
	}
	id, seq, ok := request(f, inner)
	if !ok {
		return message{}
	}
	return message{event: e, to: to, id: id, seq: seq}
}

// request reads the head of an echo request.
func request(f family, data []byte) (id, seq uint16, ok bool) {
	kind := byte(ipv4.ICMPTypeEcho)
	if f == v6 {
		kind = byte(ipv6.ICMPTypeEchoRequest)
	}
	if len(data) < 8 || data[0] != kind {
		return 0, 0, false
	}
	return binary.BigEndian.Uint16(data[4:]), binary.BigEndian.Uint16(data[6:]), true
}

// unreachableText names the codes of RFC 792, RFC 1812 section 5.2.7.1 and RFC 4443 section 3.1.
func unreachableText(f family, code int) string {
	var text string
	if f == v4 {
		text = map[int]string{
			0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
			4: "packet too large", 5: "source route failed", 6: "network unknown", 7: "host unknown",
			9: "network administratively prohibited", 10: "host administratively prohibited",
			13: "communication administratively prohibited",
		}[code]
	} else {
		text = map[int]string{
			0: "no route to destination", 1: "communication administratively prohibited", 2: "beyond scope of source address",
			3: "address unreachable", 4: "port unreachable", 5: "source address failed policy", 6: "reject route to destination",
		}[code]
	}
	if text == "" {
		return fmt.Sprintf("destination unreachable, code %d", code)
	}
	return text
}

// render makes an echo request. The kernel fills in the checksum of IPv6.
func render(f family, id, seq uint16, payload []byte) ([]byte, error) {
	var kind icmp.Type = ipv4.ICMPTypeEcho
	if f == v6 {
		kind = ipv6.ICMPTypeEchoRequest
	}
	m := icmp.Message{Type: kind, Body: &icmp.Echo{ID: int(id), Seq: int(seq), Data: payload}}
	return m.Marshal(nil)
}

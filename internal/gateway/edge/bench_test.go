package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

// BenchmarkForward measures a keep-alive GET with a body of 1 KiB through the edge over loopback, one client; it counts
// the allocations of client, edge and member together, of which client and member make few.
func BenchmarkForward(b *testing.B) {
	content := make([]byte, 1024)
	m := memberServer(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		_, _ = w.Write(content)
	})
	for _, c := range []struct {
		name   string
		setups []setup
	}{
		{"quiet", []setup{edged(func(o *Options) { o.AccessLog = false })}},
		{"access log", nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, []string{m.URL}, c.setups...)
			benchmarkGet(b, r.addr)
		})
	}
	b.Run("direct", func(b *testing.B) { benchmarkGet(b, m.Listener.Addr().String()) })
}

func benchmarkGet(b *testing.B, addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	br := bufio.NewReader(conn)
	request := []byte("GET /a/b HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		length := 0
		for { // a head of which only the length matters
			line, err := br.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if len(line) == 2 {
				break
			}
			if len(line) > 16 && string(line[:16]) == "Content-Length: " {
				for _, d := range line[16 : len(line)-2] {
					length = length*10 + int(d-'0')
				}
			}
		}
		if _, err := io.CopyN(io.Discard, br, int64(length)); err != nil {
			b.Fatal(err)
		}
	}
}

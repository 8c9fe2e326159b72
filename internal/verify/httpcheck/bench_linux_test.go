package httpcheck

import (
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/state"
)

// BenchmarkCheck makes checks one after the other against a server in the same process, and reports the processor time of
// both together: an upper bound of what a check costs.
func BenchmarkCheck(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1024)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(buf)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			_ = conn.Close()
		}
	}()
	c, err := New(Options{URL: "http://" + l.Addr().String() + "/"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if got := c.Check(b.Context()); got.State != state.Good {
			b.Fatalf("got %+v", got)
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
	_ = l.Close()
	<-done
}

// cpu is the processor time of this process so far, in nanoseconds.
func cpu(b *testing.B) int64 {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

package lab

import (
	"context"
	"math"
	"time"
)

// chunk is how much memory the programs take at a time; it is written to, so that it is resident.
const chunk = 64 << 10

// Leak takes bytesPerSecond of memory for ever, in the way of a server that forgets to free a little on each request,
// until ctx ends or limit bytes are held (0 is no limit: the caller bounds its life).
func Leak(ctx context.Context, bytesPerSecond, limit float64) {
	grow(ctx, func(elapsed time.Duration) float64 {
		held := bytesPerSecond * elapsed.Seconds()
		if limit > 0 {
			held = math.Min(held, limit)
		}
		return held
	})
}

// WarmUp takes memory as a server does whose cache fills: total bytes in the end, with time constant tau.
func WarmUp(ctx context.Context, total float64, tau time.Duration) {
	grow(ctx, func(elapsed time.Duration) float64 {
		return total * (1 - math.Exp(-elapsed.Seconds()/tau.Seconds()))
	})
}

// grow holds as much memory as want says, and throws a little away all the time, so that the garbage collector works as
// it does in a real process.
func grow(ctx context.Context, want func(time.Duration) float64) {
	var held [][]byte
	began := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for float64(len(held)*chunk) < want(time.Since(began)) {
			held = append(held, touched())
		}
		_ = touched() // garbage
	}
}

// touched returns a chunk with every page written.
func touched() []byte {
	b := make([]byte, chunk)
	for i := 0; i < len(b); i += 4096 {
		b[i] = byte(i >> 12)
	}
	return b
}

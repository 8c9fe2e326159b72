package edge

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// bodyBuffer is the size of the buffers that bodies are copied with.
const bodyBuffer = 32 << 10

var (
	errBodyTooLarge = errors.New("the request body is larger than the listener allows")
	errBodyOver     = errors.New("read request body: the request is over")
)

// requestBody is the client's body as the transport reads it. It counts, bounds, and knows whether it was touched: a body
// of which nothing was read can be sent to another member. Close does nothing, because the transport closes bodies of
// attempts that fail.
type requestBody struct {
	from  io.Reader
	dog   *watchdog
	limit int64 // 0 is unbounded

	touched atomic.Bool  // a Read was begun
	reading atomic.Bool  // a Read is under way
	n       atomic.Int64 // bytes read
	done    atomic.Bool  // read to its end
	failed  atomic.Pointer[error]

	mu   sync.Mutex // held while reading
	over atomic.Bool
}

// Read reads what the client sent.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over.Load() {
		return 0, errBodyOver
	}
	b.touched.Store(true)
	b.reading.Store(true)
	n, err := b.from.Read(p)
	b.reading.Store(false)
	b.dog.touch()
	if total := b.n.Add(int64(n)); b.limit > 0 && total > b.limit {
		n, err = 0, errBodyTooLarge
	}
	switch {
	case err == io.EOF:
		b.done.Store(true)
		b.dog.pause() // the member's turn: the farm's response timeout counts
	case err != nil:
		b.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close leaves the client's body open for another attempt.
func (b *requestBody) Close() error { return nil }

// finish makes later reads fail. unblock is called to end a read under way, and finish waits for that read.
func (b *requestBody) finish(unblock func()) {
	b.over.Store(true)
	if !b.mu.TryLock() {
		unblock()
		b.mu.Lock()
	}
	b.mu.Unlock()
}

// failure returns why reading failed on the client's side, nil when it did not.
func (b *requestBody) failure() error {
	if b == nil {
		return nil
	}
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}

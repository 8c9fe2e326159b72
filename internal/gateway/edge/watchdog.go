package edge

import (
	"sync"
	"sync/atomic"
	"time"
)

// watchdog calls bite once when nothing has touched it for its limit. touch is cheap and may be called from anywhere.
type watchdog struct {
	base  time.Time
	last  atomic.Int64 // nanoseconds since base
	limit atomic.Int64 // nanoseconds of silence
	quiet atomic.Bool  // silence is allowed
	bite  func()

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

// start begins to watch.
func (w *watchdog) start(limit time.Duration, bite func()) {
	w.base, w.bite = time.Now(), bite
	w.limit.Store(int64(limit))
	w.mu.Lock()
	w.timer = time.AfterFunc(limit, w.look)
	w.mu.Unlock()
}

// touch says that something moved.
func (w *watchdog) touch() { w.last.Store(int64(time.Since(w.base))) }

// pause allows silence until resume.
func (w *watchdog) pause() { w.quiet.Store(true) }

// resume counts silence from now on.
func (w *watchdog) resume() {
	w.touch()
	w.quiet.Store(false)
}

// extend allows a longer silence from now on.
func (w *watchdog) extend(limit time.Duration) {
	if int64(limit) > w.limit.Load() {
		w.limit.Store(int64(limit))
	}
}

func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	if w.quiet.Load() {
		w.timer.Reset(time.Duration(w.limit.Load()))
		return
	}
	silent := time.Since(w.base) - time.Duration(w.last.Load())
	if left := time.Duration(w.limit.Load()) - silent; left > 0 {
		w.timer.Reset(left)
		return
	}
	w.stopped = true
	w.bite()
}

// stop ends the watch. When it returns, bite is not running and will not be called. It may be called without start.
func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

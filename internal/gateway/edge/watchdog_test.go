package edge

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchdog(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit time.Duration
		act   func(*watchdog)
		after time.Duration // when it bites; 0 never within a minute
	}{
		{"silence", 10 * time.Second, func(*watchdog) {}, 10 * time.Second},
		{"touched", 10 * time.Second, func(w *watchdog) { <-time.After(4 * time.Second); w.touch() }, 14 * time.Second},
		{"touched often", 10 * time.Second, func(w *watchdog) {
			for range 15 {
				<-time.After(4 * time.Second)
				w.touch()
			}
		}, 0},
		{"stopped", 10 * time.Second, func(w *watchdog) { <-time.After(4 * time.Second); w.stop() }, 0},
		{"extended", 10 * time.Second, func(w *watchdog) { w.extend(30 * time.Second) }, 30 * time.Second},
		{"never shortened", 10 * time.Second, func(w *watchdog) { w.extend(time.Second) }, 10 * time.Second},
		{"paused", 10 * time.Second, func(w *watchdog) { w.pause() }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var bitten time.Duration
				w := &watchdog{}
				w.start(c.limit, func() { bitten = time.Since(begin) })
				c.act(w)
				<-time.After(time.Minute - time.Since(begin))
				w.stop()
				if bitten != c.after {
					t.Errorf("bit after %v, want %v", bitten, c.after)
				}
			})
		})
	}
}

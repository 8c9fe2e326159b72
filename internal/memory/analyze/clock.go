package analyze

import (
	"slices"
	"time"
)

// clockShift is a moment at which the clock of a log was put back.
type clockShift struct {
	at int64 // what the clock showed before, Unix nanoseconds
	by time.Duration
}

// straighten makes times ascend strictly. Rows are in the order in which they were written, so a time that goes back says
// that the clock was put back: by its owner, or at the end of daylight saving time, which the log's fixed bias does not know.
// The rows after it are moved on so that they follow at the log's usual interval. A single time that is ahead of both its
// neighbours is no clock's: its row is dropped, as are rows with the time of the row before them.
func straighten(times []int64) (drop []bool, dropped int, shifts []clockShift) {
	drop = make([]bool, len(times))
	usual := usualInterval(times)
	last, before := -1, -1 // the last kept row and the one before that
	var shift int64
	for i, raw := range times {
		t := raw + shift
		if last < 0 || t > times[last] {
			times[i] = t
			last, before = i, last
			continue
		}
		if t == times[last] {
			drop[i] = true
			dropped++
			continue
		}
		if before >= 0 && t > times[before] && times[last]-times[before] > 10*usual && t-times[before] <= 3*usual {
			drop[last] = true
			dropped++
			times[i] = t
			last = i
			continue
		}
		back := times[last] + usual - t
		shifts = append(shifts, clockShift{at: times[last], by: time.Duration(back)})
		shift += back
		times[i] = t + back
		last, before = i, last
	}
	return drop, dropped, shifts
}

// usualInterval is the median of the steps forward, at least a millisecond.
func usualInterval(times []int64) int64 {
	var steps []int64
	for i := 1; i < len(times); i++ {
		if d := times[i] - times[i-1]; d > 0 {
			steps = append(steps, d)
		}
	}
	if len(steps) == 0 {
		return int64(time.Millisecond)
	}
	slices.Sort(steps)
	return max(steps[len(steps)/2], int64(time.Millisecond))
}

package analyze

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var base = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func TestStraighten(t *testing.T) {
	for _, tt := range []struct {
		name       string
		in         []int // seconds
		want       []int
		wantShifts []time.Duration
		dropped    int
	}{
		{"in order", []int{0, 10, 20, 40}, []int{0, 10, 20, 40}, nil, 0},
		{"empty", nil, nil, nil, 0},
		{"put back by an hour", []int{3600, 3610, 3620, 30, 40, 50}, []int{3600, 3610, 3620, 3630, 3640, 3650}, []time.Duration{time.Hour}, 0},
		{"put back twice", []int{100, 110, 20, 30, 5, 15}, []int{100, 110, 120, 130, 140, 150}, []time.Duration{100 * time.Second, 35 * time.Second}, 0},
		{"one time far ahead", []int{0, 10, 20, 900000, 30, 40, 50}, []int{0, 10, 20, 30, 40, 50}, nil, 1},
		{"put back after a gap", []int{0, 10, 20, 5000, 4000, 4010}, []int{0, 10, 20, 5000, 5010, 5020}, []time.Duration{1010 * time.Second}, 0},
		{"the same time twice", []int{0, 10, 10, 20}, []int{0, 10, 20}, nil, 1},
		{"put forward is a gap", []int{0, 10, 3620, 3630}, []int{0, 10, 3620, 3630}, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var times []int64
			for _, s := range tt.in {
				times = append(times, base.Add(seconds(s)).UnixNano())
			}
			drop, dropped, shifts := straighten(times)
			var got []int
			for i, at := range times {
				if !drop[i] {
					got = append(got, int(time.Unix(0, at).Sub(base).Seconds()))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("times (-want +got):\n%s", diff)
			}
			var by []time.Duration
			for _, s := range shifts {
				by = append(by, s.by)
			}
			if diff := cmp.Diff(tt.wantShifts, by); diff != "" {
				t.Errorf("shifts (-want +got):\n%s", diff)
			}
			if dropped != tt.dropped {
				t.Errorf("%d dropped, want %d", dropped, tt.dropped)
			}
		})
	}
}

func FuzzStraighten(f *testing.F) {
	f.Add([]byte{0, 10, 20, 5, 15})
	f.Fuzz(func(t *testing.T, steps []byte) {
		times := make([]int64, len(steps))
		for i, s := range steps {
			times[i] = base.UnixNano() + int64(s)*int64(time.Second)
		}
		drop, dropped, _ := straighten(times)
		last, n := int64(-1), 0
		for i, at := range times {
			if drop[i] {
				n++
				continue
			}
			if at <= last {
				t.Fatalf("row %d does not come after the one before it", i)
			}
			last = at
		}
		if n != dropped {
			t.Fatalf("%d rows dropped, %d counted", n, dropped)
		}
	})
}

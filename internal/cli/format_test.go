package cli

import (
	"math"
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{15 * time.Second, "15 s"}, {60 * time.Second, "60 s"}, {5 * time.Minute, "5 minutes"}, {90 * time.Minute, "90 minutes"}, {150 * time.Minute, "2.5 hours"}, {60 * time.Hour, "2.5 days"},
		{24 * 15 * time.Hour, "15 days"},
	} {
		if got := span(tt.d); got != tt.want {
			t.Errorf("span(%v) is %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{0: "0 %", 0.004: "0.4 %", 0.03: "3 %", 0.97: "97 %", 0.997: "99.7 %", 1: "100 %"} {
		if got := percent(share); got != want {
			t.Errorf("percent(%v) is %q, want %q", share, got, want)
		}
	}
}

func TestSparkline(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		name   string
		values []float64
		width  int
		want   string
	}{
		{"none", nil, 10, ""},
		{"only missing", []float64{nan, nan}, 10, ""},
		{"rising", []float64{0, 1, 2, 3, 4, 5, 6, 7}, 10, "▁▂▃▄▅▆▇█"},
		{"two in one", []float64{0, 0, 7, 7}, 2, "▁█"},
		{"a gap", []float64{0, nan, 7}, 3, "▁ █"},
		{"constant", []float64{5, 5, 5}, 3, "▁▁▁"},
		{"noise of a thousandth is flat", []float64{1000, 1001, 1000}, 3, "▁▁▁"},
		{"zero", []float64{0, 0}, 2, "▁▁"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := sparkline(tt.values, tt.width); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestProgressBarIsForTerminalsOnly(t *testing.T) {
	var out countingWriter
	bar := newProgressBar(&Env{Stderr: &out})
	bar.show(1, 2)
	bar.clear()
	if out != 0 {
		t.Errorf("%d bytes of progress written to what is no terminal", out)
	}
	bar = &progressBar{w: &out, shown: -1}
	bar.show(1, 2)
	once := out
	bar.show(101, 200)
	if once == 0 || out != once {
		t.Errorf("%d bytes, then %d: the same percentage is written once", once, out)
	}
	bar.clear()
	if out == once {
		t.Error("the line is not cleared")
	}
}

type countingWriter int

func (w *countingWriter) Write(b []byte) (int, error) {
	*w += countingWriter(len(b))
	return len(b), nil
}

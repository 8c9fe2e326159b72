package trend

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)

func seriesOf(name string, step time.Duration, v ...float64) Series {
	s := Series{Name: name, Values: v}
	for i := range v {
		s.Times = append(s.Times, start.Add(time.Duration(i)*step))
	}
	return s
}

func ramped(n int, f func(i int) float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = f(i)
	}
	return v
}

func TestJudgeEdges(t *testing.T) {
	week := 7 * 24 * 12
	rows := []struct {
		name string
		in   Input
		want []Verdict
	}{
		{"empty", Input{}, []Verdict{Inconclusive}},
		{"one sample", Input{Memory: seriesOf("m", time.Minute, 1e6)}, []Verdict{Inconclusive}},
		{"two samples", Input{Memory: seriesOf("m", time.Minute, 1e6, 2e6)}, []Verdict{Inconclusive}},
		{"all missing", Input{Memory: seriesOf("m", time.Minute, math.NaN(), math.NaN())}, []Verdict{Inconclusive}},
		{"infinite", Input{Memory: seriesOf("m", time.Minute, math.Inf(1), math.Inf(-1), 1e300)}, []Verdict{Inconclusive}},
		{"an hour", Input{Memory: seriesOf("m", time.Minute, ramped(60, func(i int) float64 { return 1e6 * float64(i) })...)}, []Verdict{Inconclusive}},
		{"constant", Input{Memory: seriesOf("m", 5*time.Minute, ramped(week, func(int) float64 { return 1e8 })...)}, []Verdict{Stable}},
		{"zero", Input{Memory: seriesOf("m", 5*time.Minute, ramped(week, func(int) float64 { return 0 })...)}, []Verdict{Stable}},
		{"pure line", Input{Memory: seriesOf("m", 5*time.Minute, ramped(week, func(i int) float64 { return 1e8 + 1e4*float64(i) })...)}, []Verdict{Leak}},
		{"pure fall", Input{Memory: seriesOf("m", 5*time.Minute, ramped(week, func(i int) float64 { return 1e8 - 1e4*float64(i) })...)}, []Verdict{Stable, Inconclusive}},
		{"times and values differ in length", Input{Memory: Series{Times: []time.Time{start}, Values: []float64{1, 2, 3}}}, []Verdict{Inconclusive}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f, c := JudgeWithCurves(row.in, Options{})
			checkFinding(t, f, c)
			for _, w := range row.want {
				if f.Verdict == w {
					return
				}
			}
			t.Errorf("got %s, want one of %v: %s", f.Verdict, row.want, brief(f))
		})
	}
}

// checkFinding holds what is true of every finding.
func checkFinding(t *testing.T, f Finding, c Curves) {
	t.Helper()
	if _, err := json.Marshal(f); err != nil {
		t.Fatalf("finding is no JSON: %v", err)
	}
	if f.Verdict == "" || f.Drivers == nil || f.Restarts == nil || f.Steps == nil || f.Decreases == nil || len(f.Evidence) == 0 {
		t.Errorf("incomplete finding %+v", f)
	}
	if f.Confidence < 0 || f.Confidence > 1 {
		t.Errorf("confidence %v", f.Confidence)
	}
	if r := f.Rate; r != nil && !(r.Low <= r.BytesPerDay && r.BytesPerDay <= r.High) {
		t.Errorf("rate %+v", *r)
	}
	if (f.Verdict == Leak) != (f.Rate != nil) && f.Verdict != Fragmentation {
		t.Errorf("%s with rate %v", f.Verdict, f.Rate)
	}
	if f.DaysNeeded < 0 || math.IsNaN(f.DaysNeeded) {
		t.Errorf("days needed %v", f.DaysNeeded)
	}
	if len(c.Floor) != len(c.Times) || len(c.Trend) != len(c.Times) {
		t.Errorf("curves of lengths %d, %d, %d", len(c.Times), len(c.Floor), len(c.Trend))
	}
}

func TestJudgeIsPure(t *testing.T) {
	m := generate(makers()[0], 5, 1, 3, true)
	a, ca := JudgeWithCurves(m.input, Options{})
	b, cb := JudgeWithCurves(m.input, Options{})
	if d := cmp.Diff(a, b); d != "" {
		t.Error("two calls differ: ", d)
	}
	if d := cmp.Diff(ca.Floor, cb.Floor); d != "" {
		t.Error("two calls differ: ", d)
	}
}

func TestLimit(t *testing.T) {
	week := 7 * 24 * 12
	mem := seriesOf("Private Bytes", 5*time.Minute, ramped(week, func(i int) float64 { return 1e8 + 1e5*float64(i) + 1e4*float64(i*7919%13) })...)
	virt := seriesOf("Virtual Bytes", 5*time.Minute, ramped(week, func(i int) float64 { return 5e8 + 1e5*float64(i) + 1e4*float64(i*7919%13) })...)
	rate := 1e5 * 288.0
	rows := []struct {
		name   string
		of     string
		limit  float64
		days   float64 // from the last sample; negative when never
		absent bool
	}{
		{"by memory", "Private Bytes", 2 << 30, (2<<30 - 1e8 - 1e5*float64(week)) / rate, false},
		{"by address space", "Virtual Bytes", 2 << 30, (2<<30 - 5e8 - 1e5*float64(week)) / rate, false},
		{"already there", "Private Bytes", 1e8, 0, false},
		{"not known", "", 0, 0, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f := Judge(Input{Memory: mem, Virtual: &virt, LimitBytes: row.limit, LimitOf: row.of}, Options{})
			if f.Verdict != Leak {
				t.Fatalf("got %s %s", f.Verdict, brief(f))
			}
			if row.absent {
				if f.Limit != nil {
					t.Errorf("limit %+v", *f.Limit)
				}
				return
			}
			if f.Limit == nil || f.Limit.Reached == nil || f.Limit.Of != row.of {
				t.Fatalf("limit %+v", f.Limit)
			}
			if got := f.Limit.Reached.Sub(*f.Last).Hours() / 24; math.Abs(got-row.days) > 0.02*row.days+0.01 {
				t.Errorf("reached in %.2f days, want %.2f", got, row.days)
			}
			if f.Limit.Low.After(*f.Limit.Reached) || f.Limit.High != nil && f.Limit.High.Before(*f.Limit.Reached) {
				t.Errorf("interval %v to %v around %v", f.Limit.Low, f.Limit.High, f.Limit.Reached)
			}
		})
	}
}

// TestClasses tells leak from fragmentation by the second signal.
func TestClasses(t *testing.T) {
	const n = 7 * 24 * 12
	rough := func(i int) float64 { return 2e5 * float64(i*7919%17) }
	flat := ramped(n, func(i int) float64 { return 1e8 + rough(i) })
	rise := ramped(n, func(i int) float64 { return 1e8 + 3e4*float64(i) + rough(i) })
	high := ramped(n, func(i int) float64 { return 2.5e8 + rough(i+5) })
	peak := ramped(n, func(i int) float64 {
		if i >= 600 && i < 640 {
			return 2.3e8
		}
		return 1e8 + rough(i)
	})
	grow := ramped(n, func(i int) float64 { return 5e8 + 3e4*float64(i) + rough(i+3) })
	s := func(v []float64) *Series { x := seriesOf("x", 5*time.Minute, v...); return &x }
	rows := []struct {
		name    string
		mem     []float64
		use     *Series
		virtual *Series
		want    Verdict
	}{
		{"memory alone rises", rise, nil, nil, Leak},
		{"in use rises", rise, s(rise), nil, Leak},
		{"memory rises, in use is flat", rise, s(flat), nil, Fragmentation},
		{"address space rises, memory is flat", flat, nil, s(grow), Fragmentation},
		{"both rise", rise, nil, s(grow), Leak},
		{"all flat", flat, s(flat), nil, Stable},
		{"memory far above the most that was in use", high, s(flat), nil, Fragmentation},
		{"memory kept from a peak of use", high, s(peak), nil, Retention},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			in := Input{Memory: *s(row.mem), InUse: row.use, Virtual: row.virtual}
			if f := Judge(in, Options{}); f.Verdict != row.want {
				t.Errorf("got %s, want %s: %s", f.Verdict, row.want, brief(f))
			}
		})
	}
}

// TestScale judges the same samples with another hour: the verdict stays, the rate is of the real day.
func TestScale(t *testing.T) {
	v := ramped(1000, func(i int) float64 { return 1e8 + 1e4*float64(i) + 2e4*float64(i*7919%17) })
	slow := Judge(Input{Memory: seriesOf("m", 6*time.Minute, v...)}, Options{})
	fast := Judge(Input{Memory: seriesOf("m", 200*time.Millisecond, v...)}, Options{Hour: 2 * time.Second})
	if slow.Verdict != Leak || fast.Verdict != Leak {
		t.Fatalf("got %s and %s", slow.Verdict, fast.Verdict)
	}
	if ratio := fast.Rate.BytesPerDay / slow.Rate.BytesPerDay; math.Abs(ratio-1800) > 20 {
		t.Errorf("rates differ by %.0f, want 1800", ratio)
	}
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, int64(60), 3.0, 100.0, uint8(0))
	f.Add([]byte{0, 0, 255, 255, 9}, int64(900), 1e12, -5.0, uint8(7))
	f.Fuzz(func(t *testing.T, raw []byte, step int64, scale, add float64, more uint8) {
		mem, other := Series{Name: "m"}, Series{Name: "o"}
		at := start
		for i := range 40 * len(raw) % 4000 {
			b := raw[i%len(raw)]
			at = at.Add(time.Duration(step%100000) * time.Second)
			v := add + scale*(float64(b)+float64(i))
			switch {
			case b == 255:
				v = math.NaN()
			case b == 254:
				at = at.Add(-time.Hour)
			case b == 253:
				at = at.AddDate(int(b), 0, 0)
			}
			mem.Times, mem.Values = append(mem.Times, at), append(mem.Values, v)
			other.Times, other.Values = append(other.Times, at), append(other.Values, scale*float64(b^more))
		}
		in := Input{Memory: mem, LimitBytes: scale * 1e3, LimitOf: "m"}
		if more&1 != 0 {
			in.Loads = []Series{other, mem}
		}
		if more&2 != 0 {
			in.InUse = &other
		}
		if more&4 != 0 {
			in.Virtual, in.LimitOf = &other, "o"
		}
		if more&8 != 0 && len(mem.Times) > 3 {
			in.Restarts = []time.Time{mem.Times[len(mem.Times)/2], mem.Times[1], start.AddDate(100, 0, 0)}
		}
		fd, c := JudgeWithCurves(in, Options{Hour: time.Duration(more) * time.Minute})
		checkFinding(t, fd, c)
	})
}

// BenchmarkJudgeFortnight is a log of 14 days at five minutes with ten loads.
func BenchmarkJudgeFortnight(b *testing.B) {
	in := generate(makers()[0], 3, 1, 14, true).input
	for i := range 8 {
		m := generate(makers()[0], 3, 100+i, 14, true).input.Loads[0]
		in.Loads = append(in.Loads, m)
	}
	b.ReportAllocs()
	for b.Loop() {
		Judge(in, Options{})
	}
}

func BenchmarkJudge(b *testing.B) {
	rows := []struct {
		name  string
		loads bool
	}{{"day at 15 s, memory alone", false}, {"day at 15 s, two loads", true}}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			in := generate(makers()[0], 3, 1, 1, row.loads).input
			quick := func(s Series) Series {
				out := Series{Name: s.Name}
				for i := range s.Times {
					for k := range 4 {
						out.Times = append(out.Times, s.Times[i].Add(time.Duration(k)*15*time.Second))
						out.Values = append(out.Values, s.Values[i]+float64(k*4096))
					}
				}
				return out
			}
			in.Memory = quick(in.Memory)
			for i := range in.Loads {
				in.Loads[i] = quick(in.Loads[i])
			}
			b.ReportAllocs()
			for b.Loop() {
				Judge(in, Options{})
			}
		})
	}
}

// TestDaysNeededOfAShortLog: a log that is too short lacks what it lacks, in real days whatever counts as an hour.
func TestDaysNeededOfAShortLog(t *testing.T) {
	for _, hour := range []time.Duration{time.Hour, 2 * time.Second} {
		s := Series{Name: "Private Bytes"}
		start := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
		for i := range 60 { // six hours
			s.Times = append(s.Times, start.Add(time.Duration(i)*hour/10))
			s.Values = append(s.Values, 1e8+float64(i%7)*4096)
		}
		f := Judge(Input{Process: "p", Memory: s}, Options{Hour: hour})
		want := 12.1 / 24 * hour.Hours()
		if f.Verdict != Inconclusive || math.Abs(f.DaysNeeded-want) > 0.1*want || f.DetectableRate != nil {
			t.Errorf("hour of %s: %s, %v days needed, want %v", hour, f.Verdict, f.DaysNeeded, want)
		}
	}
}

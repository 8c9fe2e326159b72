package trend

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// quarters makes samples a quarter of an hour apart.
func quarters(n int, f func(h float64) float64) samples {
	s := samples{}
	for i := range n {
		h := float64(i) / 4
		s.t, s.v = append(s.t, h), append(s.v, f(h))
	}
	return s
}

func TestClean(t *testing.T) {
	at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
	in := Series{
		Times:  []time.Time{at(0), at(15), at(10), at(30), at(45), at(60), at(75), at(75), start.AddDate(9000, 0, 0)},
		Values: []float64{1, math.NaN(), 2, math.Inf(1), -5, 1e300, 7, 8, 9},
	}
	got := clean(in, start, time.Hour)
	if len(got.v) != 3 || got.v[0] != 1 || got.v[1] != 2 || got.v[2] != 7 {
		t.Errorf("got %v", got)
	}
}

func TestFloors(t *testing.T) {
	s := quarters(40, func(h float64) float64 { return 100 + math.Mod(4*h, 4) })
	g := floors(s, cut(s, 1.0, nil), 1.0)
	if g.len() != 10 || g.nseg != 1 {
		t.Fatalf("%d windows, %d segments", g.len(), g.nseg)
	}
	for i, y := range g.y {
		if math.Abs(y-100.3) > 1e-9 {
			t.Errorf("floor %d is %v, want the 10 %% point 100.3", i, y)
		}
	}
}

func TestCutAtRestart(t *testing.T) {
	s := quarters(40, func(float64) float64 { return 1 })
	ws := cut(s, 1.0, []float64{5.5, 5.5, 8})
	segs := map[int]bool{}
	for _, w := range ws {
		segs[w.seg] = true
		if s.t[w.from] < 5.5 && s.t[w.to-1] >= 5.5 {
			t.Errorf("window %v reaches over the restart", w)
		}
	}
	if len(segs) != 3 {
		t.Errorf("%d segments, want 3", len(segs))
	}
}

func TestWindowHours(t *testing.T) {
	rows := []struct {
		name string
		n    int
		step float64 // hours
		want float64
	}{
		{"two weeks at 5 min", 4032, 1.0 / 12, 1},
		{"a day at 1 min", 1440, 1.0 / 60, 0.25},
		{"a day at 15 min: four samples at least", 96, 0.25, 1.0},
		{"a year at 15 min: no more windows than are needed", 35040, 0.25, 5.84},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := samples{}
			for i := range row.n {
				s.t, s.v = append(s.t, float64(i)*row.step), append(s.v, 1e6)
			}
			if got := windowHours(s); math.Abs(got-row.want) > 0.01*row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestSawtooth(t *testing.T) {
	saw := quarters(400, func(h float64) float64 { return 1e8 + 1e7*math.Mod(h, 2.5) })
	if got := saw.sawtooth(); math.Abs(got-2.5) > 0.26 {
		t.Errorf("a tooth takes %v hours, want 2.5", got)
	}
	r := rand.New(rand.NewPCG(1, 1))
	white := quarters(400, func(float64) float64 { return 1e8 + 1e7*r.NormFloat64() })
	if got := white.sawtooth(); got != 0 {
		t.Errorf("noise is called a sawtooth of %v hours", got)
	}
}

func TestFindRestarts(t *testing.T) {
	fall := func(at, to float64) func(h float64) float64 {
		return func(h float64) float64 {
			if h >= at {
				return to + 1e5*(h-at)
			}
			return 5e8 + 1e5*h
		}
	}
	low := quarters(400, fall(50, 1e8))
	rows := []struct {
		name    string
		s       samples
		virtual *samples
		want    int
	}{
		{"falls to a fifth", low, nil, 1},
		{"address space falls along", low, &low, 1},
		{"address space stays: a trim", low, ref(quarters(400, func(float64) float64 { return 1e9 })), 0},
		{"falls by a third", quarters(400, fall(50, 3.4e8)), nil, 0},
		{"a single low reading", quarters(400, func(h float64) float64 {
			if h == 50 {
				return 1e7
			}
			return 5e8
		}), nil, 0},
		{"a collector's sawtooth", quarters(400, func(h float64) float64 { return 1e8 + 1e8*math.Mod(h, 8) }), nil, 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got := findRestarts(row.s, row.virtual)
			if len(got) != row.want {
				t.Fatalf("got %v, want %d", got, row.want)
			}
			if row.want == 1 && math.Abs(got[0]-50) > 0.3 {
				t.Errorf("at %v, want 50", got[0])
			}
		})
	}
}

func ref[T any](v T) *T { return &v }

// modelOf is the model of hourly floors.
func modelOf(y []float64) *model {
	g := plainGrid(len(y))
	g.y = y
	return newModel(g)
}

func TestSteps(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	with := func(at ...int) []float64 {
		y := make([]float64, 240)
		for i := range y {
			y[i] = 1e8 + 1e5*r.NormFloat64()
			for _, a := range at {
				if i >= a {
					y[i] += 2e7
				}
			}
		}
		return y
	}
	rows := []struct {
		name string
		y    []float64
		want []int
	}{
		{"none", with(), nil},
		{"one", with(100), []int{100}},
		{"two", with(60, 180), []int{60, 180}},
		{"three are a leak in batches", with(60, 120, 180), nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			m := modelOf(row.y)
			got := m.addSteps()
			if len(got) != len(row.want) {
				t.Fatalf("got %v, want %v", got, row.want)
			}
			for i := range got {
				if got[i] != row.want[i] {
					t.Errorf("got %v, want %v", got, row.want)
				}
			}
		})
	}
}

func TestShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	curve := func(f func(u float64) float64) []float64 {
		y := make([]float64, 240)
		for i := range y {
			y[i] = 1e8 + 1e8*f(float64(i)/239) + 3e5*r.NormFloat64()
		}
		return y
	}
	rows := []struct {
		name       string
		y          []float64
		grow, stop kind
		goesOn     bool
	}{
		{"line", curve(func(u float64) float64 { return u }), line, ramp, true},
		{"late", curve(func(u float64) float64 { return math.Max(0, u-0.5) }), late, ramp, true},
		{"warm-up", curve(func(u float64) float64 { return 1 - math.Exp(-u/0.08) }), line, expo, false},
		{"warm-up and line", curve(func(u float64) float64 { return 1 - math.Exp(-u/0.08) + u }), expLine, loga, true},
		{"ramp", curve(func(u float64) float64 { return math.Min(u, 0.4) }), bent, ramp, false},
		{"logarithm", curve(func(u float64) float64 { return math.Log1p(u/0.01) / 5 }), expLine, loga, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			best := modelOf(row.y).shapes()
			grow, stop := choose(best, late, bent, expLine, driven)
			if row.goesOn && (grow.kind != row.grow || grow.bic >= stop.bic) {
				t.Errorf("grows as %s (%.0f), stops as %s (%.0f)", grow.kind, grow.bic, stop.kind, stop.bic)
			}
			if !row.goesOn && (stop.kind != row.stop || !nested(stop.kind, grow.kind) && grow.bic <= stop.bic) {
				t.Errorf("grows as %s (%.0f), stops as %s (%.0f)", grow.kind, grow.bic, stop.kind, stop.bic)
			}
		})
	}
}

func TestLoadIsTakenOut(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	s := samples{}
	load := Series{Name: "Sessions"}
	for i := range 7 * 96 {
		h := float64(i) / 4
		l := 1000 + 900*math.Sin(2*math.Pi*h/24) + 100*r.NormFloat64()
		s.t, s.v = append(s.t, h), append(s.v, 1e8+2e4*l+1e5*h+1e5*r.NormFloat64())
		load.Times, load.Values = append(load.Times, start.Add(time.Duration(h*3600e9))), append(load.Values, l)
	}
	in := Input{Memory: Series{Name: "m", Times: load.Times, Values: s.v}, Loads: []Series{load}}
	f := Judge(in, Options{})
	if f.Verdict != Leak || math.Abs(f.Rate.BytesPerDay-2.4e6) > 0.05*2.4e6 {
		t.Errorf("got %s, rate %+v, want a leak of 2.4 MB a day", f.Verdict, f.Rate)
	}
	if blind := Judge(Input{Memory: in.Memory}, Options{}); blind.Rate != nil && blind.Rate.High-blind.Rate.Low < f.Rate.High-f.Rate.Low {
		t.Error("knowing the load made the interval wider")
	}
}

func TestRunningCountsBecomeRates(t *testing.T) {
	s := quarters(40, func(h float64) float64 { return 3600 * h })
	if got := rates(s, 3600); len(got.v) != 39 || math.Abs(got.v[5]-1) > 1e-9 {
		t.Errorf("got %v, want 1 a second", got.v)
	}
	r := rand.New(rand.NewPCG(6, 6))
	level := quarters(40, func(float64) float64 { return 100 * r.Float64() })
	if got := rates(level, 3600); len(got.v) != 40 {
		t.Error("a level was taken for a running count")
	}
}

// TestDriver leaks at each event of one of two loads that do not move together.
func TestDriver(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	a, b := Series{Name: "A/sec"}, Series{Name: "B/sec"}
	mem := Series{Name: "m"}
	held := 0.0
	for i := range 7 * 288 {
		at := start.Add(time.Duration(i) * 5 * time.Minute)
		h := float64(i) / 12
		la := math.Max(0, 10+10*math.Sin(2*math.Pi*h/24)+float64(i/500%2*20))
		lb := 5 + 5*math.Cos(2*math.Pi*h/31)
		held += la * 300 * 40
		a.Times, a.Values = append(a.Times, at), append(a.Values, la)
		b.Times, b.Values = append(b.Times, at), append(b.Values, lb)
		mem.Times, mem.Values = append(mem.Times, at), append(mem.Values, 1e8+held+1e5*r.NormFloat64())
	}
	f := Judge(Input{Memory: mem, Loads: []Series{a, b}}, Options{})
	if f.Verdict != Leak || len(f.Drivers) != 1 || f.Drivers[0].Counter != "A/sec" {
		t.Fatalf("got %s, drivers %v, note %q", f.Verdict, f.Drivers, f.DriversNote)
	}
	if d := f.Drivers[0]; math.Abs(d.BytesPerEvent-40) > 2 || d.Low > 40 || d.High < 40 {
		t.Errorf("%+v, want 40 bytes an event", d)
	}
	twin := a
	twin.Name = "A again/sec"
	if f := Judge(Input{Memory: mem, Loads: []Series{a, twin}}, Options{}); len(f.Drivers) != 0 || f.DriversNote == "" {
		t.Errorf("two activities that are one: drivers %v, note %q", f.Drivers, f.DriversNote)
	}
}

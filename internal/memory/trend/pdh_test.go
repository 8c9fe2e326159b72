package trend

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

const shared = "../../../../shared"

// truth is what truth.json says of a trace.
type truth struct {
	Verdict  Verdict
	Rate     float64
	Driver   string
	Limit    float64
	LimitDay *float64 `json:"limit_day"`
	Family   string
	Days     float64
	Restarts []int
}

type trace struct {
	name  string
	input Input
	truth truth
}

// traces reads a folder of traces; the test is skipped where there is none.
func traces(t testing.TB, folder string) []trace {
	t.Helper()
	dir := filepath.Join(shared, "traces", folder)
	raw, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Skip("the traces are not here: ", err)
	}
	var all map[string]truth
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	var out []trace
	for name, tr := range all {
		in := readPDH(t, filepath.Join(dir, name))
		in.LimitBytes = tr.Limit
		if in.Virtual != nil {
			in.LimitOf = in.Virtual.Name
		}
		out = append(out, trace{name, in, tr})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

// readPDH is as much of a PDH-CSV reader as the traces need.
func readPDH(t testing.TB, path string) Input {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Skip(err)
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(path, err)
	}
	head := rows[0]
	series := make([]Series, len(head))
	for j, h := range head {
		series[j].Name = h
	}
	for _, row := range rows[1:] {
		at, err := time.Parse("01/02/2006 15:04:05.000", row[0])
		if err != nil || len(row) != len(head) {
			continue
		}
		for j := 1; j < len(row); j++ {
			v, err := strconv.ParseFloat(strings.TrimSpace(row[j]), 64)
			if err != nil {
				v = math.NaN()
			}
			series[j].Times = append(series[j].Times, at)
			series[j].Values = append(series[j].Values, v)
		}
	}
	in := Input{Process: "traced"}
	for j := 1; j < len(head); j++ {
		s := series[j]
		switch {
		case strings.HasSuffix(s.Name, `\Private Bytes`):
			in.Memory = s
		case strings.HasSuffix(s.Name, `\Virtual Bytes`):
			in.Virtual = &s
		case strings.HasSuffix(s.Name, `\In Use Bytes`):
			in.InUse = &s
		case strings.HasSuffix(s.Name, `\Elapsed Time`):
			for i := 1; i < len(s.Values); i++ {
				if s.Values[i] < s.Values[i-1] {
					in.Restarts = append(in.Restarts, s.Times[i])
				}
			}
		case strings.HasSuffix(s.Name, "/sec") || strings.HasSuffix(s.Name, "Sessions"):
			in.Loads = append(in.Loads, s)
		}
	}
	return in
}

// score is what the reports count.
type score struct {
	n, tp, fp, fn, right int
	errs, limits         []float64
	covered              int
}

func (s *score) add(got Finding, want Verdict, rate float64) (right bool) {
	s.n++
	switch {
	case got.Verdict == Leak && want == Leak:
		s.tp++
		if got.Rate != nil && rate > 0 {
			s.errs = append(s.errs, math.Abs(got.Rate.BytesPerDay-rate)/rate)
			if got.Rate.Low <= rate && rate <= got.Rate.High {
				s.covered++
			}
		}
	case got.Verdict == Leak:
		s.fp++
	case want == Leak:
		s.fn++
	}
	level := got.Verdict == Stable || got.Verdict == Step || got.Verdict == Retention
	right = got.Verdict == want || want == Stable && level || want == Load && level
	if right {
		s.right++
	}
	return right
}

func (s *score) precision() float64 { return float64(s.tp) / math.Max(1, float64(s.tp+s.fp)) }
func (s *score) recall() float64    { return float64(s.tp) / math.Max(1, float64(s.tp+s.fn)) }

func (s *score) String() string {
	sort.Float64s(s.errs)
	return "n " + strconv.Itoa(s.n) + " precision " + f2(s.precision()) + " recall " + f2(s.recall()) + " right " + f2(float64(s.right)/math.Max(1, float64(s.n))) +
		" rate error median " + f2(quantileSorted(s.errs, .5)) + " p90 " + f2(quantileSorted(s.errs, .9)) +
		" cover " + f2(float64(s.covered)/math.Max(1, float64(len(s.errs)))) + " limit " + f2(median(s.limits))
}

func f2(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }

func TestTraces(t *testing.T) {
	var all score
	for _, folder := range []string{"synthetic", "allocator"} {
		var sc score
		driven, named := 0, 0
		for _, tr := range traces(t, folder) {
			got := Judge(tr.input, Options{})
			if tr.truth.Driver != "" {
				driven++
				if len(got.Drivers) > 0 && got.Drivers[0].Counter == tr.truth.Driver {
					named++
				}
			}
			if len(got.Drivers) > 0 && got.Drivers[0].Counter != tr.truth.Driver {
				t.Logf("%s: driver %v, want %q", tr.name, got.Drivers, tr.truth.Driver)
			}
			for _, s := range []*score{&sc, &all} {
				right := s.add(got, tr.truth.Verdict, tr.truth.Rate)
				if got.Verdict == Leak && tr.truth.LimitDay != nil && got.Limit != nil && got.Limit.Reached != nil {
					days := got.Limit.Reached.Sub(*got.Last).Hours() / 24
					s.limits = append(s.limits, math.Abs(days-*tr.truth.LimitDay) / *tr.truth.LimitDay)
				}
				if s == &sc && (!right || testing.Verbose()) {
					t.Logf("%s %s %s %.0fd want %s got %s rate %.2f %s", folder, tr.name, tr.truth.Family, tr.truth.Days, tr.truth.Verdict, got.Verdict, tr.truth.Rate/1e6, brief(got))
				}
			}
		}
		t.Logf("%s %v; drivers named %d of %d", folder, &sc, named, driven)
	}
	t.Log("all ", &all)
	if all.precision() < 0.95 || all.recall() < 0.9 || float64(all.right)/float64(all.n) < 0.9 || quantileSorted(all.errs, 0.5) > 0.05 {
		t.Error("worse than what was reached: ", &all)
	}
}

// brief shows a finding on one line.
func brief(f Finding) string {
	var b strings.Builder
	if f.Rate != nil {
		b.WriteString("rate " + f2(f.Rate.BytesPerDay/1e6) + " [" + f2(f.Rate.Low/1e6) + " " + f2(f.Rate.High/1e6) + "] ")
	}
	for _, e := range f.Evidence {
		mark := "+"
		if !e.Holds {
			mark = "-"
		}
		b.WriteString(mark + e.Rule + " " + strconv.FormatFloat(e.Value, 'g', 3, 64) + " ")
		if e.Rule == "shape" {
			_, shape, _ := strings.Cut(e.Text, "(")
			b.WriteString("(" + shape + " ")
		}
	}
	return b.String()
}

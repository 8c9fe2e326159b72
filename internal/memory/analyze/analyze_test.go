package analyze

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"gatehouse/internal/memory/trend"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is a stand-in for the verdict: a finding that tells what the judge was given.
func told(in trend.Input, _ trend.Options) (trend.Finding, trend.Curves) {
	f := trend.Finding{Host: in.Host, Process: in.Process, PID: in.PID, Verdict: trend.Stable, Counter: in.Memory.Name,
		Drivers: []trend.Driver{}, Restarts: in.Restarts, Steps: []trend.StepAt{}, Evidence: []trend.Evidence{}}
	tell := func(what string, s trend.Series) {
		f.Evidence = append(f.Evidence, trend.Evidence{Rule: what, Value: float64(len(s.Values)), Text: fmt.Sprintf("%s: %v", s.Name, s.Values)})
	}
	tell("memory", in.Memory)
	if n := len(in.Memory.Times); n > 0 {
		f.First, f.Last = &in.Memory.Times[0], &in.Memory.Times[n-1]
	}
	if in.Virtual != nil {
		tell("virtual", *in.Virtual)
	}
	if in.InUse != nil {
		tell("in use", *in.InUse)
	}
	for _, l := range in.Loads {
		tell("load", l)
	}
	if in.LimitBytes > 0 {
		f.Limit = &trend.Limit{Bytes: in.LimitBytes, Of: in.LimitOf}
	}
	return f, trend.Curves{}
}

// TestLogs runs every case of testdata: an archive with options in its comment, logs, and the report and notes that are
// expected. The judge is a stand-in, so that the cases hold what analyze does and not how trend judges.
func TestLogs(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { runCase(t, path) })
	}
}

func runCase(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	opt := caseOptions(t, string(archive.Comment))
	opt.Judge = told
	dir := t.TempDir()
	var logs []string
	want := map[string]string{}
	kept := archive.Files[:0]
	for _, f := range archive.Files {
		if !strings.HasSuffix(f.Name, "sv") {
			want[f.Name] = string(f.Data)
			continue
		}
		kept = append(kept, f)
		file := filepath.Join(dir, f.Name)
		if err := os.WriteFile(file, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		logs = append(logs, file)
	}
	report, err := Files(context.Background(), logs, opt)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"report.json": render(t, report, dir), "notes.txt": strings.ReplaceAll(strings.Join(append(report.Notes, ""), "\n"), dir+string(filepath.Separator), "")}
	if *update {
		kept = append(kept, txtar.File{Name: "report.json", Data: []byte(got["report.json"])}, txtar.File{Name: "notes.txt", Data: []byte(got["notes.txt"])})
		archive.Files = kept
		if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func caseOptions(t *testing.T, comment string) Options {
	var opt Options
	for line := range strings.Lines(comment) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case !ok:
		case key == "process":
			opt.Process = value
		case key == "counter":
			opt.Counters = append(opt.Counters, value)
		case key == "limit":
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			opt.Limit = n
		}
	}
	return opt
}

func render(t *testing.T, report *Report, dir string) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	for i := range report.Log.Files {
		report.Log.Files[i] = strings.TrimPrefix(report.Log.Files[i], dir+string(filepath.Separator))
	}
	if err := enc.Encode(report); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none.csv"), "no such file"},
		{"folder", dir, "it is a folder"},
		{"no log", write("a.csv", "a,b\n1,2\n"), "not a Performance Monitor log"},
		{"no row that can be read", write("b.csv", "\"(PDH-CSV 4.0)\",\"\\A\\B\"\n\"15.01.2026 10:00\",\"1\"\n"), `none of its 1 rows can be read; line 2: the time "15.01.2026 10:00" is not`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good := write("good.csv", "\"(PDH-CSV 4.0)\",\"\\A\\B\"\n")
			_, err := Files(context.Background(), []string{good, tt.path}, Options{Judge: told})
			if err == nil {
				t.Fatal("no error")
			}
			if msg := err.Error(); !strings.HasPrefix(msg, "read "+tt.path+": ") || !strings.Contains(msg, tt.want) || strings.Count(msg, tt.path) != 1 || strings.Contains(msg, "\n") {
				t.Errorf("error %q, want the file's name once and %q", msg, tt.want)
			}
		})
	}
}

func TestEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	log := "\"(PDH-CSV 4.0)\",\"\\Process(a)\\Private Bytes\"\n" + strings.Repeat("\"01/01/2020 00:00:00.000\",\"1\"\n", 3)
	if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Files(ctx, []string{path}, Options{Judge: told}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestProgressReachesItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	var b strings.Builder
	b.WriteString("\"(PDH-CSV 4.0)\",\"\\Process(a)\\Private Bytes\",\"\\Process(b)\\Private Bytes\"\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "\"01/01/2020 %02d:%02d:%02d.%d00\",\"1\",\"2\"\n", i/10/3600%24, i/10/60%60, i/10%60, i%10)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	var last, total int64
	_, err := Files(context.Background(), []string{path}, Options{Judge: told, Progress: func(d, all int64) {
		calls.Add(1)
		if d < last || d > all {
			t.Errorf("progress went from %d to %d of %d", last, d, all)
		}
		last, total = d, all
	}})
	if err != nil {
		t.Fatal(err)
	}
	if calls.Load() < 4 || last != total || total == 0 {
		t.Errorf("%d calls, the last with %d of %d", calls.Load(), last, total)
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"w3wp", "W3WP", true}, {"w3*", "w3wp", true}, {"*wp", "w3wp", true}, {"w?wp", "w3wp", true}, {"w?wp", "wwp", false}, {"*", "", true}, {"", "", true},
		{"", "a", false}, {"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXbYbZ", false}, {`\\h\process(*)\*`, `\\H\Process(x#1)\Private Bytes`, true}, {"[a]", "[a]", true},
	} {
		if got := glob(tt.pattern, tt.name); got != tt.want {
			t.Errorf("glob(%q, %q) is %v", tt.pattern, tt.name, got)
		}
	}
}

func TestStoreTakesFewerRowsWhenItIsFull(t *testing.T) {
	s := newStore(1, 2*blockRows)
	for i := range 5 * blockRows {
		s.add(base.Add(seconds(i)), []float64{float64(i)})
	}
	if s.stride != 4 || len(s.times) != 5*blockRows/4 {
		t.Fatalf("stride %d, %d rows", s.stride, len(s.times))
	}
	for i := range s.times {
		if s.value(i, 0) != float64(4*i) || s.times[i] != base.Add(seconds(4*i)).UnixNano() {
			t.Fatalf("row %d holds %v", i, s.value(i, 0))
		}
	}
	if !math.IsNaN(s.value(0, absent)) {
		t.Error("a column that is not there has a value")
	}
}

func TestManyFindingsAreSorted(t *testing.T) {
	rate := func(v float64) *trend.Rate { return &trend.Rate{BytesPerDay: v} }
	r := &Report{Findings: []trend.Finding{
		{Process: "d", Verdict: trend.Stable}, {Process: "b", Verdict: trend.Leak, Rate: rate(1)}, {Process: "C", Verdict: trend.Stable}, {Process: "a", Verdict: trend.Leak, Rate: rate(5)},
		{Process: "e", Verdict: trend.Inconclusive}, {Process: "f", Verdict: trend.Fragmentation, Rate: rate(9)}, {Process: "c", PID: 2, Verdict: trend.Stable},
	}, Curves: make([]trend.Curves, 7)}
	r.sort()
	var got []string
	for _, f := range r.Findings {
		got = append(got, f.Process)
	}
	if diff := cmp.Diff([]string{"a", "b", "f", "e", "C", "c", "d"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

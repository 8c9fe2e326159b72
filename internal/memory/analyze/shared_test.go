package analyze

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"

	"gatehouse/internal/memory/trend"
)

// sharedData is where real logs lie beside the repository; they are not part of it.
const sharedData = "../../../../shared"

// TestRealLogs judges every real log. All but the invented ones are far too short for a verdict, so that what is held here is
// how many processes are told apart, and by which counter they are judged.
func TestRealLogs(t *testing.T) {
	dir := filepath.Join(sharedData, "data/perfmon")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no real logs beside the repository")
	}
	for _, tt := range []struct {
		files     []string
		processes int
		withPID   int
		counter   string
		verdicts  []trend.Verdict // nil: all inconclusive
	}{
		{[]string{"SYNTH_mizosk_60h_3procs.csv"}, 3, 0, "Private Bytes", []trend.Verdict{trend.Leak, trend.Leak, trend.Stable}},
		{[]string{"SYNTH_mizosk_small.csv"}, 2, 0, "Private Bytes", nil},
		{[]string{"amckee_gmt_small.csv"}, 0, 0, "", nil},
		{[]string{"iversonlu_china_2637cols.csv"}, 0, 0, "", nil},
		{[]string{"jg185342_eastern_private_virtual_1.csv"}, 3, 0, "Private Bytes", nil},
		{[]string{"jg185342_eastern_private_virtual_3.csv", "jg185342_eastern_private_virtual_1.csv", "jg185342_eastern_private_virtual_2.csv"}, 3, 0, "Private Bytes", nil},
		{[]string{"narmadha_india_blank_first_row.csv"}, 0, 0, "", nil},
		{[]string{"rajitharul_srilanka_48h_15s.csv"}, 0, 0, "", nil},
		{[]string{"sirisaac_tokyo_5963cols.csv"}, 207, 207, "Private Bytes", nil},
		{[]string{"waflia_russian_mangled.csv"}, 274, 0, "Рабочий набор", nil},
		{[]string{"waflia_russian_mangled_stripped.csv"}, 274, 0, "Рабочий набор", nil},
	} {
		t.Run(strings.Join(tt.files, "+"), func(t *testing.T) {
			var paths []string
			for _, f := range tt.files {
				paths = append(paths, filepath.Join(dir, f))
			}
			report, err := Files(context.Background(), paths, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := json.Marshal(report); err != nil {
				t.Errorf("the report is no JSON: %v", err)
			}
			withPID := 0
			for i, f := range report.Findings {
				if f.PID > 0 {
					withPID++
				}
				if f.Counter != tt.counter {
					t.Fatalf("%s is judged by %q", f.Process, f.Counter)
				}
				want := trend.Inconclusive
				if tt.verdicts != nil {
					want = tt.verdicts[i]
				}
				if f.Verdict != want {
					t.Errorf("%s is %s, want %s", f.Process, f.Verdict, want)
				}
			}
			if len(report.Findings) != tt.processes || withPID != tt.withPID {
				t.Errorf("%d processes, %d with id; want %d and %d", len(report.Findings), withPID, tt.processes, tt.withPID)
			}
		})
	}
}

// TestTraces judges every trace whose truth is known. The verdicts are trend's business; here every process must be found, with
// its restarts, heap and limit.
func TestTraces(t *testing.T) {
	for _, folder := range []string{"synthetic", "allocator"} {
		dir := filepath.Join(sharedData, "traces", folder)
		text, err := os.ReadFile(filepath.Join(dir, "truth.json"))
		if err != nil {
			t.Skip("no traces beside the repository")
		}
		var truths map[string]struct {
			Restarts []int
			Process  string
		}
		if err := json.Unmarshal(text, &truths); err != nil {
			t.Fatal(err)
		}
		for name, truth := range truths {
			var in trend.Input
			_, err := Files(context.Background(), []string{filepath.Join(dir, name)}, Options{Limit: 1 << 40, Judge: func(i trend.Input, o trend.Options) (trend.Finding, trend.Curves) {
				in = i
				return told(i, o)
			}})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if !strings.HasSuffix(truth.Process, "("+in.Process+")") || in.Memory.Name != "Private Bytes" || in.LimitOf != "Virtual Bytes" || len(in.Restarts) != len(truth.Restarts) {
				t.Errorf("%s: process %s by %s, limit of %s, %d restarts; want %s with %d restarts", name, in.Process, in.Memory.Name, in.LimitOf, len(in.Restarts), truth.Process, len(truth.Restarts))
			}
			if (in.InUse != nil) != (folder == "allocator") || len(in.Loads) < 2 || !slices.ContainsFunc(in.Loads, func(s trend.Series) bool { return strings.HasSuffix(s.Name, "Checks/sec") }) {
				t.Errorf("%s: heap in use %v, %d loads", name, in.InUse != nil, len(in.Loads))
			}
		}
	}
}

func TestRussianCodePage(t *testing.T) {
	text := "\"(PDH-CSV 4.0) (RTZ 2 (\",\"\\\\H\\Процесс(svchost)\\Рабочий набор\",\"\\\\H\\Процесс(svchost)\\Идентификатор процесса\"\r\n\"01/02/2020 00:00:00.000\",\"5\",\"7\"\r\n"
	encoded, err := charmap.Windows1251.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "log.csv")
	if err := os.WriteFile(path, []byte(encoded), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := Files(context.Background(), []string{path}, Options{Judge: told})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Findings) != 1 || report.Findings[0].PID != 7 || report.Findings[0].Counter != "Рабочий набор" {
		t.Errorf("findings %+v", report.Findings)
	}
}

package perflog

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sharedLogs is where real logs lie beside the repository; they are not part of it.
const sharedLogs = "../../../../shared/data/perfmon"

// TestRealLogs reads every real log to its end. The numbers were counted with another CSV reader.
func TestRealLogs(t *testing.T) {
	if _, err := os.Stat(sharedLogs); err != nil {
		t.Skip("no real logs beside the repository")
	}
	for _, tt := range []struct {
		file          string
		columns, rows int
		encoding      string
		zone          string
	}{
		{"SYNTH_mizosk_60h_3procs.csv", 3, 3600, "UTF-8", "UTC"},
		{"SYNTH_mizosk_small.csv", 2, 30, "UTF-8", "UTC"},
		{"amckee_gmt_small.csv", 1, 12, "UTF-8", "+00:00"},
		{"iversonlu_china_2637cols.csv", 2632, 61, "UTF-8", "+08:00"},
		{"jg185342_eastern_private_virtual_1.csv", 8, 208, "UTF-8", "-04:00"},
		{"jg185342_eastern_private_virtual_2.csv", 8, 30, "UTF-8", "-04:00"},
		{"jg185342_eastern_private_virtual_3.csv", 8, 26, "UTF-8", "-04:00"},
		{"narmadha_india_blank_first_row.csv", 12, 21, "UTF-8", "+05:30"},
		{"rajitharul_srilanka_48h_15s.csv", 4, 11520, "UTF-8", "+05:30"},
		{"sirisaac_tokyo_5963cols.csv", 5963, 16, "UTF-8", "+09:00"},
		{"waflia_russian_mangled.csv", 1104, 26, "windows-1251", "UTC"},
		{"waflia_russian_mangled_stripped.csv", 1104, 26, "windows-1251", "UTC"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			l, rows, values := readFile(t, filepath.Join(sharedLogs, tt.file))
			if len(l.Columns) != tt.columns || rows != tt.rows || l.Header.Encoding != tt.encoding {
				t.Errorf("%d columns, %d rows, %s; want %d, %d, %s", len(l.Columns), rows, l.Header.Encoding, tt.columns, tt.rows, tt.encoding)
			}
			c := l.Counts()
			if c.Dropped != 0 || c.Bad != 0 || c.Backward != 0 {
				t.Errorf("damage in a sound log: %+v", c)
			}
			if want := tt.columns*tt.rows - c.Blank; values != want {
				t.Errorf("%d values, want %d", values, want)
			}
			at := time.Date(2020, 1, 1, 0, 0, 0, 0, l.Header.Location())
			if got := at.Format("-07:00"); tt.zone != "UTC" && got != tt.zone || tt.zone == "UTC" && l.Header.Bias != nil {
				t.Errorf("zone %s, want %s", got, tt.zone)
			}
		})
	}
}

func readFile(t *testing.T, path string) (l *Log, rows, values int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if l, err = Open(f, path); err != nil {
		t.Fatal(err)
	}
	for {
		_, row, err := l.Next()
		if errors.Is(err, io.EOF) {
			return l, rows, values
		}
		if err != nil {
			t.Fatal(err)
		}
		rows++
		for _, v := range row {
			if !math.IsNaN(v) {
				values++
			}
		}
	}
}

func TestRealTableThatIsNoLogIsRefused(t *testing.T) {
	f, err := os.Open(filepath.Join(sharedLogs, "nagio_longformat_not_pdh.csv"))
	if err != nil {
		t.Skip("no real logs beside the repository")
	}
	defer func() { _ = f.Close() }()
	if _, err := Open(f, "x"); err == nil {
		t.Error("was not refused")
	}
}

package trend

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// column reads one column of a plain CSV; at gives the time of a row, and a nil row ends the file.
func column(t testing.TB, r io.Reader, value string, at func(head, row []string, i int) (time.Time, bool)) Series {
	t.Helper()
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1
	rows, err := c.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	s := Series{Name: value}
	col := -1
	for j, h := range rows[0] {
		if h == value {
			col = j
		}
	}
	if col < 0 {
		t.Fatalf("no column %q in %v", value, rows[0])
	}
	for i, row := range rows[1:] {
		if len(row) <= col {
			continue
		}
		when, ok := at(rows[0], row, i)
		v, err := strconv.ParseFloat(row[col], 64)
		if !ok || err != nil {
			continue
		}
		s.Times, s.Values = append(s.Times, when), append(s.Values, v)
	}
	return s
}

func stamp(layout string) func(head, row []string, i int) (time.Time, bool) {
	return func(_, row []string, _ int) (time.Time, bool) {
		if layout == "" {
			n, err := strconv.ParseInt(row[0], 10, 64)
			return time.Unix(n, 0), err == nil
		}
		at, err := time.Parse(layout, row[0][:min(len(row[0]), len(layout))])
		return at, err == nil
	}
}

func ticks(step time.Duration) func(head, row []string, i int) (time.Time, bool) {
	return func(_, _ []string, i int) (time.Time, bool) {
		return time.Unix(0, 0).Add(time.Duration(i) * step), true
	}
}

func open(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join(shared, "data", name))
	if err != nil {
		t.Skip("the real series are not here: ", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// scaled turns percent or whatever into something of the order of bytes, which the judge's resolution wants.
func scaled(s Series, by float64) Series {
	for i := range s.Values {
		s.Values[i] *= by
	}
	return s
}

// TestRealSeries judges series of real machines. Few have labels: those are asserted, the rest is shown with -v.
func TestRealSeries(t *testing.T) {
	space := "2006-01-02 15:04:05"
	rows := []struct {
		file, col string
		by        float64
		at        func(head, row []string, i int) (time.Time, bool)
		hour      time.Duration
		want, not Verdict
	}{
		{file: "series/tallharish_appln2.csv", col: "usage", by: 1024, at: stamp("")},
		{file: "series/chas42_monitoring_gpt-neo-125m_10s.csv", col: "usedMemory", by: 1, at: stamp(space)},
		{file: "series/chas42_monitoring_gpt-neo-125m_1s.csv", col: "usedMemory", by: 1, at: stamp(space)},
		{file: "series/chas42_monitoring_opt-125m_10s.csv", col: "usedMemory", by: 1, at: stamp(space)},
		{file: "series/chas42_monitoring_opt-125m_1s.csv", col: "usedMemory", by: 1, at: stamp(space)},
		{file: "series/chas42_monitoring_pythia-160m_10s.csv", col: "usedMemory", by: 1, at: stamp(space)},
		{file: "series/chas42_monitoring_pythia-160m_1s.csv", col: "usedMemory", by: 1, at: stamp(space)},
		{file: "series/niuchaoyu_kubeedge_aging_constant.csv", col: "memory_usage", by: 1e7, at: stamp(space)},
		{file: "series/niuchaoyu_kubeedge_aging_nonconstant.csv", col: "memory_usage", by: 1e7, at: stamp(space)},
		{file: "series/acccc_memory_usage_3s.csv", col: "Memory Usage", by: 1e6, at: stamp(space)},
		{file: "series/srinilaya_host_memory_5s.csv", col: "used_memory_mb", by: 1 << 20, at: stamp(space)},
		{file: "series/goriunov_node_rss_heap.csv", col: "rss", by: 1, at: ticks(time.Second), hour: time.Second * 5},
		{file: "series/rcd_sockshop_carts-mem_1_anomalous.csv", col: "carts_mem", by: 1, at: stamp(""), not: Leak},
		{file: "series/rcd_sockshop_carts-mem_2_anomalous.csv", col: "carts_mem", by: 1, at: stamp(""), not: Leak},
		{file: "series/rcd_sockshop_user-mem_1_anomalous.csv", col: "user_mem", by: 1, at: stamp(""), not: Leak},
		{file: "series/rcd_sockshop_orders-mem_1_anomalous.csv", col: "orders_mem", by: 1, at: stamp(""), not: Leak},
		{file: "series/rcd_sockshop_orders-mem_1_normal.csv", col: "orders_mem", by: 1, at: stamp(""), not: Leak},
		{file: "series/nezha_0822_adservice.csv", col: "MemoryUsage(Mi)", by: 1 << 20, at: stamp(space), not: Leak},
		{file: "series/nezha_0822_cartservice.csv", col: "MemoryUsage(Mi)", by: 1 << 20, at: stamp(space), not: Leak},
		{file: "series/nezha_0822_checkoutservice.csv", col: "MemoryUsage(Mi)", by: 1 << 20, at: stamp(space), not: Leak},
		{file: "series/nezha_0822_currencyservice.csv", col: "MemoryUsage(Mi)", by: 1 << 20, at: stamp(space), not: Leak},
		{file: "series/nezha_0822_emailservice.csv", col: "MemoryUsage(Mi)", by: 1 << 20, at: stamp(space), not: Leak},
		{file: "series/nezha_0822_recommendationservice.csv", col: "MemoryUsage(Mi)", by: 1 << 20, at: stamp(space), not: Leak},
	}
	for _, row := range rows {
		t.Run(filepath.Base(row.file), func(t *testing.T) {
			s := scaled(column(t, open(t, row.file), row.col, row.at), row.by)
			f := Judge(Input{Process: "real", Memory: s}, Options{Hour: row.hour})
			t.Logf("%d samples %s conf %.2f %s", len(s.Values), f.Verdict, f.Confidence, brief(f))
			if row.want != "" && f.Verdict != row.want || row.not != "" && f.Verdict == row.not {
				t.Errorf("got %s, want %s, not %s", f.Verdict, row.want, row.not)
			}
		})
	}
}

// TestGoPrograms judges four Go programs by their resident set and their live heap; a tick stands for a quarter of an hour.
func TestGoPrograms(t *testing.T) {
	for name, leaks := range map[string]bool{"go_none": false, "go_cache": false, "go_leak": true, "go_goroutine": true} {
		t.Run(name, func(t *testing.T) {
			file := "go-leaks/" + name + ".csv"
			read := func(col string, by float64) Series {
				return scaled(column(t, open(t, file), col, ticks(15*time.Minute)), by)
			}
			in := Input{Process: name, Memory: read("rss_pages", 4096)}
			use := read("/gc/heap/live:bytes", 1)
			loads := []Series{read("auth_checks", 1), read("rule_x_requests", 1)}
			for _, withUse := range []bool{false, true} {
				in.Loads = loads
				if withUse {
					stacks := read("/memory/classes/heap/stacks:bytes", 1)
					sum := use
					for i := range sum.Values {
						sum.Values[i] += stacks.Values[i]
					}
					in.InUse = &sum
				}
				f := Judge(in, Options{})
				t.Logf("in use %v: %s %s", withUse, f.Verdict, brief(f))
				if withUse && (f.Verdict == Leak) != leaks {
					t.Errorf("got %s, leaks: %v", f.Verdict, leaks)
				}
			}
		})
	}
}

// TestMachines counts what is called a leak of 80 machines whose truth nobody knows.
func TestMachines(t *testing.T) {
	z, err := gzip.NewReader(open(t, "series/ansjin_alibaba_80machines_5min.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*Series{}
	for _, r := range rows[1:] {
		at, err1 := time.Parse("2006-01-02 15:04:05", r[1])
		v, err2 := strconv.ParseFloat(r[2], 64)
		if err1 != nil || err2 != nil {
			continue
		}
		if all[r[0]] == nil {
			all[r[0]] = &Series{Name: "mem"}
		}
		s := all[r[0]]
		s.Times, s.Values = append(s.Times, at), append(s.Values, v*1e9)
	}
	count := map[Verdict]int{}
	var leaks []string
	for name, s := range all {
		f := Judge(Input{Process: name, Memory: *s}, Options{})
		count[f.Verdict]++
		if f.Verdict == Leak {
			leaks = append(leaks, name+" "+brief(f))
		}
	}
	sort.Strings(leaks)
	t.Logf("%d machines: %v", len(all), count)
	t.Log("\n" + strings.Join(leaks, "\n"))
	if float64(count[Leak]) > math.Ceil(0.25*float64(len(all))) {
		t.Errorf("%d of %d machines are called leaking", count[Leak], len(all))
	}
}

package analyze

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var nan = math.NaN()

// seen makes the sightings of a row, one a minute, from memory in MiB; NaN is a slot without a process.
func seen(row int, memory ...float64) []sighting {
	var out []sighting
	for slot, m := range memory {
		if !math.IsNaN(m) {
			out = append(out, sighting{slot: slot, row: row, at: int64(seconds(60 * row)), memory: m * (1 << 20), virtual: nan, elapsed: nan})
		}
	}
	return out
}

func slotName(slot int) string { return string(rune('a' + slot)) }

// follow runs rows through a tracker and returns each life as its runs: slot and rows.
func follow(rows [][]sighting) [][][3]int {
	t := newTracker("x")
	for i, row := range rows {
		if len(row) > 0 {
			t.row(i+1, row, slotName)
		}
	}
	var out [][][3]int
	for _, l := range t.lives {
		var runs [][3]int
		for _, r := range l.runs {
			runs = append(runs, [3]int{r.slot, r.from, r.to})
		}
		out = append(out, runs)
	}
	return out
}

func TestFollowByMemory(t *testing.T) {
	for _, tt := range []struct {
		name string
		rows [][]float64
		want [][][3]int // lives: slot, first row, last row
	}{
		{"nothing changes", [][]float64{{10, 20}, {11, 21}, {10, 22}}, [][][3]int{{{0, 0, 2}}, {{1, 0, 2}}}},
		{"the first ends", [][]float64{{10, 20, 40}, {20, 40, nan}, {20, 40, nan}}, [][][3]int{{{0, 0, 0}}, {{1, 0, 0}, {0, 1, 2}}, {{2, 0, 0}, {1, 1, 2}}}},
		{"one ends and one begins", [][]float64{{10, 200, 40}, {200, 40, 3}}, [][][3]int{{{0, 0, 0}}, {{1, 0, 0}, {0, 1, 1}}, {{2, 0, 0}, {1, 1, 1}}, {{2, 1, 1}}}},
		{"one begins at the end of the list", [][]float64{{10, nan}, {10, 10}, {10, 10}}, [][][3]int{{{0, 0, 2}}, {{1, 1, 2}}}},
		{"a blank row", [][]float64{{10, 20}, {nan, nan}, {10, 20}}, [][][3]int{{{0, 0, 2}}, {{1, 0, 2}}}},
		{"one blank cell", [][]float64{{10, 20}, {10, nan}, {10, 20}}, [][][3]int{{{0, 0, 2}}, {{1, 0, 2}}}},
		{"gone for long", [][]float64{{10, 20}, {10, nan}, {10, nan}, {10, nan}, {10, nan}, {10, nan}, {10, 20}}, [][][3]int{{{0, 0, 6}}, {{1, 0, 0}}, {{1, 6, 6}}}},
		{"a growth by half again", [][]float64{{10, 20}, {15, 20}}, [][][3]int{{{0, 0, 1}}, {{1, 0, 1}}}},
		{"a jump by twenty times is another process", [][]float64{{10, 20}, {200, 20}}, [][][3]int{{{0, 0, 0}}, {{1, 0, 1}}, {{0, 1, 1}}}},
		{"small ones may jump", [][]float64{{0.1, 20}, {0.9, 20}}, [][][3]int{{{0, 0, 1}}, {{1, 0, 1}}}},
		{"one alone may jump", [][]float64{{10}, {900}}, [][][3]int{{{0, 0, 1}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rows [][]sighting
			for i, r := range tt.rows {
				rows = append(rows, seen(i, r...))
			}
			if diff := cmp.Diff(tt.want, follow(rows)); diff != "" {
				t.Errorf("lives (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFollowByElapsedTime(t *testing.T) {
	// Memory says that nothing happened; the ages say that the first ended, the second moved up and another came.
	rows := [][]sighting{seen(0, 10, 10), seen(1, 10, 10)}
	for i, age := range []float64{500, 90} {
		rows[0][i].elapsed = age
	}
	for i, age := range []float64{150, 20} {
		rows[1][i].elapsed = age
	}
	want := [][][3]int{{{0, 0, 0}}, {{1, 0, 0}, {0, 1, 1}}, {{1, 1, 1}}}
	if diff := cmp.Diff(want, follow(rows)); diff != "" {
		t.Errorf("lives (-want +got):\n%s", diff)
	}
}

func TestProcessThatARowShowsTwiceIsTakenOnce(t *testing.T) {
	var rows [][]sighting
	for i := range 3 {
		row := seen(i, 10, 10)
		row[0].pid, row[1].pid = 7, 7 // Process and Process V2 side by side
		rows = append(rows, row)
	}
	if diff := cmp.Diff([][][3]int{{{0, 0, 2}}}, follow(rows)); diff != "" {
		t.Errorf("lives (-want +got):\n%s", diff)
	}
}

func TestLivesThatOverlap(t *testing.T) {
	minute := int64(seconds(60))
	for _, tt := range []struct {
		name  string
		lives [][2]int64 // first and last minute
		want  int        // processes
	}{
		{"one after the other", [][2]int64{{0, 10}, {11, 20}, {25, 26}}, 1},
		{"a short overlap", [][2]int64{{0, 100}, {98, 200}}, 1},
		{"longer than a replacement", [][2]int64{{0, 1000}, {994, 2000}}, 2},
		{"a large part of the shorter one", [][2]int64{{0, 100}, {98, 110}}, 2},
		{"within", [][2]int64{{0, 100}, {40, 42}}, 2},
		{"one of three", [][2]int64{{0, 10}, {11, 30}, {20, 40}}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTracker("x")
			for _, l := range tt.lives {
				tr.lives = append(tr.lives, &life{first: minute * (l[0] + 1), last: minute * (l[1] + 1)})
			}
			if got := len(tr.processes()); got != tt.want {
				t.Errorf("%d processes, want %d", got, tt.want)
			}
		})
	}
	if got := newTracker("x").processes(); got != nil {
		t.Errorf("processes without a life: %v", got)
	}
}

// FuzzTracker holds that every sighting belongs to exactly one life, and that no life is in two places at once.
func FuzzTracker(f *testing.F) {
	f.Add(3, []byte{10, 20, 40, 20, 40, 0, 20, 40, 0})
	f.Fuzz(func(t *testing.T, width int, cells []byte) {
		if width < 1 || width > 8 {
			return
		}
		tr := newTracker("x")
		sightings := 0
		row := 0
		for ; len(cells) >= width; row++ {
			memory := make([]float64, width)
			for i := range memory {
				memory[i] = nan
				if cells[i] > 0 {
					memory[i] = float64(cells[i])
				}
			}
			cells = cells[width:]
			all := seen(row, memory...)
			for i := range all {
				if b := int(all[i].memory) >> 20; b%3 == 0 {
					all[i].pid = b
				} else if b%5 == 0 {
					all[i].elapsed = float64(b)
				}
			}
			named := map[int]bool{}
			for _, s := range all {
				if s.pid == 0 || !named[s.pid] {
					sightings++
				}
				named[s.pid] = true
			}
			if len(all) > 0 {
				tr.row(row+1, all, slotName)
			}
		}
		taken, total := map[[2]int]bool{}, 0
		for _, l := range tr.lives {
			when := map[int]bool{}
			for _, r := range l.runs {
				if r.from > r.to || when[r.from] || when[r.to] {
					t.Fatalf("a life is in two places at once: %+v", l.runs)
				}
				when[r.from], when[r.to] = true, true
				for _, end := range []int{r.from, r.to} {
					if !taken[[2]int{r.slot, end}] {
						taken[[2]int{r.slot, end}] = true
						total++
					}
				}
			}
		}
		if total > sightings || len(tr.lives) > sightings || sightings > 0 && len(tr.lives) == 0 {
			t.Fatalf("%d lives with %d ends for %d sightings", len(tr.lives), total, sightings)
		}
	})
}

func TestProcessThatIsStartedAllTheTimeIsJudgedByItsLastLives(t *testing.T) {
	h := &host{name: "h", byName: map[string]*tracker{}}
	tr := newTracker("cmd")
	for i := range 200 {
		tr.lives = append(tr.lives, &life{pid: i + 1, first: int64(10*i + 1), last: int64(10*i + 5)})
	}
	h.trackers = []*tracker{tr}
	subjects, notes := h.subjects(Options{})
	if len(subjects) != 1 || len(subjects[0].lives) != livesJudged || subjects[0].pid != 200 {
		t.Fatalf("%d subjects", len(subjects))
	}
	if diff := cmp.Diff([]string{"cmd was started 200 times; it is judged by the last 50"}, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

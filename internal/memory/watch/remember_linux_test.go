package watch

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/memory/trend"
)

func TestRemembers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "verdicts.json")
	o := Options{File: file, Selectors: []Selector{{Name: "shop", Process: "shop"}, {Name: "bank", Process: "bank"}},
		Workers: func(context.Context) ([]Worker, error) { return []Worker{{Role: "edge", PID: 10}}, nil }}
	b := newBench(t, o)
	b.run(5, 100, "shop", 100)
	b.run(6, 100, "bank", 100)
	b.run(10, 100, "gatehouse", 100)
	b.verdict = trend.Leak
	b.round()
	b.lookAll(t.Context())
	before := b.Processes()

	// The next watch reads the same /proc and store, in which meanwhile the shop was started again.
	b.end(5)
	b.run(7, 300, "shop", 50)
	o = b.options
	o.Selectors = []Selector{{Name: "shop", Process: "shop", LimitBytes: 8}}
	o.Proc.Proc = b.proc
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.scraper.Close)
	if got := brief(w.Processes()); strings.Join(got, ",") != "gatehouse edge 10,shop 5" {
		t.Errorf("recalled %v", got)
	}
	w.sample(t.Context())
	after := w.Processes()
	if got := brief(after); strings.Join(got, ",") != "gatehouse edge 10,shop 7" {
		t.Errorf("after a round %v", got)
	}
	if after[0].ID != before[1].ID || after[0].Finding == nil || !after[0].Looked.Equal(before[1].Looked) {
		t.Errorf("worker before %+v, after %+v", before[1], after[0])
	}
	if n := len(w.tracks[0].generations) + len(w.tracks[1].generations); n != 3 || w.tracks[0].limit+w.tracks[1].limit != 8 {
		t.Errorf("%d generations; limits %v, %v", n, w.tracks[0].limit, w.tracks[1].limit)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRememberedThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{"damaged": "{", "of the future": `{"version":99}`} {
		file := filepath.Join(t.TempDir(), "verdicts.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b := newBench(t, Options{File: file})
		if len(b.Processes()) != 0 || !strings.Contains(b.log.String(), "set aside") {
			t.Errorf("%s: %s", name, b.log.String())
		}
		if _, err := os.Stat(file + ".damaged"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCannotRemember(t *testing.T) {
	b := newBench(t, Options{File: filepath.Join(t.TempDir(), "none", "verdicts.json")})
	b.remember()
	if !strings.Contains(b.log.String(), "verdicts are not remembered") {
		t.Errorf("log: %s", b.log.String())
	}
}

func FuzzRemembered(f *testing.F) {
	good, err := json.Marshal(remembered{Version: rememberedVersion, Processes: []rememberedTrack{{
		Name: "shop", Selector: "shop", Generations: []generation{{PID: 5, Key: "k", Started: begin, First: begin, Last: begin}},
		Finding: &trend.Finding{Verdict: trend.Leak}, Looked: begin, Streak: 2, Confirmed: true,
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"processes":[{"worker":"edge","generations":[{}]},{}]}`))
	chosen, err := compile([]Selector{{Name: "shop", Process: "shop"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		m, err := parseRemembered(text)
		if err != nil {
			return
		}
		w := &Watch{selection: chosen}
		for _, r := range m.Processes {
			if t := w.restore(r); t != nil {
				t.forgetBefore(begin.Add(time.Hour))
				_ = t.snapshot()
				_ = t.subject()
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "series"), time.Now)
	for name, o := range map[string]Options{
		"no store":       {},
		"no name":        {Series: store, Selectors: []Selector{{PID: 1}}},
		"a name twice":   {Series: store, Selectors: []Selector{{Name: "a", PID: 1}, {Name: "a", PID: 2}}},
		"nothing chosen": {Series: store, Selectors: []Selector{{Name: "a"}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

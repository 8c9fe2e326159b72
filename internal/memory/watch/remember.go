package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/trend"
)

// rememberedVersion is of the file's form. A file of another version is not read.
const rememberedVersion = 1

// maxRemembered bounds the file that is read.
const maxRemembered = 64 << 20

// remembered is the file in which the watch keeps what the samples do not tell.
type remembered struct {
	Version   int               `json:"version"`
	Processes []rememberedTrack `json:"processes"`
}

type rememberedTrack struct {
	Name        string         `json:"name"`
	Selector    string         `json:"selector,omitempty"`
	Worker      string         `json:"worker,omitempty"`
	Generations []generation   `json:"generations"`
	Gone        bool           `json:"gone,omitempty"`
	GoneAt      time.Time      `json:"gone_at,omitzero"`
	Finding     *trend.Finding `json:"finding,omitempty"`
	Looked      time.Time      `json:"looked,omitzero"`
	Streak      int            `json:"streak,omitempty"`
	Confirmed   bool           `json:"confirmed,omitempty"`
}

// remember writes the file, whole or not at all. It is called by the looker, and once when all work has ended.
func (w *Watch) remember() {
	if w.options.File == "" {
		return
	}
	text, err := json.Marshal(w.memory())
	if err == nil {
		err = writeWhole(w.options.File, text)
	}
	if err != nil {
		w.options.Log.Warn("verdicts are not remembered", "file", w.options.File, "err", err)
	}
}

func (w *Watch) memory() remembered {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := remembered{Version: rememberedVersion, Processes: make([]rememberedTrack, 0, len(w.tracks))}
	for _, t := range w.tracks {
		m.Processes = append(m.Processes, rememberedTrack{
			Name: t.name, Selector: t.selector, Worker: t.worker, Generations: slices.Clone(t.generations), Gone: t.gone,
			GoneAt: t.goneAt, Finding: t.finding, Looked: t.looked, Streak: t.streak, Confirmed: t.confirmed,
		})
	}
	return m
}

func writeWhole(file string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// recall takes up what an earlier watch remembered, as far as it is still selected. Processes in it are looked up in the
// first round, which finds out whether they still run.
func (w *Watch) recall() {
	if w.options.File == "" {
		return
	}
	m, err := readRemembered(w.options.File)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		aside := w.options.File + ".damaged"
		w.options.Log.Error("remembered verdicts cannot be read; set aside", "to", aside, "err", errors.Join(err, os.Rename(w.options.File, aside)))
		return
	}
	for _, r := range m.Processes {
		if t := w.restore(r); t != nil && len(w.tracks) < w.options.MaxProcesses {
			w.tracks = append(w.tracks, t)
		}
	}
}

func readRemembered(file string) (remembered, error) {
	var m remembered
	info, err := os.Stat(file)
	if err != nil {
		return m, err
	}
	if info.Size() > maxRemembered {
		return m, fmt.Errorf("it is larger than %d bytes", maxRemembered)
	}
	text, err := os.ReadFile(file) // #nosec G304 -- the configured file
	if err != nil {
		return m, err
	}
	return parseRemembered(text)
}

func parseRemembered(text []byte) (remembered, error) {
	var m remembered
	if err := json.Unmarshal(text, &m); err != nil {
		return m, err
	}
	if m.Version != rememberedVersion {
		return m, fmt.Errorf("its version is %d, not %d", m.Version, rememberedVersion)
	}
	return m, nil
}

// restore makes a track of what was remembered; nil when it is not selected any more or makes no sense.
func (w *Watch) restore(r rememberedTrack) *track {
	if len(r.Generations) == 0 || len(r.Generations) > maxGenerations || (r.Selector == "") == (r.Worker == "") {
		return nil
	}
	t := &track{
		name: r.Name, selector: r.Selector, worker: r.Worker, generations: r.Generations, gone: r.Gone, goneAt: r.GoneAt,
		finding: r.Finding, looked: r.Looked, streak: r.Streak, confirmed: r.Confirmed,
	}
	g := t.current()
	t.process = procmem.Process{PID: g.PID, Key: g.Key, Started: g.Started}
	if t.worker != "" {
		return t
	}
	i := slices.IndexFunc(w.selection.selectors, func(s Selector) bool { return s.Name == t.selector })
	if i < 0 {
		return nil
	}
	t.limit = w.selection.selectors[i].LimitBytes
	return t
}

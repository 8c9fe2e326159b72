package schedule

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"gatehouse/internal/state"
)

// FileStore is a Store in one file of JSON lines: a head, then one Saved a line. Appends go to its end; a rewrite makes a
// new file beside it and puts it in its place, so that at any moment there is a whole one. The file is for the user that
// runs gatehouse alone (mode 0600).
type FileStore struct {
	// Path is the file. Its folder must be there.
	Path string
	// MaxBytes bounds the file; 0 is 64 MiB. A rewrite leaves out the oldest results so that half of it stays free.
	MaxBytes int64

	file *os.File // open for appending; nil until the first rewrite
	size int64
	base int64 // size after the last rewrite
}

const (
	fileHead = `{"gatehouse":"verifiers","version":1}`
	// leastGrowth is how much a file grows at least between rewrites.
	leastGrowth = 1 << 20
	// maxLine bounds what is read as one line.
	maxLine = 64 << 20
)

func (f *FileStore) limit() int64 {
	if f.MaxBytes > 0 {
		return f.MaxBytes
	}
	return 64 << 20
}

// Load reads the file. No file is an empty one. A file that is not of this kind, or has lines that cannot be read, is
// renamed to end in ".damaged" and described by the error; what could be read is returned. A last line without its end
// was being written when the process died, and is no damage.
func (f *FileStore) Load() ([]Saved, error) {
	file, err := os.Open(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load verifiers: %w", err)
	}
	kept, bad, err := readSaved(file)
	_ = file.Close()
	if err == nil && bad == 0 {
		return kept, nil
	}
	aside := f.Path + ".damaged"
	if renameErr := os.Rename(f.Path, aside); renameErr != nil {
		err = errors.Join(err, renameErr)
	}
	if err != nil {
		return kept, fmt.Errorf("load verifiers from %s, now set aside as %s: %w", f.Path, aside, err)
	}
	return kept, fmt.Errorf("load verifiers from %s, now set aside as %s: %d damaged lines", f.Path, aside, bad)
}

// readSaved reads a file of JSON lines and merges it to one Saved a verifier, in the order of their first lines.
func readSaved(r io.Reader) (kept []Saved, bad int, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.ReadString('\n')
	if err != nil || head != fileHead+"\n" {
		return nil, 0, errors.New("it is not a file of verifiers")
	}
	index := map[string]int{}
	for {
		line, whole, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return kept, bad, nil
		}
		if err != nil {
			return kept, bad, err
		}
		var s Saved
		if !whole || json.Unmarshal(line, &s) != nil || s.Verifier == "" {
			bad++
			continue
		}
		if i, ok := index[s.key()]; ok {
			s.Results = merge(kept[i].Results, s.Results)
			kept[i] = s
			continue
		}
		index[s.key()] = len(kept)
		kept = append(kept, s)
	}
}

// readLine returns a line without its end; whole is false when it is longer than maxLine and was stepped over. A last line
// without an end is not a line.
func readLine(in *bufio.Reader) (line []byte, whole bool, err error) {
	whole = true
	for {
		piece, err := in.ReadSlice('\n')
		if whole = whole && len(line)+len(piece) <= maxLine; whole {
			line = append(line, piece...)
		}
		if err == nil {
			return bytes.TrimSuffix(line, []byte("\n")), whole, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, false, err
		}
	}
}

// maxMerged bounds the results that one verifier is read with; schedules keep fewer.
const maxMerged = 100_000

// merge appends the results that are newer than what is there.
func merge(before, more []state.Result) []state.Result {
	for _, r := range more {
		if len(before) == 0 || r.At.After(before[len(before)-1].At) {
			before = append(before, r)
		}
	}
	return before[max(0, len(before)-maxMerged):]
}

// Append writes changes to the end of the file. Until the first Rewrite it takes nothing and asks for one.
func (f *FileStore) Append(changes []Saved) (grown bool, err error) {
	if f.file == nil {
		return true, nil
	}
	var b bytes.Buffer
	for _, c := range changes {
		line, err := json.Marshal(c)
		if err != nil {
			return false, fmt.Errorf("append to %s: %w", f.Path, err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	n, err := f.file.Write(b.Bytes())
	f.size += int64(n)
	if err != nil {
		return false, fmt.Errorf("append verifiers: %w", err)
	}
	return f.size > f.limit() || f.size > 2*f.base+leastGrowth, nil
}

// Rewrite writes a new file and puts it in place of the old.
func (f *FileStore) Rewrite(n int, all iter.Seq[Saved]) error {
	if err := f.replace(n, all); err != nil {
		return fmt.Errorf("rewrite verifiers: %w", err)
	}
	return nil
}

func (f *FileStore) replace(n int, all iter.Seq[Saved]) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(f.Path), filepath.Base(f.Path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = temp.Close()
			_ = os.Remove(temp.Name())
		}
	}()
	out := bufio.NewWriterSize(temp, 64<<10)
	size := int64(len(fileHead) + 1)
	if _, err = out.WriteString(fileHead + "\n"); err != nil {
		return err
	}
	share := int(f.limit() / 2 / int64(max(n, 1)))
	for s := range all {
		line, err := fit(s, share)
		if err != nil {
			return err
		}
		size += int64(len(line) + 1)
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	if err = out.Flush(); err != nil {
		return err
	}
	if err = temp.Sync(); err != nil {
		return err
	}
	if err = temp.Close(); err != nil {
		return err
	}
	return f.swap(temp.Name(), size)
}

// swap puts the new file in place. The old one is closed first: Windows does not replace a file that is open.
func (f *FileStore) swap(name string, size int64) error {
	if f.file != nil {
		_ = f.file.Close() // everything in it is in the new file
		f.file = nil
	}
	if err := os.Rename(name, f.Path); err != nil {
		return err
	}
	file, err := os.OpenFile(f.Path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	f.file, f.size, f.base = file, size, size
	return nil
}

// fit encodes s, leaving out the older half of its results until it fits.
func fit(s Saved, share int) ([]byte, error) {
	for {
		line, err := json.Marshal(s)
		if err != nil || len(line) <= share || len(s.Results) <= 1 {
			return line, err
		}
		s.Results = s.Results[(len(s.Results)+1)/2:]
	}
}

// Close closes the file. A store that is closed may be used again.
func (f *FileStore) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

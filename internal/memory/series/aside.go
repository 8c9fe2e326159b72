package series

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/fileutil"
)

const lockPoll = 100 * time.Millisecond

// lock takes the folder for this process, waiting while another holds it. The lock's file stands beside the folder, so
// that it holds while the folder is set aside, and stays there; the system takes the lock from a process that dies. The
// engine's own lock is not used: it is let go before the engine has written its last.
func (s *Store) lock(ctx context.Context) (fileutil.Releaser, error) {
	deadline := time.NewTimer(s.options.LockWait)
	defer deadline.Stop()
	for {
		lock, _, err := fileutil.Flock(s.options.Dir + ".lock")
		if err == nil || notDamage(err) || errors.Is(err, fs.ErrNotExist) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return nil, fmt.Errorf("%w: %w", ErrLocked, err)
		case <-time.After(lockPoll):
		}
	}
}

// openOrReplace opens the engine on the folder that this process holds. Blocks that cannot be opened are set aside
// first; when the engine fails all the same for what is on disk, the whole folder is.
func (s *Store) openOrReplace() (*tsdb.DB, error) {
	if err := s.setBlocksAside(); err != nil {
		return nil, err
	}
	db, err := s.openEngine()
	if err == nil {
		err = s.checkFuture(db)
	}
	if err == nil || notDamage(err) {
		return db, err
	}
	if err := s.setAllAside(err); err != nil {
		return nil, err
	}
	return s.openEngine()
}

// openEngine opens the folder as it is. A panic of the engine over damaged files is an error.
func (s *Store) openEngine() (db *tsdb.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("storage engine panicked: %v", p)
		}
	}()
	return tsdb.Open(s.options.Dir, quiet(s.options.Log), nil, s.engineOptions(), nil)
}

// checkFuture refuses a folder whose samples lie in the future: nothing could be appended to it until then. It happens
// when the clock was wrong at an earlier start.
func (s *Store) checkFuture(db *tsdb.DB) error {
	newest := db.Head().MaxTime()
	for _, block := range db.Blocks() {
		newest = max(newest, block.Meta().MaxTime)
	}
	ahead := time.UnixMilli(newest).Sub(s.options.Now())
	if ahead <= clockSlack {
		return nil
	}
	err := fmt.Errorf("the newest sample lies %v in the future", ahead.Round(time.Second))
	return errors.Join(err, db.Close())
}

// setBlocksAside moves the blocks away that cannot be opened. One damaged block would keep the engine from opening any.
func (s *Store) setBlocksAside() error {
	entries, err := os.ReadDir(s.options.Dir)
	if err != nil {
		return fmt.Errorf("find damaged blocks: %w", err)
	}
	for _, entry := range entries {
		dir := filepath.Join(s.options.Dir, entry.Name())
		if _, err := os.Stat(filepath.Join(dir, "meta.json")); err != nil {
			continue // not a block
		}
		cause := checkBlock(dir)
		if cause == nil || notDamage(cause) {
			continue
		}
		// Blocks are set aside beside the folder, where the engine and its retention do not look.
		if err := s.setAside(dir, s.options.Dir+".damaged-"+entry.Name(), cause); err != nil {
			return err
		}
	}
	return nil
}

func checkBlock(dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("storage engine panicked: %v", p)
		}
	}()
	block, err := tsdb.OpenBlock(nil, dir, nil, nil)
	if err != nil {
		return err
	}
	return block.Close()
}

func (s *Store) setAllAside(cause error) error {
	stamp := s.options.Now().UTC().Format("20060102T150405")
	if err := s.setAside(s.options.Dir, s.options.Dir+".damaged-"+stamp, cause); err != nil {
		return err
	}
	if err := os.MkdirAll(s.options.Dir, 0o700); err != nil {
		return fmt.Errorf("begin anew: %w", err)
	}
	return nil
}

// setAside renames what cannot be read, to the first free name.
func (s *Store) setAside(from, to string, cause error) error {
	free := to
	for n := 2; ; n++ {
		if _, err := os.Lstat(free); errors.Is(err, os.ErrNotExist) {
			break
		}
		free = fmt.Sprintf("%s-%d", to, n)
	}
	if err := os.Rename(from, free); err != nil {
		return fmt.Errorf("set damaged series aside: %w", err)
	}
	s.aside = append(s.aside, free)
	s.options.Log.Error("history set aside, it cannot be read", "from", from, "to", free, "cause", cause)
	return nil
}

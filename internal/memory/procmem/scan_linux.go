package procmem

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// sighting is what Scan remembers of a process it has seen.
type sighting struct {
	inode uint64 // of /proc/PID: the kernel gives a new one with a new process
	first uint64 // the number of the scan that saw it first
	last  uint64
}

// A process is read again for as many scans as settle, since it may have been caught between fork and exec, and then
// once in sweep scans, since it may exec, rename itself or be moved to another control group at any time.
const (
	settle = 2
	sweep  = 128
)

// Scan lists /proc once and calls visit for every process that is new since the last Scan, and now and then for the
// others (see settle and sweep). Kernel threads and zombies, which hold no memory, are passed over. The Process belongs
// to visit. Processes beyond Options.MaxScan are not looked at; over tells how many.
func (r *Reader) Scan(visit func(Process)) (over int, err error) {
	r.scans++
	var due []int
	count := 0
	err = r.readDir(r.root, func(inode uint64, name []byte) bool {
		pid, ok := parseUint(name)
		if !ok || pid == 0 || pid > 1<<30 {
			return true
		}
		if count++; count > r.maxScan {
			return true
		}
		if r.sight(int(pid), inode) {
			due = append(due, int(pid))
		}
		return true
	})
	if err != nil {
		return 0, fmt.Errorf("scan processes: %w", err)
	}
	for pid, s := range r.seen {
		if s.last != r.scans {
			delete(r.seen, pid)
		}
	}
	for _, pid := range due {
		p, s, err := r.lookup(pid)
		if err == nil && s.vsize > 0 {
			visit(p)
		}
	}
	return max(0, count-r.maxScan), nil
}

// sight notes that a pid is there and reports whether it must be read.
func (r *Reader) sight(pid int, inode uint64) bool {
	s := r.seen[pid]
	if s == nil || s.inode != inode {
		r.seen[pid] = &sighting{inode: inode, first: r.scans, last: r.scans}
		return true
	}
	s.last = r.scans
	return r.scans-s.first <= settle || uint64(pid)%sweep == r.scans%sweep // #nosec G115 -- pids are positive
}

// Forget makes the next Scan visit every process, as is needed when what is looked for has changed.
func (r *Reader) Forget() { clear(r.seen) }

// readDir calls each for every entry but "." and "..", until it answers false. Names are good during the call only.
func (r *Reader) readDir(path string, each func(inode uint64, name []byte) bool) error {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // only read from
	buf := make([]byte, 16<<10)
	for {
		n, err := retry(func() (int, error) { return unix.ReadDirent(fd, buf) })
		if err != nil {
			return err
		}
		if n <= 0 {
			return nil
		}
		if !eachEntry(buf[:n], each) {
			return nil
		}
	}
}

// eachEntry walks struct linux_dirent64 (getdents64(2)): inode, offset, record length, type, name with a closing zero.
func eachEntry(buf []byte, each func(inode uint64, name []byte) bool) bool {
	const header = 19
	for len(buf) >= header {
		length := int(binary.NativeEndian.Uint16(buf[16:]))
		if length < header || length > len(buf) {
			return false
		}
		name := buf[header:length]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		if s := string(name); s != "." && s != ".." {
			if !each(binary.NativeEndian.Uint64(buf), name) {
				return false
			}
		}
		buf = buf[length:]
	}
	return true
}

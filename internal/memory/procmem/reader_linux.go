package procmem

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	defaultMaxScan = 32768
	maxCommand     = 4 << 10
	maxProcFile    = 64 << 10
)

// Reader finds and reads processes. It belongs to one goroutine: its buffer is used again by every call.
type Reader struct {
	root     string
	own      bool // root is a real proc file system, whose shortcuts may be taken
	fdBySize bool // a stat of PID/fd tells the number of descriptors (since Linux 6.2)
	bootID   string
	boot     time.Time
	pageSize uint64
	maxScan  int
	buf      []byte
	seen     map[int]*sighting
	scans    uint64
	groups   groups
}

// New makes a Reader. The error says why this system's /proc cannot be read.
func New(o Options) (*Reader, error) {
	r := &Reader{
		root:     o.Proc,
		pageSize: uint64(os.Getpagesize()),
		maxScan:  o.MaxScan,
		buf:      make([]byte, 8<<10),
		seen:     make(map[int]*sighting),
	}
	if r.root == "" {
		r.root = "/proc"
	}
	if r.maxScan <= 0 {
		r.maxScan = defaultMaxScan
	}
	if err := r.readBoot(); err != nil {
		return nil, err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(r.root, &fs); err == nil && fs.Type == unix.PROC_SUPER_MAGIC {
		r.own = true
		var st unix.Stat_t
		r.fdBySize = unix.Stat(r.root+"/self/fd", &st) == nil && st.Size > 0
	}
	r.groups = r.findGroups(o)
	return r, nil
}

// readBoot learns when the system started, from which the start times of processes count.
func (r *Reader) readBoot() error {
	text, err := os.ReadFile(filepath.Join(r.root, "stat"))
	if err != nil {
		return fmt.Errorf("read boot time: %w", err)
	}
	_, after, ok := bytes.Cut(text, []byte("\nbtime "))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	seconds, isNumber := parseUint(bytes.TrimSpace(line))
	if !ok || !isNumber || seconds > 1<<40 {
		return fmt.Errorf("read boot time: no btime in %s/stat", r.root)
	}
	r.boot = time.Unix(int64(seconds), 0) // #nosec G115 -- bounded above
	id, err := os.ReadFile(filepath.Join(r.root, "sys/kernel/random/boot_id"))
	if err != nil {
		id = line // a sandbox may hide it; the boot time tells boots apart nearly as well
	}
	r.bootID = string(bytes.TrimSpace(id))
	return nil
}

// key tells the process that started at these ticks of this boot from any other with its pid.
func (r *Reader) key(start uint64) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.bootID))
	_, _ = h.Write(strconv.AppendUint([]byte{' '}, start, 10))
	sum := h.Sum(nil)
	return hex.EncodeToString(sum[:6])
}

func (r *Reader) path(pid int, name string) string {
	return r.root + "/" + strconv.Itoa(pid) + name
}

// readProc reads a file of a process into the Reader's buffer; the bytes are good until the next read. A process that
// is no longer there is ErrGone.
func (r *Reader) readProc(pid int, name string) ([]byte, error) {
	text, err := r.readFile(r.path(pid, name), maxProcFile)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return nil, ErrGone
	}
	return text, err
}

// readFile reads at most limit bytes. The os package is passed by: it would make an object with a finalizer a file.
func (r *Reader) readFile(path string, limit int) ([]byte, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }() // only read from; a failed close loses nothing
	have := 0
	for {
		n, err := retry(func() (int, error) { return unix.Read(fd, r.buf[have:]) })
		if err != nil {
			return nil, err
		}
		have += n
		if n == 0 || have >= limit {
			return r.buf[:min(have, limit)], nil
		}
		if have == len(r.buf) {
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		}
	}
}

func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func (r *Reader) stat(pid int) (stat, error) {
	text, err := r.readProc(pid, "/stat")
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// Lookup gives the process that has the pid now. ErrGone means that there is none.
func (r *Reader) Lookup(pid int) (Process, error) {
	p, _, err := r.lookup(pid)
	if err != nil {
		return Process{}, fmt.Errorf("look up process %d: %w", pid, err)
	}
	return p, nil
}

func (r *Reader) lookup(pid int) (Process, stat, error) {
	s, err := r.stat(pid)
	if err != nil {
		return Process{}, s, err
	}
	p := Process{
		PID:     pid,
		Key:     r.key(s.start),
		Started: r.boot.Add(time.Duration(s.start%(1<<40)) * (time.Second / userHZ)).UTC(), // #nosec G115 -- bounded
		Comm:    s.comm,
	}
	// What may not be read stays empty: the link needs privilege, and a kernel thread has neither link nor command line.
	if exe, err := os.Readlink(r.path(pid, "/exe")); err == nil {
		p.Exe = exe
	}
	if text, err := r.readFile(r.path(pid, "/cmdline"), maxCommand); err == nil {
		p.Command = parseCommand(text)
	}
	if text, err := r.readProc(pid, "/cgroup"); err == nil {
		p.Cgroup = parseCgroup(text)
	}
	return p, s, nil
}

// Read sets what is cheap to read: RSS, Virtual, Swap, Threads, FDs and CPUSeconds. ErrGone means that the process has
// ended or that its pid is now another's; nothing is set then.
func (r *Reader) Read(p *Process, v *Values) error {
	s, err := r.stat(p.PID)
	if err == nil && r.key(s.start) != p.Key {
		err = ErrGone
	}
	if err != nil {
		if errors.Is(err, ErrGone) {
			delete(r.seen, p.PID)
		}
		return fmt.Errorf("read process %d: %w", p.PID, err)
	}
	if s.vsize == 0 {
		// A zombie holds nothing but its name; it has ended.
		return fmt.Errorf("read process %d: %w", p.PID, ErrGone)
	}
	v.Set(RSS, float64(s.rss*r.pageSize))
	v.Set(Virtual, float64(s.vsize))
	v.Set(Threads, float64(s.threads))
	v.Set(CPUSeconds, float64(s.cpu)/userHZ)
	r.readSwap(p.PID, v)
	if n, ok := r.countFDs(p.PID); ok {
		v.Set(FDs, float64(n))
	}
	return nil
}

// readSwap asks the process' status only when the system has any swap.
func (r *Reader) readSwap(pid int, v *Values) {
	var info unix.Sysinfo_t
	if r.own && unix.Sysinfo(&info) == nil && info.Totalswap == 0 {
		v.Set(Swap, 0)
		return
	}
	text, err := r.readProc(pid, "/status")
	if err != nil {
		return
	}
	if n, ok := parseSwap(text); ok {
		v.Set(Swap, float64(n))
	}
}

func (r *Reader) countFDs(pid int) (int64, bool) {
	if r.fdBySize {
		var st unix.Stat_t
		if err := unix.Stat(r.path(pid, "/fd"), &st); err != nil {
			return 0, false
		}
		return st.Size, true
	}
	var n int64
	err := r.readDir(r.path(pid, "/fd"), func(uint64, []byte) bool { n++; return true })
	return n, err == nil
}

// Detail sets Private and PSS from smaps_rollup. It makes the kernel walk the process' page tables, which costs time in
// proportion to its resident memory, and needs the right to trace the process. The caller decides how often.
func (r *Reader) Detail(p *Process, v *Values) error {
	text, err := r.readProc(p.PID, "/smaps_rollup")
	if err != nil {
		return fmt.Errorf("read process %d: smaps_rollup: %w", p.PID, err)
	}
	roll, err := parseRollup(text)
	if err != nil {
		return fmt.Errorf("read process %d: %w", p.PID, err)
	}
	v.Set(PSS, float64(roll.pss+roll.swapPSS))
	v.Set(Private, float64(roll.private+roll.swapPSS))
	return nil
}

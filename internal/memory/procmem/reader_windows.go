package procmem

import (
	"errors"
	"fmt"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Reader finds and reads processes through the process status API. It belongs to one goroutine.
//
// It has been compiled and vetted, and has not been run on Windows.
type Reader struct {
	memory  *windows.LazyProc
	handles *windows.LazyProc
	maxScan int
	seen    map[uint32]shown // by pid, as the last Scan saw it
}

// shown is what a snapshot of all processes tells of one.
type shown struct {
	image   string
	threads uint32
}

// memoryCounters is PROCESS_MEMORY_COUNTERS_EX of psapi.h.
type memoryCounters struct {
	size                       uint32
	pageFaults                 uint32
	peakWorkingSet             uintptr
	workingSet                 uintptr
	quotaPeakPagedPoolUsage    uintptr
	quotaPagedPoolUsage        uintptr
	quotaPeakNonPagedPoolUsage uintptr
	quotaNonPagedPoolUsage     uintptr
	pagefileUsage              uintptr
	peakPagefileUsage          uintptr
	privateUsage               uintptr
}

// New makes a Reader.
func New(o Options) (*Reader, error) {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	r := &Reader{
		memory:  kernel.NewProc("K32GetProcessMemoryInfo"),
		handles: kernel.NewProc("GetProcessHandleCount"),
		maxScan: o.MaxScan,
		seen:    make(map[uint32]shown),
	}
	if r.maxScan <= 0 {
		r.maxScan = 32768
	}
	if err := r.memory.Find(); err != nil {
		return nil, fmt.Errorf("find K32GetProcessMemoryInfo: %w", err)
	}
	return r, nil
}

// Begin starts a round of reading. Windows has no control groups, so there is nothing to forget.
func (r *Reader) Begin(time.Time) {}

// Group sets nothing: Windows has no control groups.
func (r *Reader) Group(Cgroup, *Values) {}

// Detail sets nothing: Read gives the private bytes already.
func (r *Reader) Detail(*Process, *Values) error { return nil }

// Forget makes the next Scan visit every process.
func (r *Reader) Forget() { clear(r.seen) }

// Scan takes a snapshot of all processes and calls visit for those that are new since the last Scan. Processes that may
// not be opened are passed over. over tells how many lay beyond Options.MaxScan.
func (r *Reader) Scan(visit func(Process)) (over int, err error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return 0, fmt.Errorf("scan processes: %w", err)
	}
	defer func() { _ = windows.CloseHandle(snapshot) }() // only read from
	now := make(map[uint32]shown, len(r.seen))
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		if len(now) >= r.maxScan {
			over++
			continue
		}
		image := windows.UTF16ToString(entry.ExeFile[:])
		now[entry.ProcessID] = shown{image, entry.Threads}
		if r.seen[entry.ProcessID].image == image {
			continue
		}
		if p, err := r.Lookup(int(entry.ProcessID)); err == nil {
			p.Comm = image
			visit(p)
		}
	}
	r.seen = now
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return over, fmt.Errorf("scan processes: %w", err)
	}
	return over, nil
}

func open(pid int) (windows.Handle, error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid)) // #nosec G115 -- pids are positive
	if errors.Is(err, windows.ERROR_INVALID_PARAMETER) {
		return 0, ErrGone // there is no process with this pid
	}
	return h, err
}

// Lookup gives the process that has the pid now. ErrGone means that there is none.
func (r *Reader) Lookup(pid int) (Process, error) {
	h, err := open(pid)
	if err != nil {
		return Process{}, fmt.Errorf("look up process %d: %w", pid, err)
	}
	defer func() { _ = windows.CloseHandle(h) }() // only read from
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return Process{}, fmt.Errorf("look up process %d: times: %w", pid, err)
	}
	p := Process{PID: pid, Key: key(created), Started: time.Unix(0, created.Nanoseconds()).UTC()}
	var name [windows.MAX_LONG_PATH]uint16
	size := uint32(len(name))
	if err := windows.QueryFullProcessImageName(h, 0, &name[0], &size); err == nil {
		p.Exe = windows.UTF16ToString(name[:size])
		p.Comm = exeBase(p.Exe)
		p.Command = p.Exe // the arguments stand in the other process' memory, which is not read
	}
	return p, nil
}

func key(created windows.Filetime) string {
	return strconv.FormatUint(uint64(created.HighDateTime)<<32|uint64(created.LowDateTime), 36)
}

// Read sets RSS, Private, FDs (handles), CPUSeconds and, as of the last Scan, Threads. ErrGone means that the process has ended or
// that its pid is now another's; nothing is set then.
func (r *Reader) Read(p *Process, v *Values) error {
	h, err := open(p.PID)
	if err != nil {
		return fmt.Errorf("read process %d: %w", p.PID, err)
	}
	defer func() { _ = windows.CloseHandle(h) }() // only read from
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return fmt.Errorf("read process %d: times: %w", p.PID, err)
	}
	// A process that has ended stays openable while someone holds a handle; its exit time is set then.
	if key(created) != p.Key || exited.LowDateTime|exited.HighDateTime != 0 {
		delete(r.seen, uint32(p.PID)) // #nosec G115 -- pids are positive
		return fmt.Errorf("read process %d: %w", p.PID, ErrGone)
	}
	counters := memoryCounters{size: uint32(unsafe.Sizeof(memoryCounters{}))}
	ok, _, err := r.memory.Call(uintptr(h), uintptr(unsafe.Pointer(&counters)), uintptr(counters.size)) // #nosec G103 -- a system call
	if ok == 0 {
		return fmt.Errorf("read process %d: GetProcessMemoryInfo: %w", p.PID, err)
	}
	v.Set(RSS, float64(counters.workingSet))
	v.Set(Private, float64(counters.privateUsage))
	v.Set(CPUSeconds, (ticks(kernel)+ticks(user))/1e7)
	if last := r.seen[uint32(p.PID)]; last.threads > 0 { // #nosec G115 -- pids are positive
		v.Set(Threads, float64(last.threads))
	}
	var handles uint32
	if ok, _, _ := r.handles.Call(uintptr(h), uintptr(unsafe.Pointer(&handles))); ok != 0 { // #nosec G103 -- a system call
		v.Set(FDs, float64(handles))
	}
	return nil
}

// ticks reads a duration, which stands in units of 100 ns, as a Filetime.
func ticks(f windows.Filetime) float64 {
	return float64(uint64(f.HighDateTime)<<32 | uint64(f.LowDateTime))
}

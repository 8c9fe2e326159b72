//go:build !linux

package supervisor

// residentBytes is not known here; the memory watch reads it where it can.
func residentBytes(int) uint64 { return 0 }

//go:build !linux

package schedule

import "time"

// processCPU is not measured here.
func processCPU() time.Duration { return 0 }

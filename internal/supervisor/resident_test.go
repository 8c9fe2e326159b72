//go:build unix

package supervisor

import "runtime"

const runtimeHasResident = runtime.GOOS == "linux"

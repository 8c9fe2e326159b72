// Package trend gives the memory verdict: pure functions that say from series of samples whether a process leaks, how
// fast, since when and until when.
package trend

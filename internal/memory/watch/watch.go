// Package watch is the way from sample to verdict for every watched process.
package watch

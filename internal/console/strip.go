package console

import (
	"fmt"
	"gatehouse/internal/words"
	"strings"
	"time"

	"gatehouse/internal/state"
)

const (
	stripBars   = 60 // results that a strip shows
	stripPitch  = 5  // units from bar to bar
	stripHeight = 32 // units
	stripTop    = 24 // the tallest bar of a check that was answered; those that were not take the full height
)

// bar is one result in a strip, in the strip's own units.
type bar struct {
	X, Y, Height int
	Tone         tone
	Title        string
}

// strip is a verifier's last results as bars, and in words for those who do not see them.
type strip struct {
	Bars   []bar
	Width  int
	Height int
	Words  string
}

// newStrip draws the newest results, oldest first. The height of an answered check is its latency against the slowest
// answered one; a check that was not answered takes the full height, so that it shows without its colour.
func newStrip(c words.Clock, results []state.Result) strip {
	if len(results) > stripBars {
		results = results[len(results)-stripBars:]
	}
	var slowest time.Duration
	for _, r := range results {
		if r.State.Answered() {
			slowest = max(slowest, r.Timings.Total)
		}
	}
	s := strip{Width: stripBars * stripPitch, Height: stripHeight, Words: stripWords(c, results)}
	first := stripBars - len(results)
	for i, r := range results {
		height := stripHeight
		if r.State.Answered() {
			height = 4
			if slowest > 0 {
				height += int(int64(stripTop-4) * int64(r.Timings.Total) / int64(slowest))
			}
		}
		s.Bars = append(s.Bars, bar{(first + i) * stripPitch, stripHeight - height, height, stateTone(r.State),
			fmt.Sprintf("%s %s, %s", c.Exact(r.At), r.State, words.Latency(r.Timings.Total))})
	}
	return s
}

// stripWords counts the results by state, and tells when the last failure was.
func stripWords(c words.Clock, results []state.Result) string {
	if len(results) == 0 {
		return "no results yet"
	}
	counts := map[state.State]int{}
	var failed *state.Result
	for i, r := range results {
		counts[r.State]++
		if !r.State.Answered() {
			failed = &results[i]
		}
	}
	var parts []string
	for _, s := range state.States() {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	text := fmt.Sprintf("last %s: %s", words.Plural(len(results), "result"), strings.Join(parts, ", "))
	if failed != nil {
		text += ", last failure at " + c.Exact(failed.At)
	}
	return text
}

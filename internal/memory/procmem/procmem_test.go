package procmem

import (
	"fmt"
	"testing"
)

func TestCounters(t *testing.T) {
	seen := map[string]bool{"unknown": true}
	for _, c := range All() {
		if seen[c.String()] {
			t.Errorf("counter %d has no name of its own: %s", c, c)
		}
		seen[c.String()] = true
	}
	if last := Counter(len(All())); last.String() != "unknown" || last.Memory() {
		t.Errorf("a counter too many is called %s", last)
	}
}

func TestValues(t *testing.T) {
	var a, b Values
	a.Set(RSS, 1)
	a.Set(PSS, 2)
	a.Unset(PSS)
	b.Set(RSS, 3)
	b.Set(Swap, 0)
	a.Merge(&b)
	if got := fmt.Sprint(a.Map()); got != "map[rss:3 swap:0]" {
		t.Errorf("got %s", got)
	}
	if _, ok := a.Get(PSS); ok {
		t.Error("an unset counter is there")
	}
}

package farm

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"
)

// choose picks one of the candidates for a new session, or for a session that has to move.
func (f *Farm) choose(r Request, candidates []*member, now time.Time) *member {
	if len(candidates) == 1 {
		return candidates[0]
	}
	weight := func(m *member) float64 { return float64(m.Weight) * m.warmth(now, f.opt.SlowStart) }
	if f.opt.Affinity == SourceIPAffinity {
		return rendezvous(r.ClientIP.As16(), candidates, weight)
	}
	switch f.opt.Balance {
	case LeastConnections:
		return leastConnections(candidates, weight)
	case RandomTwo:
		return randomTwo(candidates, weight)
	}
	return roundRobin(candidates, weight)
}

// roundRobin is the smooth weighted round robin that nginx made known: each candidate gains its weight, the richest is
// chosen and pays the sum. Turns of heavy members lie apart instead of in a row.
func roundRobin(candidates []*member, weight func(*member) float64) *member {
	total, best := 0.0, candidates[0]
	for _, m := range candidates {
		w := weight(m)
		m.current += w
		total += w
		if m.current > best.current {
			best = m
		}
	}
	best.current -= total
	return best
}

// leastConnections chooses the member with the fewest requests under way for its weight; equals take turns.
func leastConnections(candidates []*member, weight func(*member) float64) *member {
	least := math.Inf(1)
	var room [16]*member
	equals := room[:0]
	for _, m := range candidates {
		switch load := float64(m.active) / weight(m); {
		case load < least:
			least, equals = load, append(equals[:0], m)
		case load == least:
			equals = append(equals, m)
		}
	}
	return roundRobin(equals, weight)
}

// randomTwo draws two members by weight and takes the one with fewer requests under way for its weight (Mitzenmacher, The
// Power of Two Choices in Randomized Load Balancing, 2001).
func randomTwo(candidates []*member, weight func(*member) float64) *member {
	a := draw(candidates, weight, nil)
	b := draw(candidates, weight, a)
	if float64(b.active)/weight(b) < float64(a.active)/weight(a) {
		return b
	}
	return a
}

// draw chooses at random by weight, leaving one out.
func draw(candidates []*member, weight func(*member) float64, not *member) *member {
	total := 0.0
	for _, m := range candidates {
		if m != not {
			total += weight(m)
		}
	}
	at := rand.Float64() * total
	var last *member
	for _, m := range candidates {
		if m == not {
			continue
		}
		last = m
		if at -= weight(m); at < 0 {
			break
		}
	}
	return last
}

// rendezvous chooses by the client's address, so that a member that goes or comes moves only its own clients (Thaler and
// Ravishankar, Using Name-Based Mappings to Increase Hit Rates, 1998; weights as in Schindelhauer and Schomaker, 2005).
func rendezvous(address [16]byte, candidates []*member, weight func(*member) float64) *member {
	var best *member
	highest := math.Inf(-1)
	var key [24]byte
	copy(key[:], address[:])
	for _, m := range candidates {
		binary.LittleEndian.PutUint64(key[16:], m.id)
		uniform := (float64(xxhash.Sum64(key[:])>>11) + 0.5) / (1 << 53) // in (0, 1)
		if score := -weight(m) / math.Log(uniform); score > highest {
			best, highest = m, score
		}
	}
	return best
}

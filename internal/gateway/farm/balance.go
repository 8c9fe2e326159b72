package farm

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"

	"github.com/cespare/xxhash/v2"
)

// choose picks one of the candidates for a new session, or for a session that has to move. The client is invalid unless
// its address decides.
func (f *Farm) choose(client netip.Addr, candidates []*member) *member {
	switch {
	case len(candidates) == 1:
		return candidates[0]
	case client.IsValid():
		return rendezvous(client.As16(), candidates)
	case f.opt.Balance == LeastConnections:
		return leastConnections(candidates)
	case f.opt.Balance == RandomTwo:
		return randomTwo(candidates)
	}
	return roundRobin(candidates)
}

// load is what is under way at the member for its share.
func (m *member) load() float64 { return float64(m.active) / m.share }

// roundRobin is the smooth weighted round robin that nginx made known: each candidate gains its share, the richest is
// chosen and pays the sum. Turns of heavy members lie apart instead of in a row.
func roundRobin(candidates []*member) *member {
	total, best := 0.0, candidates[0]
	for _, m := range candidates {
		m.current += m.share
		total += m.share
		if m.current > best.current {
			best = m
		}
	}
	best.current -= total
	return best
}

// leastConnections chooses the member with the fewest requests under way for its share; equals take turns. It reorders
// the candidates.
func leastConnections(candidates []*member) *member {
	least := math.Inf(1)
	for _, m := range candidates {
		least = min(least, m.load())
	}
	equals := candidates[:0]
	for _, m := range candidates {
		if m.load() == least {
			equals = append(equals, m)
		}
	}
	return roundRobin(equals)
}

// randomTwo draws two members by share and takes the one with fewer requests under way for its share (Mitzenmacher, The
// Power of Two Choices in Randomized Load Balancing, 2001).
func randomTwo(candidates []*member) *member {
	a := draw(candidates, nil)
	b := draw(candidates, a)
	if b.load() < a.load() {
		return b
	}
	return a
}

// draw chooses at random by share, leaving one out.
func draw(candidates []*member, not *member) *member {
	total := 0.0
	for _, m := range candidates {
		if m != not {
			total += m.share
		}
	}
	at := rand.Float64() * total
	var last *member
	for _, m := range candidates {
		if m == not {
			continue
		}
		last = m
		if at -= m.share; at < 0 {
			break
		}
	}
	return last
}

// rendezvous chooses by the client's address, so that a member that goes or comes moves only its own clients (Thaler and
// Ravishankar, Using Name-Based Mappings to Increase Hit Rates, 1998; weights as in Schindelhauer and Schomaker, 2005).
// Nodes with the same members agree without asking each other.
func rendezvous(address [16]byte, candidates []*member) *member {
	var best *member
	highest := math.Inf(-1)
	var key [24]byte
	copy(key[:], address[:])
	for _, m := range candidates {
		binary.LittleEndian.PutUint64(key[16:], m.id)
		uniform := (float64(xxhash.Sum64(key[:])>>11) + 0.5) / (1 << 53) // in (0, 1)
		if score := -m.share / math.Log(uniform); score > highest {
			best, highest = m, score
		}
	}
	return best
}

package schedule

import (
	"math"
	"slices"
	"time"

	"gatehouse/internal/state"
)

// detail is what results have in common while nothing changes; results that are equal in it share one. It is never
// changed.
type detail struct {
	state           state.State
	phase           state.Phase
	reason, address string
	evidence        []string
}

// record is one result in 48 bytes.
type record struct {
	at     int64     // Unix nanoseconds
	phases [7]uint32 // microseconds; about 71 minutes is the most that fits
	*detail
}

// ring holds the newest results of a verifier. The zero value is empty; it grows as results come, up to what add is told
// to keep.
type ring struct {
	records []record
	first   int // index of the oldest, once it is full
}

// The bounds of what is kept of one result, whatever a check says.
const (
	maxEvidence = 32
	// lookBack is how many records are looked at for a detail to share: enough for a server that flaps.
	lookBack = 4
)

func (r *ring) len() int { return len(r.records) }

// at returns the i-th oldest.
func (r *ring) at(i int) record { return r.records[(r.first+i)%len(r.records)] }

func (r *ring) add(result state.Result, keep int) {
	rec := record{at: result.At.UnixNano(), detail: r.share(result)}
	t := result.Timings
	for i, d := range [...]time.Duration{t.Resolve, t.Connect, t.TLS, t.Request, t.FirstByte, t.Body, t.Total} {
		rec.phases[i] = uint32(min(max(d.Microseconds(), 0), math.MaxUint32))
	}
	if len(r.records) < keep {
		if len(r.records) == cap(r.records) {
			// append alone would make room for more than is ever used.
			r.records = append(make([]record, 0, min(max(4, 2*len(r.records)), keep)), r.records...)
		}
		r.records = append(r.records, rec)
		return
	}
	r.records[r.first] = rec
	r.first = (r.first + 1) % len(r.records)
}

func (r *ring) share(result state.Result) *detail {
	evidence := result.Evidence[:min(len(result.Evidence), maxEvidence)]
	for i := r.len() - 1; i >= max(0, r.len()-lookBack); i-- {
		d := r.at(i).detail
		if d.state == result.State && d.phase == result.Phase && d.reason == result.Reason && d.address == result.Address && slices.Equal(d.evidence, evidence) {
			return d
		}
	}
	return &detail{result.State, result.Phase, result.Reason, result.Address, slices.Clone(evidence)}
}

// newest returns the newest n results, or all when there are fewer, newest last. Results that share a detail share their
// evidence, which is not to be changed.
func (r *ring) newest(n int) []state.Result {
	n = min(n, r.len())
	results := make([]state.Result, 0, n)
	for i := r.len() - n; i < r.len(); i++ {
		results = append(results, r.at(i).result())
	}
	return results
}

func (r record) result() state.Result {
	p := func(i int) time.Duration { return time.Duration(r.phases[i]) * time.Microsecond }
	return state.Result{
		At: time.Unix(0, r.at).UTC(), State: r.state, Phase: r.phase, Reason: r.reason, Evidence: r.evidence, Address: r.address,
		Timings: state.Timings{Resolve: p(0), Connect: p(1), TLS: p(2), Request: p(3), FirstByte: p(4), Body: p(5), Total: p(6)},
	}
}

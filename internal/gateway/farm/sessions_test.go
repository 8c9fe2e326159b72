package farm

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSessionsAreATable holds the linked table to a plain one: the same sessions at the same members, the oldest forgotten
// first, counts and links whole.
func TestSessionsAreATable(t *testing.T) {
	type known struct {
		member *standing
		order  int
	}
	rapid.Check(t, func(t *rapid.T) {
		const limit, lifetime = 5, 10 * time.Second
		now := time.Unix(1_000_000, 0)
		table := newSessions(limit, now)
		members := []*standing{newStanding(), newStanding()}
		model, seen, order := map[uint64]known{}, map[uint64]time.Time{}, 0
		oldest := func() (id uint64) {
			least := order + 1
			for each, k := range model {
				if k.order < least {
					id, least = each, k.order
				}
			}
			return id
		}
		ids, which := rapid.Uint64Range(1, 8), rapid.IntRange(0, 1)
		t.Repeat(map[string]func(*rapid.T){
			"touch": func(t *rapid.T) {
				id, m := ids.Draw(t, "id"), members[which.Draw(t, "member")]
				table.touch(id, m, now)
				if _, ok := model[id]; !ok && len(model) == limit {
					delete(model, oldest())
				}
				order++
				model[id], seen[id] = known{m, order}, now
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 6).Draw(t, "s")) * time.Second)
				table.expire(now.Add(-lifetime))
				for id := range model {
					if now.Sub(seen[id]) >= lifetime {
						delete(model, id)
					}
				}
			},
			"end": func(t *rapid.T) {
				id, m := ids.Draw(t, "id"), members[which.Draw(t, "member")]
				table.end(id, m)
				if model[id].member == m {
					delete(model, id)
				}
			},
			"drop": func(t *rapid.T) {
				m := members[which.Draw(t, "member")]
				table.drop(m)
				for id, k := range model {
					if k.member == m {
						delete(model, id)
					}
				}
			},
			"": func(t *rapid.T) {
				count := map[*standing]int{}
				for id := range uint64(9) {
					if got := table.find(id); got != model[id].member {
						t.Fatalf("session %d is at %p, want %p", id, got, model[id].member)
					}
					if m := model[id].member; m != nil {
						count[m]++
					}
				}
				for _, m := range members {
					if m.sessions != count[m] {
						t.Fatalf("%d sessions counted, there are %d", m.sessions, count[m])
					}
				}
				if len(model) == 0 && cap(table.all) > 0 {
					t.Fatal("an empty table keeps memory")
				}
				newer, linked := none, 0
				for at := table.newest; at != none; newer, at = at, table.all[at].older {
					if linked++; table.all[at].newer != newer || linked > limit {
						t.Fatal("the links are broken")
					}
				}
				if newer != table.oldest || linked != len(model) || len(table.all) > limit {
					t.Fatalf("%d linked of %d in %d places", linked, len(model), len(table.all))
				}
			},
		})
	})
}

// BenchmarkSessions tells what a remembered session costs.
func BenchmarkSessions(b *testing.B) {
	m, now := newStanding(), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		table := newSessions(maxSessions, now)
		for id := range uint64(maxSessions) {
			table.touch(id*0x9e3779b97f4a7c15, m, now)
		}
	}
}

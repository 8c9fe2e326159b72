package farm

import "time"

// maxSessions bounds the sessions that a farm remembers; beyond it the one that was quiet longest is forgotten.
// A forgotten session with a cookie still finds its member, it is only not counted until its next request.
const maxSessions = 100_000

// session is a remembered affinity session, linked to those that were seen before and after it.
type session struct {
	id           uint64
	seen         time.Duration // since the table was made, so that a clock that is set does not matter
	member       *standing
	older, newer int32
}

// none is no session.
const none = int32(-1)

// sessions are the remembered ones, by what they are known by: the number in a cookie or the hash of an address. They lie
// in one slice and are linked by their places in it, which costs a third of what objects would.
type sessions struct {
	limit  int
	made   time.Time
	places map[uint64]int32
	all    []session
	free   []int32
	oldest int32
	newest int32
}

func newSessions(limit int, now time.Time) sessions {
	return sessions{limit: limit, made: now, places: map[uint64]int32{}, oldest: none, newest: none}
}

// find returns the member of a session, nil for a session that is not remembered.
func (t *sessions) find(id uint64) *standing {
	if at, ok := t.places[id]; ok {
		return t.all[at].member
	}
	return nil
}

// touch notes that the session was seen at the member, which is counted there from then on and nowhere else.
func (t *sessions) touch(id uint64, m *standing, now time.Time) {
	at, ok := t.places[id]
	if !ok {
		at = t.room()
		t.all[at] = session{id: id, member: m}
		t.places[id] = at
		m.sessions++
	} else {
		t.unlink(at)
		if s := &t.all[at]; s.member != m {
			s.member.sessions--
			s.member = m
			m.sessions++
		}
	}
	s := &t.all[at]
	s.seen, s.older, s.newer = now.Sub(t.made), t.newest, none
	if t.newest == none {
		t.oldest = at
	} else {
		t.all[t.newest].newer = at
	}
	t.newest = at
}

// room returns a place for a session, that of the oldest when there is no other.
func (t *sessions) room() int32 {
	if len(t.places) >= t.limit {
		t.forget(t.oldest)
	}
	if n := len(t.free); n > 0 {
		at := t.free[n-1]
		t.free = t.free[:n-1]
		return at
	}
	t.all = append(t.all, session{})
	return int32(len(t.all) - 1)
}

// expire forgets the sessions that were not seen since then.
func (t *sessions) expire(before time.Time) {
	for t.oldest != none && t.all[t.oldest].seen <= before.Sub(t.made) {
		t.forget(t.oldest)
	}
}

// end forgets a session if it is at the member.
func (t *sessions) end(id uint64, m *standing) {
	if at, ok := t.places[id]; ok && t.all[at].member == m {
		t.forget(at)
	}
}

// drop forgets the sessions of a member.
func (t *sessions) drop(m *standing) {
	for at := t.oldest; at != none && m.sessions > 0; {
		next := t.all[at].newer
		if t.all[at].member == m {
			t.forget(at)
		}
		at = next
	}
}

func (t *sessions) forget(at int32) {
	t.unlink(at)
	s := &t.all[at]
	s.member.sessions--
	delete(t.places, s.id)
	*s = session{}
	t.free = append(t.free, at)
	if len(t.places) == 0 { // give the memory of a rush hour back
		*t = newSessions(t.limit, t.made)
	}
}

func (t *sessions) unlink(at int32) {
	s := t.all[at]
	if s.older == none {
		t.oldest = s.newer
	} else {
		t.all[s.older].newer = s.newer
	}
	if s.newer == none {
		t.newest = s.older
	} else {
		t.all[s.newer].older = s.older
	}
}

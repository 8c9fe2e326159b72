package farm

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/netip"
	"time"
)

// maxSessions bounds the sessions that a farm remembers; beyond it the one that was quiet longest is forgotten. A
// forgotten session with a cookie still finds its member, it is only not counted until its next request.
const maxSessions = 100_000

// sessionKey is what a session is known by: the number in its cookie, or the client's address.
type sessionKey struct {
	cookie  uint64
	address netip.Addr
}

// session is an affinity session.
type session struct {
	id     uint64
	key    sessionKey
	member *standing
	seen   time.Time
	place  *list.Element
}

// sessions are the remembered ones, the one that was quiet longest first.
type sessions struct {
	byKey map[sessionKey]*session
	order *list.List
}

func newSessions() sessions { return sessions{byKey: map[sessionKey]*session{}, order: list.New()} }

func (t *sessions) find(key sessionKey) *session { return t.byKey[key] }

// add begins a session, making room for it.
func (t *sessions) add(key sessionKey) *session {
	if len(t.byKey) >= maxSessions {
		t.forget(t.order.Front().Value.(*session))
	}
	s := &session{id: key.cookie, key: key}
	s.place = t.order.PushBack(s)
	t.byKey[key] = s
	return s
}

// touch notes that the session was seen at the member; nil begins one with a cookie.
func (t *sessions) touch(s *session, m *standing, now time.Time) *session {
	if s == nil {
		var id [8]byte
		_, _ = rand.Read(id[:]) // never fails (crypto/rand)
		s = t.add(sessionKey{cookie: binary.LittleEndian.Uint64(id[:])})
	}
	if s.seen.IsZero() || s.member != m {
		if s.member != nil && !s.seen.IsZero() {
			s.member.sessions--
		}
		s.member = m
		m.sessions++
	}
	s.seen = now
	t.order.MoveToBack(s.place)
	return s
}

// expire forgets the sessions that were not seen since then.
func (t *sessions) expire(before time.Time) {
	for front := t.order.Front(); front != nil; front = t.order.Front() {
		s := front.Value.(*session)
		if s.seen.After(before) {
			return
		}
		t.forget(s)
	}
}

// drop forgets the sessions of a member.
func (t *sessions) drop(m *standing) {
	for _, s := range t.byKey {
		if s.member == m {
			t.forget(s)
		}
	}
}

func (t *sessions) forget(s *session) {
	if s.member != nil && !s.seen.IsZero() {
		s.member.sessions--
	}
	t.order.Remove(s.place)
	delete(t.byKey, s.key)
}

// cookies makes and reads affinity cookies: which member (as a keyed hash, so that the cookie discloses neither name nor
// address), which session, when it was made, and a truncated HMAC-SHA256 over these and the farm's name. A cookie that is
// forged, of another farm, of a key that is no longer used, or too old is no cookie.
type cookies struct {
	name     string
	farm     string
	key      []byte
	lifetime time.Duration
	members  map[[8]byte]string // names by keyed hash
	hashes   map[string][8]byte
}

// Lengths in a cookie, in bytes: member, session, time in seconds, HMAC.
const (
	cookiePayload = 8 + 8 + 8
	cookieTag     = 16
)

func newCookies(opt Options) cookies {
	sum := sha256.Sum256([]byte(opt.Name))
	c := cookies{
		name: "gatehouse-" + hex.EncodeToString(sum[:4]), farm: opt.Name, key: opt.AffinityKey, lifetime: opt.AffinityLifetime,
		members: map[[8]byte]string{}, hashes: map[string][8]byte{},
	}
	for _, m := range opt.Members {
		var hash [8]byte
		copy(hash[:], c.sum("member", []byte(m.Name)))
		c.members[hash], c.hashes[m.Name] = m.Name, hash
	}
	return c
}

func (c *cookies) sum(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write([]byte(purpose + "\x00" + c.farm + "\x00"))
	h.Write(data)
	return h.Sum(nil)
}

// make returns the cookie of a session at a member.
func (c *cookies) make(member string, session uint64, secure bool, now time.Time) *http.Cookie {
	value := make([]byte, cookiePayload, cookiePayload+cookieTag)
	hash := c.hashes[member]
	copy(value, hash[:])
	binary.LittleEndian.PutUint64(value[8:], session)
	binary.LittleEndian.PutUint64(value[16:], uint64(now.Unix()))
	value = append(value, c.sum("cookie", value)[:cookieTag]...)
	return &http.Cookie{
		Name: c.name, Value: base64.RawURLEncoding.EncodeToString(value), Path: "/", HttpOnly: true, Secure: secure,
		SameSite: http.SameSiteLaxMode, MaxAge: int(c.lifetime / time.Second),
	}
}

// read returns what a cookie says, and whether it is one of ours for one of the members.
func (c *cookies) read(text string, now time.Time) (member string, session uint64, issued time.Time, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(cookiePayload+cookieTag) {
		return "", 0, time.Time{}, false
	}
	value, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || subtle.ConstantTimeCompare(value[cookiePayload:], c.sum("cookie", value[:cookiePayload])[:cookieTag]) != 1 {
		return "", 0, time.Time{}, false
	}
	issued = time.Unix(int64(binary.LittleEndian.Uint64(value[16:])), 0)
	if now.Sub(issued) > c.lifetime || issued.Sub(now) > time.Minute { // nodes' clocks differ a little
		return "", 0, time.Time{}, false
	}
	member = c.members[[8]byte(value[:8])] // "" for a member that is gone: the session moves
	return member, binary.LittleEndian.Uint64(value[8:]), issued, true
}

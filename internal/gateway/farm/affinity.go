package farm

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// identity is what affinity makes of a request before the farm is looked at.
type identity struct {
	sticky  bool       // there is a session, old or new
	known   bool       // the request names its session
	session uint64     // what it is known by
	home    string     // the member in the cookie; "" is none that the farm has
	issued  time.Time  // when the cookie was made
	client  netip.Addr // for rendezvous
}

// identify tells which session a request belongs to.
func (f *Farm) identify(r Request, now time.Time) identity {
	switch f.opt.Affinity {
	case SourceIPAffinity:
		if !r.ClientIP.IsValid() {
			return identity{} // a peer without an address: a member is chosen by balance
		}
		address := r.ClientIP.As16() // the same for an IPv4 client whether or not the listener speaks both families
		return identity{sticky: true, known: true, session: xxhash.Sum64(address[:]), client: r.ClientIP}
	case CookieAffinity:
		if c, ok := f.cookies.read(r.Cookie, now); ok {
			return identity{sticky: true, known: true, session: c.session, home: c.member, issued: c.issued}
		}
		return identity{sticky: true, session: rand.Uint64()}
	}
	return identity{}
}

// cookies makes and reads affinity cookies: which key signed it, which member (as a keyed hash, so that the cookie
// discloses neither name nor address), which session, when it was made, and a truncated HMAC-SHA256 over these. The key is
// derived from the farm's affinity key and name. A cookie that is forged, of another farm, of a key that is no longer
// used, or too old is no cookie.
type cookies struct {
	name     string
	keyID    [4]byte
	lifetime time.Duration
	members  map[[8]byte]string // names by keyed hash
	hashes   map[string][8]byte
	macs     *sync.Pool // of hash.Hash with the farm's key
	text     *base64.Encoding
}

// cookie is what an affinity cookie says.
type cookie struct {
	member  string // "" for a member that is gone: the session moves
	session uint64
	issued  time.Time
}

// Places in a cookie, in bytes: key, member, session, Unix time in seconds, HMAC.
const (
	cookieMember  = 4
	cookieSession = cookieMember + 8
	cookieIssued  = cookieSession + 8
	cookieMAC     = cookieIssued + 8
	cookieLength  = cookieMAC + 16
	cookieText    = (cookieLength*8 + 5) / 6 // in base64 without padding
)

// clockSkew is how far in the future a cookie may have been made: nodes' clocks differ a little.
const clockSkew = time.Minute

func newCookies(opt Options) cookies {
	name := sha256.Sum256([]byte(opt.Name))
	key := derive(opt.AffinityKey, "gatehouse affinity cookie\x00"+opt.Name)
	c := cookies{
		name: "gatehouse-" + hex.EncodeToString(name[:4]), lifetime: opt.AffinityLifetime,
		members: map[[8]byte]string{}, hashes: map[string][8]byte{},
		macs: &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }},
		text: base64.RawURLEncoding.Strict(), // one text a cookie
	}
	copy(c.keyID[:], derive(key, "key"))
	for _, m := range opt.Members {
		var short [8]byte
		copy(short[:], derive(key, "member\x00"+m.Name))
		c.members[short], c.hashes[m.Name] = m.Name, short
	}
	return c
}

func derive(key []byte, purpose string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose))
	return h.Sum(nil)
}

// sign appends the HMAC of the bytes, in full length, to sum.
func (c *cookies) sign(data, sum []byte) []byte {
	h := c.macs.Get().(hash.Hash)
	defer c.macs.Put(h)
	h.Reset()
	h.Write(data)
	return h.Sum(sum)
}

// leeway is how long a cookie lives beyond the lifetime of its session: a cookie is made anew only when it is older than
// this, and the session may be seen just before.
func (c *cookies) leeway() time.Duration { return c.lifetime / 4 }

// make returns the cookie of a session at a member.
func (c *cookies) make(member string, session uint64, secure bool, now time.Time) *http.Cookie {
	var value [cookieLength]byte
	hash := c.hashes[member]
	copy(value[:], c.keyID[:])
	copy(value[cookieMember:], hash[:])
	binary.LittleEndian.PutUint64(value[cookieSession:], session)
	binary.LittleEndian.PutUint64(value[cookieIssued:], uint64(now.Unix()))
	var sum [sha256.Size]byte
	copy(value[cookieMAC:], c.sign(value[:cookieMAC], sum[:0]))
	return &http.Cookie{ //nolint:gosec // whether it is Secure depends on the listener
		Name: c.name, Value: c.text.EncodeToString(value[:]), Path: "/", HttpOnly: true, Secure: secure,
		SameSite: http.SameSiteLaxMode, MaxAge: max(1, int((c.lifetime+c.leeway())/time.Second)),
	}
}

// read returns what a cookie says, and whether it is one of ours that may still count.
func (c *cookies) read(text string, now time.Time) (cookie, bool) {
	if len(text) != cookieText {
		return cookie{}, false
	}
	var encoded [cookieText]byte
	var value [cookieLength]byte
	copy(encoded[:], text)
	if n, err := c.text.Decode(value[:], encoded[:]); err != nil || n != cookieLength {
		return cookie{}, false
	}
	if [4]byte(value[:4]) != c.keyID { // of another key or farm: not worth an HMAC
		return cookie{}, false
	}
	var sum [sha256.Size]byte
	if subtle.ConstantTimeCompare(value[cookieMAC:], c.sign(value[:cookieMAC], sum[:0])[:cookieLength-cookieMAC]) != 1 {
		return cookie{}, false
	}
	issued := time.Unix(int64(binary.LittleEndian.Uint64(value[cookieIssued:])), 0)
	if now.Sub(issued) > c.lifetime+c.leeway() || issued.Sub(now) > clockSkew {
		return cookie{}, false
	}
	return cookie{c.members[[8]byte(value[cookieMember:cookieSession])], binary.LittleEndian.Uint64(value[cookieSession:]), issued}, true
}

// keeper returns the member that has the session, nil when there is none or it may not keep it. The mutex is held.
func (f *Farm) keeper(r Request, who *identity, now time.Time, open bool) *member {
	if !who.known {
		return nil
	}
	m := f.at(f.sessions.find(who.session))
	switch {
	case m != nil:
	case f.opt.Affinity == SourceIPAffinity:
		return nil
	case now.Sub(who.issued) > f.opt.AffinityLifetime: // only a session that is remembered may use the leeway
		*who = identity{sticky: true, session: rand.Uint64()}
		return nil
	default: // made before a restart, by another node, or forgotten for want of room
		m = f.named(who.home)
	}
	if m == nil || !m.keeps(open) || slices.Contains(r.Tried, m.Name) {
		return nil
	}
	return m
}

// renews reports whether the client needs a new cookie to be told of the member.
func (f *Farm) renews(who identity, m *member, now time.Time) bool {
	return f.opt.Affinity == CookieAffinity && (!who.known || who.home != m.Name || now.Sub(who.issued) > f.cookies.leeway())
}

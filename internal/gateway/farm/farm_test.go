package farm

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"gatehouse/internal/state"
)

var good = Health{State: state.Good, Usable: true, Reason: "good"}
var bad = Health{State: state.Timeout, Reason: "no answer within 10s"}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newFarm makes a farm over members a, b, c… with the weights; all are good.
func newFarm(t testing.TB, opt Options, weights ...int) *Farm {
	t.Helper()
	opt.Name = "shop"
	for i, w := range weights {
		name := string(rune('a' + i))
		opt.Members = append(opt.Members, Member{Name: name, URL: &url.URL{Scheme: "http", Host: "10.0.0.1:80"}, Weight: w})
	}
	f, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range f.opt.Members {
		f.SetHealth(m.Name, good)
	}
	return f
}

func pick(t testing.TB, f *Farm, r Request) *Lease {
	t.Helper()
	l, err := f.Pick(r)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// spread picks n times and counts, ending each lease at once.
func spread(t testing.TB, f *Farm, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		l := pick(t, f, Request{})
		got[l.Member().Name]++
		l.Done(Outcome{})
	}
	return got
}

func TestRoundRobinIsSmooth(t *testing.T) {
	f := newFarm(t, Options{Affinity: NoAffinity}, 5, 1, 1)
	var turns strings.Builder
	for range 7 {
		turns.WriteString(pick(t, f, Request{}).Member().Name)
	}
	if turns.String() != "aabacaa" { // the sequence of nginx's description of the algorithm
		t.Errorf("turns %s", turns.String())
	}
}

// TestRoundRobinIsExact: over as many picks as the weights add up to, each member gets its weight, whatever went before.
func TestRoundRobinIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 8).Draw(t, "weights")
		opt, sum := Options{Name: "x", Affinity: NoAffinity, FailOpen: true}, 0
		for i, w := range weights {
			opt.Members = append(opt.Members, Member{Name: fmt.Sprint(i), URL: &url.URL{}, Weight: w})
			sum += w
		}
		f, err := New(opt)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			got := map[string]int{}
			for range sum {
				l, err := f.Pick(Request{})
				if err != nil {
					t.Fatal(err)
				}
				got[l.Member().Name]++
			}
			for i, w := range weights {
				if got[fmt.Sprint(i)] != w {
					t.Fatalf("weights %v, picked %v", weights, got)
				}
			}
		}
	})
}

func TestBalancesFollowWeights(t *testing.T) {
	for _, balance := range []string{RoundRobin, LeastConnections, RandomTwo} {
		t.Run(balance, func(t *testing.T) {
			f := newFarm(t, Options{Affinity: NoAffinity, Balance: balance}, 2, 1, 1)
			got := map[string]int{}
			var leases []*Lease
			for range 4000 { // open requests, so that least connections has something to count
				l := pick(t, f, Request{})
				got[l.Member().Name]++
				leases = append(leases, l)
			}
			if math.Abs(float64(got["a"])-2000) > 150 || math.Abs(float64(got["b"])-1000) > 150 {
				t.Errorf("spread %v", got)
			}
			for _, l := range leases {
				l.Done(Outcome{})
				l.Done(Outcome{Failed: true}) // only the first counts
			}
			for _, m := range f.Snapshot().Members {
				if m.Active != 0 || m.Failures != 0 || m.Requests != uint64(got[m.Name]) {
					t.Errorf("counts %+v", m)
				}
			}
		})
	}
}

func TestHealthDecides(t *testing.T) {
	f := newFarm(t, Options{Affinity: NoAffinity}, 1, 1)
	f.SetHealth("a", bad)
	if got := spread(t, f, 10); got["a"] != 0 {
		t.Errorf("a failing member was used: %v", got)
	}
	f.SetHealth("b", bad)
	var none *NoMember
	if _, err := f.Pick(Request{}); !errors.As(err, &none) || none.Reason != "a: no answer within 10s; b: no answer within 10s" {
		t.Errorf("without fail-open: %v", err)
	}
	f.SetHealth("nobody", good) // a verifier may know a member that the farm does not
}

func TestFailOpen(t *testing.T) {
	f := newFarm(t, Options{Affinity: NoAffinity, FailOpen: true}, 1, 1, 1)
	for _, name := range []string{"a", "b", "c"} {
		f.SetHealth(name, bad)
	}
	if err := f.Remove("c"); err != nil {
		t.Fatal(err)
	}
	if got := spread(t, f, 10); got["a"] != 5 || got["b"] != 5 {
		t.Errorf("spread %v", got)
	}
	s := f.Snapshot()
	if !s.FailOpen || !s.Members[0].Usable || s.Members[2].Usable || !strings.Contains(s.Members[0].Reason, "tried all the same") {
		t.Errorf("snapshot %+v", s)
	}
	if l := pick(t, f, Request{Tried: []string{"a"}}); l.Member().Name != "b" || l.Reason() != "fail-open" {
		t.Errorf("picked %s by %s", l.Member().Name, l.Reason())
	}
	f.SetHealth("a", good)
	if got := spread(t, f, 10); got["b"] != 0 || f.Snapshot().FailOpen {
		t.Errorf("after one is good again: %v", got)
	}
}

func TestUncheckedMembersAreUsedAtTheStart(t *testing.T) {
	f, err := New(Options{Name: "x", FailOpen: true, Members: []Member{{Name: "a", URL: &url.URL{}}, {Name: "b", URL: &url.URL{}}}})
	if err != nil {
		t.Fatal(err)
	}
	pick(t, f, Request{})
	if s := f.Snapshot(); s.Members[0].State != state.Unknown || !strings.HasPrefix(s.Members[0].Reason, "not checked yet") {
		t.Errorf("snapshot %+v", s)
	}
	f.SetHealth("b", good)
	for range 5 {
		if got := pick(t, f, Request{}).Member().Name; got != "b" {
			t.Errorf("picked %s, which nobody has checked", got)
		}
	}
}

func TestCookieAffinity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{AffinityKey: []byte("key"), AffinityLifetime: time.Hour, SlowStart: time.Minute}, 1, 1, 1)
		first := pick(t, f, Request{Secure: true})
		c := first.SetCookie()
		if c == nil || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Name != f.CookieName() || c.Path != "/" || c.MaxAge != 4500 {
			t.Fatalf("cookie %+v", c)
		}
		home := first.Member().Name
		for range 5 {
			l := pick(t, f, Request{Cookie: c.Value})
			if l.Member().Name != home || l.Reason() != "affinity" || l.SetCookie() != nil {
				t.Fatalf("picked %s by %s, cookie %v", l.Member().Name, l.Reason(), l.SetCookie())
			}
		}
		time.Sleep(20 * time.Minute)
		if again := pick(t, f, Request{Cookie: c.Value}).SetCookie(); again == nil || again.Value == c.Value {
			t.Error("an old cookie was not renewed")
		}
		f.SetHealth(home, bad)
		moved := pick(t, f, Request{Cookie: c.Value})
		if moved.Member().Name == home || moved.SetCookie() == nil {
			t.Errorf("the session stays with a failing member")
		}
		total := 0
		for _, m := range f.Snapshot().Members {
			total += m.Sessions
		}
		if total != 1 {
			t.Errorf("%d sessions counted, there is one", total)
		}
		time.Sleep(time.Hour + time.Second)
		if l := pick(t, f, Request{Cookie: c.Value}); l.Reason() != "balance" {
			t.Error("an outdated cookie counts")
		}
	})
}

// TestSessionLastsItsLifetime: a session without requests is remembered for the lifetime and no longer, however old its
// cookie was when it was last seen.
func TestSessionLastsItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{AffinityKey: []byte("key"), AffinityLifetime: time.Hour}, 1, 1, 1)
		first := pick(t, f, Request{})
		r := Request{Cookie: first.SetCookie().Value}
		time.Sleep(14 * time.Minute)
		if pick(t, f, r).SetCookie() != nil { // too young for a new one
			t.Error("a young cookie was renewed")
		}
		time.Sleep(59 * time.Minute)
		last := pick(t, f, r)
		if last.Reason() != "affinity" || last.Member().Name != first.Member().Name || last.SetCookie() == nil {
			t.Errorf("seen 59 minutes ago, yet %s by %s", last.Member().Name, last.Reason())
		}
		time.Sleep(61 * time.Minute)
		late := pick(t, f, Request{Cookie: last.SetCookie().Value})
		if late.Reason() != "balance" || late.SetCookie() == nil {
			t.Errorf("seen 61 minutes ago, yet by %s", late.Reason())
		}
		if n := counted(f); n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}

// counted is the number of sessions that the farm tells.
func counted(f *Farm) (n int) {
	for _, m := range f.Snapshot().Members {
		n += m.Sessions
	}
	return n
}

func TestRetriedRequestIsOneSession(t *testing.T) {
	f := newFarm(t, Options{}, 1, 1, 1)
	first := pick(t, f, Request{})
	first.Done(Outcome{Failed: true})
	if n := counted(f); n != 0 {
		t.Errorf("%d sessions after a failure of which the client knows nothing", n)
	}
	second := pick(t, f, Request{Tried: []string{first.Member().Name}})
	second.Done(Outcome{})
	if n := counted(f); n != 1 {
		t.Errorf("%d sessions after one request", n)
	}
	pick(t, f, Request{Cookie: second.SetCookie().Value}).Done(Outcome{Failed: true})
	if n := counted(f); n != 1 {
		t.Errorf("%d sessions after a failure of an old session", n)
	}
}

func TestMovedSessionIsToldUntilTheClientKnows(t *testing.T) {
	f := newFarm(t, Options{}, 1, 1)
	first := pick(t, f, Request{})
	r := Request{Cookie: first.SetCookie().Value}
	f.SetHealth(first.Member().Name, bad)
	moved := pick(t, f, r)
	f.SetHealth(first.Member().Name, good)
	again := pick(t, f, r) // the client has not taken the new cookie
	if again.Member().Name != moved.Member().Name || again.Reason() != "affinity" || again.SetCookie() == nil {
		t.Errorf("%s by %s, cookie %v", again.Member().Name, again.Reason(), again.SetCookie())
	}
}

// TestCookieOutlivesTheTable: another node with the same key, or the farm after a restart, knows the member by the cookie.
func TestCookieOutlivesTheTable(t *testing.T) {
	f := newFarm(t, Options{AffinityKey: []byte("key")}, 1, 1, 1)
	for range 6 {
		l := pick(t, f, Request{})
		next := newFarm(t, Options{AffinityKey: []byte("key")}, 1, 1, 1)
		got := pick(t, next, Request{Cookie: l.SetCookie().Value})
		if got.Member().Name != l.Member().Name || got.Reason() != "affinity" || counted(next) != 1 {
			t.Errorf("%s by %s, was %s", got.Member().Name, got.Reason(), l.Member().Name)
		}
	}
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestCookieOfAnotherFarm(t *testing.T) {
	f := newFarm(t, Options{AffinityKey: []byte("key")}, 1, 1)
	other, err := New(Options{Name: "other", AffinityKey: []byte("key"), Members: f.opt.Members})
	if err != nil {
		t.Fatal(err)
	}
	if f.CookieName() == other.CookieName() {
		t.Error("two farms share a cookie")
	}
	if l := pick(t, f, Request{Cookie: f.cookies.make("a", 1, false, time.Now()).Value}); l.Reason() != "affinity" {
		t.Error("the farm's own cookie does not count")
	}
	cookie := other.cookies.make("a", 1, false, time.Now()).Value
	if l := pick(t, f, Request{Cookie: cookie}); l.Reason() != "balance" {
		t.Error("a cookie of another farm counts")
	}
}

func TestCookieOfTheFuture(t *testing.T) {
	f := newFarm(t, Options{}, 1, 1)
	for ahead, want := range map[time.Duration]string{30 * time.Second: "affinity", time.Hour: "balance"} {
		c := f.cookies.make("a", 1, false, time.Now().Add(ahead))
		if l := pick(t, f, Request{Cookie: c.Value}); l.Reason() != want {
			t.Errorf("%v ahead: by %s", ahead, l.Reason())
		}
	}
}

func TestForgedCookiesAreNone(t *testing.T) {
	f := newFarm(t, Options{AffinityKey: []byte("key")}, 1, 1)
	other := newFarm(t, Options{AffinityKey: []byte("another key")}, 1, 1)
	mine := pick(t, f, Request{}).SetCookie().Value
	foreign := pick(t, other, Request{}).SetCookie().Value
	values := map[string]string{"foreign": foreign, "short": mine[:10], "long": mine + "A", "noise": strings.Repeat("!", len(mine))}
	for i := range mine { // the last letter has bits that do not count in base64
		for _, letter := range "ABCDQgw" {
			flipped := []byte(mine)
			if flipped[i] = byte(letter); string(flipped) != mine {
				values[fmt.Sprintf("letter %d made %c", i, letter)] = string(flipped)
			}
		}
	}
	last := strings.IndexByte(base64Letters, mine[len(mine)-1])
	values["bits beyond the end"] = mine[:len(mine)-1] + string(base64Letters[last^1])
	for name, value := range values {
		if l := pick(t, f, Request{Cookie: value}); l.Reason() != "balance" || l.SetCookie() == nil {
			t.Errorf("%s cookie: by %s", name, l.Reason())
		}
	}
	if strings.Contains(mine, "10.0.0.1") {
		t.Error("the cookie tells the address")
	}
}

func TestSourceIPAffinityMovesOnlyOwnClients(t *testing.T) {
	f := newFarm(t, Options{Affinity: SourceIPAffinity}, 1, 1, 2)
	home := map[netip.Addr]string{}
	got := map[string]int{}
	for i := range 4000 {
		ip := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		home[ip] = pick(t, f, Request{ClientIP: ip}).Member().Name
		got[home[ip]]++
	}
	if math.Abs(float64(got["c"])-2000) > 200 {
		t.Errorf("spread %v", got)
	}
	f.SetHealth("a", bad)
	for ip, was := range home {
		if now := pick(t, f, Request{ClientIP: ip}).Member().Name; was != "a" && now != was || now == "a" {
			t.Fatalf("%s moved from %s to %s when a failed", ip, was, now)
		}
	}
}

func TestSourceIPAddresses(t *testing.T) {
	f := newFarm(t, Options{Affinity: SourceIPAffinity}, 1, 1)
	got := map[string]int{}
	for range 10 {
		got[pick(t, f, Request{}).Member().Name]++
	}
	if got["a"] != 5 || counted(f) != 0 {
		t.Errorf("peers without an address: %v, %d sessions", got, counted(f))
	}
	for i := range byte(20) {
		four := pick(t, f, Request{ClientIP: netip.AddrFrom4([4]byte{10, 0, 0, i})})
		mapped := netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 10, 15: i})
		if six := pick(t, f, Request{ClientIP: mapped}); six.Member().Name != four.Member().Name || six.Reason() != "affinity" {
			t.Errorf("%s is another client than its IPv4 address", mapped)
		}
	}
	if counted(f) != 20 {
		t.Errorf("%d sessions", counted(f))
	}
}

// TestSourceIPClientsStayWhileDraining: clients that were seen go on to a draining member, unknown ones elsewhere.
func TestSourceIPClientsStayWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{Affinity: SourceIPAffinity, AffinityLifetime: time.Minute}, 1, 1)
		var known netip.Addr
		for i := byte(1); !known.IsValid(); i++ {
			if ip := netip.AddrFrom4([4]byte{10, 0, 0, i}); pick(t, f, Request{ClientIP: ip}).Member().Name == "a" {
				known = ip
			}
		}
		if err := f.Drain("a", time.Hour); err != nil {
			t.Fatal(err)
		}
		if l := pick(t, f, Request{ClientIP: known}); l.Member().Name != "a" || l.Reason() != "affinity" {
			t.Errorf("a known client was sent to %s by %s", l.Member().Name, l.Reason())
		}
		for i := range byte(50) {
			if l := pick(t, f, Request{ClientIP: netip.AddrFrom4([4]byte{10, 9, 0, i})}); l.Member().Name != "b" {
				t.Fatal("an unknown client was sent to a draining member")
			}
		}
		next, err := New(f.opt)
		if err != nil {
			t.Fatal(err)
		}
		next.Restore(f)
		if l := pick(t, next, Request{ClientIP: known}); l.Member().Name != "a" {
			t.Errorf("after a reload a known client was sent to %s by %s", l.Member().Name, l.Reason())
		}
		time.Sleep(61 * time.Second)
		if l := pick(t, f, Request{ClientIP: known}); l.Member().Name != "b" {
			t.Error("a client that was long away was sent to a draining member")
		}
	})
}

// TestDrainWithoutOthers: nobody fails open to members that operators took out.
func TestDrainWithoutOthers(t *testing.T) {
	f := newFarm(t, Options{FailOpen: true, AffinityKey: []byte("key")}, 1)
	cookie := pick(t, f, Request{}).SetCookie().Value
	if err := f.Drain("a", time.Hour); err != nil {
		t.Fatal(err)
	}
	var none *NoMember
	if _, err := f.Pick(Request{}); !errors.As(err, &none) || none.Reason != "a: draining: no new sessions" || f.Snapshot().FailOpen {
		t.Errorf("a new session: %v, %+v", err, f.Snapshot())
	}
	if l := pick(t, f, Request{Cookie: cookie}); l.Reason() != "affinity" {
		t.Errorf("the session goes on by %s", l.Reason())
	}
	if err := f.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if err := f.Drain("a", time.Hour); err != nil || f.Snapshot().Members[0].Mode != Removed {
		t.Errorf("a drain brought a removed member back: %v", err)
	}
	if _, err := f.Pick(Request{Cookie: cookie}); !errors.As(err, &none) || counted(f) != 0 {
		t.Errorf("the session of a removed member: %v", err)
	}
}

func TestSnapshotHidesPasswords(t *testing.T) {
	u, err := url.Parse("http://user:secret@10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{Name: "x", Members: []Member{{Name: "a", URL: u}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Snapshot().Members[0].URL; strings.Contains(got, "secret") {
		t.Error(got)
	}
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{AffinityKey: []byte("key")}, 1, 1)
		old := pick(t, f, Request{})
		home := old.Member().Name
		if err := f.Drain(home, time.Minute); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if l := pick(t, f, Request{}); l.Member().Name == home {
				t.Fatal("a new session went to a draining member")
			}
		}
		if l := pick(t, f, Request{Cookie: old.SetCookie().Value}); l.Member().Name != home {
			t.Error("an existing session was moved")
		}
		for _, m := range f.Snapshot().Members {
			if m.Name == home && (m.Mode != Draining || m.Sessions != 1 || m.Active != 2 || time.Until(*m.Deadline) != time.Minute) {
				t.Errorf("draining member %+v", m)
			}
		}
		ended := f.Ended(home)
		select {
		case <-ended:
			t.Error("ended before the deadline")
		default:
		}
		time.Sleep(time.Minute + time.Second)
		select {
		case <-ended:
		default:
			t.Error("nobody was told that the drain is over")
		}
		if l := pick(t, f, Request{Cookie: old.SetCookie().Value}); l.Member().Name == home {
			t.Error("a session stayed after the drain")
		}
		if err := f.Resume(home); err != nil {
			t.Fatal(err)
		}
		if l := pick(t, f, Request{Tried: []string{other(home)}}); l.Member().Name != home {
			t.Error("a resumed member is not used")
		}
	})
}

func other(name string) string { return map[string]string{"a": "b", "b": "a"}[name] }

func TestResumeStopsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{DrainTimeout: time.Minute}, 1, 1)
		for _, order := range []error{f.Drain("a", 0), f.Resume("a"), f.Drain("b", time.Second), f.Drain("b", time.Hour)} {
			if order != nil {
				t.Fatal(order)
			}
		}
		time.Sleep(10 * time.Minute)
		if s := f.Snapshot(); s.Members[0].Mode != Active || s.Members[1].Mode != Draining {
			t.Errorf("modes %+v", s.Members)
		}
		if err := f.Remove("b"); err != nil {
			t.Fatal(err)
		}
		var unknown *UnknownMember
		if err := f.Drain("x", 0); !errors.As(err, &unknown) {
			t.Errorf("drain of nobody: %v", err)
		}
	})
}

// TestLateDeadlineDoesNothing: a deadline that passes while an order to resume holds the lock comes too late.
func TestLateDeadlineDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{}, 1)
		if err := f.Drain("a", time.Minute); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		time.Sleep(time.Minute)
		f.members[0].activate()
		f.mu.Unlock()
		synctest.Wait()
		if mode := f.Snapshot().Members[0].Mode; mode != Active {
			t.Errorf("%s after it was resumed", mode)
		}
	})
}

func TestResumedMemberStartsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{SlowStart: time.Minute}, 1)
		for _, order := range []error{f.Resume("a"), f.Drain("a", time.Hour)} {
			if w := f.Snapshot().Members[0].SlowStart; order != nil || w != 1 {
				t.Errorf("%v, share %v", order, w)
			}
		}
		if err := f.Resume("a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if w := f.Snapshot().Members[0].SlowStart; w != 0.25 {
			t.Errorf("share %v", w)
		}
	})
}

func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{Affinity: NoAffinity, SlowStart: time.Minute}, 1, 1)
		if w := f.Snapshot().Members[0].SlowStart; w != 1 {
			t.Errorf("slow start of %v at the very start", w)
		}
		f.SetHealth("a", bad)
		f.SetHealth("a", good)
		if got := spread(t, f, 110); got["a"] > 15 || got["a"] == 0 {
			t.Errorf("just back: %v", got)
		}
		time.Sleep(30 * time.Second)
		if got := spread(t, f, 150); math.Abs(float64(got["a"])-50) > 5 {
			t.Errorf("half way: %v", got)
		}
		time.Sleep(30 * time.Second)
		if got := spread(t, f, 100); got["a"] != 50 {
			t.Errorf("warm: %v", got)
		}
	})
}

func TestRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{Affinity: NoAffinity, Retry: Retry{Attempts: 3, Budget: 20}}, 1)
		allowed := func() (n int) {
			for range 1000 {
				if f.AllowRetry() {
					n++
				}
			}
			return n
		}
		if n := allowed(); n != freeRetries {
			t.Errorf("%d retries without traffic", n)
		}
		time.Sleep(windowSeconds * time.Second)
		spread(t, f, 500)
		for range 100 {
			pick(t, f, Request{Tried: []string{"nobody"}}) // a second try is not another request
		}
		if n := allowed(); n != 100 {
			t.Errorf("%d retries for 500 requests at 20 %%", n)
		}
		if f.Attempts() != 3 {
			t.Error("attempts")
		}
		none := newFarm(t, Options{Affinity: NoAffinity, Retry: Retry{Attempts: 3}}, 1)
		if none.AllowRetry() {
			t.Error("a retry without a budget")
		}
	})
}

func TestRestoreKeepsWhatIsKnown(t *testing.T) {
	f := newFarm(t, Options{AffinityKey: []byte("key")}, 1, 1, 1)
	lease := pick(t, f, Request{})
	home := lease.Member().Name
	f.SetHealth("c", bad)
	if err := f.Drain("b", time.Hour); err != nil {
		t.Fatal(err)
	}
	next, err := New(Options{Name: "shop", AffinityKey: []byte("key"), Members: append(f.opt.Members[:2:2], Member{Name: "new", URL: &url.URL{}})})
	if err != nil {
		t.Fatal(err)
	}
	next.Restore(f)
	if l := pick(t, next, Request{Cookie: lease.SetCookie().Value}); l.Member().Name != home {
		t.Errorf("the session moved from %s to %s", home, l.Member().Name)
	}
	lease.Done(Outcome{Failed: true}) // began before, ends after
	s := next.Snapshot()
	for _, m := range s.Members {
		switch {
		case m.Name == home && (m.Requests != 2 || m.Failures != 1 || m.Active != 1):
			t.Errorf("counts %+v", m)
		case m.Name == "b" && m.Mode != Draining:
			t.Errorf("the drain was forgotten: %+v", m)
		case m.Name == "new" && m.State != state.Unknown:
			t.Errorf("the new member has a past: %+v", m)
		}
	}
	if len(s.Members) != 3 {
		t.Errorf("members %+v", s.Members)
	}
}

// TestRestoreLeavesTheOldFarmWhole: a reload that fails goes on with the old farm.
func TestRestoreLeavesTheOldFarmWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Options{AffinityKey: []byte("key")}, 1, 1)
		var cookie string
		for cookie == "" {
			if l := pick(t, f, Request{}); l.Member().Name == "b" {
				cookie = l.SetCookie().Value
			}
		}
		if err := f.Drain("b", time.Minute); err != nil {
			t.Fatal(err)
		}
		next, err := New(Options{Name: "shop", AffinityKey: []byte("key"), Members: f.opt.Members[:1]})
		if err != nil {
			t.Fatal(err)
		}
		next.Restore(f)
		if l := pick(t, f, Request{Cookie: cookie}); l.Member().Name != "b" {
			t.Error("the old farm lost a session")
		}
		if l := pick(t, next, Request{Cookie: cookie}); l.Member().Name != "a" {
			t.Error("the new farm uses a member that it has not")
		}
		ended := f.Ended("b")
		time.Sleep(time.Minute + time.Second)
		select {
		case <-ended:
		default:
			t.Error("the drain of a member that is gone has no end")
		}
		if next.Ended("b") != nil {
			t.Error("the new farm knows a member that it has not")
		}
	})
}

func TestSessionsAreBounded(t *testing.T) {
	f := newFarm(t, Options{Affinity: SourceIPAffinity}, 1)
	for i := range maxSessions + 500 {
		pick(t, f, Request{ClientIP: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}).Done(Outcome{})
	}
	if n := f.Snapshot().Members[0].Sessions; n != maxSessions {
		t.Errorf("%d sessions", n)
	}
}

func TestBadOptions(t *testing.T) {
	u := &url.URL{}
	tests := map[string]Options{
		"no name":    {Members: []Member{{Name: "a", URL: u}}},
		"no members": {Name: "x"},
		"balance":    {Name: "x", Balance: "fair", Members: []Member{{Name: "a", URL: u}}},
		"affinity":   {Name: "x", Affinity: "mood", Members: []Member{{Name: "a", URL: u}}},
		"twice":      {Name: "x", Members: []Member{{Name: "a", URL: u}, {Name: "a", URL: u}}},
		"no URL":     {Name: "x", Members: []Member{{Name: "a"}}},
		"weight":     {Name: "x", Members: []Member{{Name: "a", URL: u, Weight: -1}}},
		"negative":   {Name: "x", SlowStart: -1, Members: []Member{{Name: "a", URL: u}}},
	}
	for name, opt := range tests {
		if _, err := New(opt); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestNeverUsesWhatItMustNot: over any sequence of orders and health, no removed member is picked, no draining or failing
// one gets a new session unless the farm fails open, and the counts of sessions are those of the table.
func TestNeverUsesWhatItMustNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, err := New(Options{
			Name: "x", FailOpen: rapid.Bool().Draw(t, "fail open"), AffinityKey: []byte("k"),
			Balance:  rapid.SampledFrom([]string{RoundRobin, LeastConnections, RandomTwo}).Draw(t, "balance"),
			Affinity: rapid.SampledFrom([]string{CookieAffinity, SourceIPAffinity, NoAffinity}).Draw(t, "affinity"),
			Members:  []Member{{Name: "a", URL: &url.URL{}}, {Name: "b", URL: &url.URL{}, Weight: 3}, {Name: "c", URL: &url.URL{}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		names := rapid.SampledFrom([]string{"a", "b", "c"})
		cookie, home, usable := "", "", map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"drain":  func(t *rapid.T) { _ = f.Drain(names.Draw(t, "m"), time.Hour) },
			"resume": func(t *rapid.T) { _ = f.Resume(names.Draw(t, "m")) },
			"remove": func(t *rapid.T) { _ = f.Remove(names.Draw(t, "m")) },
			"good":   func(t *rapid.T) { m := names.Draw(t, "m"); usable[m] = true; f.SetHealth(m, good) },
			"bad":    func(t *rapid.T) { m := names.Draw(t, "m"); usable[m] = false; f.SetHealth(m, bad) },
			"pick": func(t *rapid.T) {
				before := f.Snapshot()
				r := Request{Cookie: cookie, ClientIP: netip.AddrFrom4([4]byte{1, 1, 1, byte(rapid.IntRange(0, 5).Draw(t, "ip"))})}
				l, err := f.Pick(r)
				if err != nil {
					for _, m := range before.Members {
						if m.Usable {
							t.Fatalf("%v, but %s is usable", err, m.Name)
						}
					}
					return
				}
				l.Done(Outcome{})
				if c := l.SetCookie(); c != nil {
					cookie = c.Value
				}
				for _, m := range before.Members {
					if m.Name == home && m.Mode != Removed && usable[home] && l.Member().Name != home {
						t.Fatalf("the session moved from %+v to %s by %s", m, l.Member().Name, l.Reason())
					}
				}
				if f.opt.Affinity == CookieAffinity {
					home = l.Member().Name
				}
				for _, m := range before.Members {
					if m.Name == l.Member().Name && (m.Mode == Removed || !m.Usable && l.Reason() != "affinity") {
						t.Fatalf("picked %+v by %s", m, l.Reason())
					}
				}
			},
			"": func(t *rapid.T) {
				counted := map[*standing]int{}
				for _, at := range f.sessions.places {
					counted[f.sessions.all[at].member]++
				}
				for _, m := range f.members {
					if m.sessions != counted[m.standing] {
						t.Fatalf("%s counts %d sessions, the table has %d", m.Name, m.sessions, counted[m.standing])
					}
				}
			},
		})
	})
}

func TestConcurrentUse(t *testing.T) {
	f := newFarm(t, Options{AffinityKey: []byte("k"), FailOpen: true}, 1, 2, 3)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 300 {
				l, err := f.Pick(Request{})
				if err == nil {
					l.Done(Outcome{Failed: j%7 == 0})
				}
				switch name := string(rune('a' + (i+j)%3)); j % 50 {
				case 10:
					_ = f.Drain(name, time.Hour)
				case 15:
					_ = f.Drain(name, time.Microsecond) // runs out while others pick
				case 35:
					next, err := New(f.opt)
					if err != nil {
						t.Error(err)
						return
					}
					next.Restore(f)
					if l, err := next.Pick(Request{}); err == nil {
						l.Done(Outcome{})
					}
				case 20:
					_ = f.Remove(name)
				case 30:
					_ = f.Resume(name)
				case 40:
					f.SetHealth(name, bad)
					f.SetHealth(name, good)
				}
				f.Snapshot()
				f.AllowRetry()
			}
		})
	}
	all.Wait()
	for _, m := range f.Snapshot().Members {
		if m.Active != 0 {
			t.Errorf("%+v", m)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, members := range []int{3, 100} {
		for _, affinity := range []string{NoAffinity, CookieAffinity, SourceIPAffinity} {
			b.Run(fmt.Sprintf("%d/%s", members, affinity), func(b *testing.B) {
				opt := Options{Name: "x", Affinity: affinity, AffinityKey: []byte("k")}
				for i := range members {
					opt.Members = append(opt.Members, Member{Name: fmt.Sprint(i), URL: &url.URL{}})
				}
				f, err := New(opt)
				if err != nil {
					b.Fatal(err)
				}
				for _, m := range opt.Members {
					f.SetHealth(m.Name, good)
				}
				r := Request{ClientIP: netip.MustParseAddr("10.0.0.1")}
				if c := pick(b, f, r).SetCookie(); c != nil {
					r.Cookie = c.Value
				}
				b.ReportAllocs()
				for b.Loop() {
					l, err := f.Pick(r)
					if err != nil {
						b.Fatal(err)
					}
					l.Done(Outcome{})
				}
			})
		}
	}
}

// FuzzCookie: whatever a client sends, nothing panics, and what counts is exactly what the farm would have written.
func FuzzCookie(f *testing.F) {
	farm := newFarm(f, Options{AffinityKey: []byte("key")}, 1, 1)
	f.Add(pick(f, farm, Request{}).SetCookie().Value)
	f.Add(strings.Repeat("A", cookieText))
	f.Fuzz(func(t *testing.T, value string) {
		l := pick(t, farm, Request{Cookie: value})
		c, ok := farm.cookies.read(value, time.Now())
		if ok != (l.Reason() == "affinity") {
			t.Errorf("%q is read as %v, but picked by %s", value, ok, l.Reason())
		}
		if ok && farm.cookies.make(c.member, c.session, false, c.issued).Value != value {
			t.Errorf("%q counts as a cookie", value)
		}
	})
}

package consoletest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"gatehouse/internal/console"
	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/trend"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

func workers(now time.Time) supervisor.Status {
	return supervisor.Status{
		PID: 4120, Version: "0.1.0", Started: now.Add(-9*24*time.Hour - 4*time.Hour), ConfigFile: "/etc/gatehouse/gatehouse.yaml", ConfigLoaded: now.Add(-30 * time.Hour),
		ConfigError: "gatehouse.yaml:41:7: web_farms.shop.members[2].wieght: unknown key; did you mean weight?",
		Workers: []supervisor.WorkerStatus{
			{Role: "edge", State: "ready", PID: 4133, Started: now.Add(-9*24*time.Hour - 4*time.Hour), RSSBytes: 61_300_000, Generation: 1},
			{Role: "verify", State: "ready", PID: 18822, Started: now.Add(-4 * time.Minute), Restarts: 2, LastExit: "killed by signal 9", RSSBytes: 28_900_000, Generation: 3},
			{Role: "watch", State: "ready", PID: 4135, Started: now.Add(-9*24*time.Hour - 4*time.Hour), RSSBytes: 143_000_000, Generation: 1},
		},
	}
}

type sketch struct {
	name, kind, target string
	group              state.Group
	state              state.State
	since              time.Duration
	phase              state.Phase
	reason             string
	evidence           []string
	base               time.Duration
}

func sketches() []sketch {
	h := time.Hour
	return []sketch{
		{"dc1", "tcp", "dc1.corp.example:88", state.ActiveDirectory, state.Good, 211 * h, "", "connected", nil, 2 * time.Millisecond},
		{"dc2", "tcp", "dc2.corp.example:88", state.ActiveDirectory, state.Good, 40 * h, "", "connected", nil, 3 * time.Millisecond},
		{"dhcp", "icmp", "dhcp.corp.example", state.DHCP, state.Good, 211 * h, "", "answered the echo", nil, time.Millisecond},
		{"resolver", "tcp", "ns1.corp.example:53", state.DNS, state.Slow, 26 * time.Minute, "", "answered in 6.12 s, slower than the threshold of 5 s", nil, 6120 * time.Millisecond},
		{"shop/tango", "http", "http://10.20.0.11:8080/health", state.PublishedServers, state.Good, 211 * h, "", "HTTP 200", []string{"HTTP 200"}, 11 * time.Millisecond},
		{"shop/uniform", "http", "http://10.20.0.12:8080/health", state.PublishedServers, state.Refused, 12 * time.Minute, state.Connect, "connection refused by 10.20.0.12:8080", []string{"ECONNREFUSED"}, time.Millisecond},
		{"shop/victor", "http", "http://10.20.0.13:8080/health", state.PublishedServers, state.Good, 7 * h, "", "HTTP 200", []string{"HTTP 200"}, 14 * time.Millisecond},
		{"mail/one", "http", "https://mail1.corp.example/owa", state.PublishedServers, state.AuthenticationRequired, 90 * h, "", "HTTP 401: the server wants to know who asks; the farm counts this as up", []string{"HTTP 401", "WWW-Authenticate: Negotiate", "WWW-Authenticate: NTLM"}, 38 * time.Millisecond},
		{"mail/two", "http", "https://mail2.corp.example/owa", state.PublishedServers, state.TLSError, 3 * h, state.TLS, "certificate expired on 22 Nov 11:00", []string{"x509: certificate has expired"}, 21 * time.Millisecond},
		{"intranet", "http", "https://intranet.corp.example/", state.Web, state.Good, 100 * h, "", "HTTP 200", []string{"HTTP 200"}, 46 * time.Millisecond},
		{"partner", "http", "https://partner.example/api/ping", state.Web, state.Timeout, 47 * time.Minute, state.FirstByte, "no answer within 10 s", []string{"connected to 192.0.2.44:443"}, 10 * time.Second},
		{"printer", "icmp", "printer-3.corp.example", state.Others, state.Good, 60 * h, "", "answered the echo", nil, 4 * time.Millisecond},
	}
}

func (w *World) addVerifiers() {
	random := rand.New(rand.NewPCG(7, 11))
	for _, k := range sketches() {
		results := history(random, w.now, k)
		last := results[len(results)-1]
		s := state.Status{Verifier: k.name, Kind: k.kind, Target: k.target, Group: k.group, State: k.state, Since: w.now.Add(-k.since), Usable: k.state.Answered(),
			Reason: k.reason, Last: &last, Streak: min(60, int(k.since/(30*time.Second))), Checks: 26_400, Failures: uint64(float64(k.since/time.Minute) * 0.07)}
		if name, member, found := strings.Cut(k.name, "/"); found {
			s.Farm, s.Member = name, member
		}
		w.results[k.name] = results
		w.verifiers = append(w.verifiers, s)
	}
}

// history is an hour of checks, one each 30 s.
func history(random *rand.Rand, now time.Time, k sketch) []state.Result {
	out := make([]state.Result, 0, 120)
	for i := range 120 {
		at := now.Add(-time.Duration(120-i) * 30 * time.Second)
		r := state.Result{At: at, State: k.state, Phase: k.phase, Reason: k.reason, Evidence: k.evidence, Address: "10.20.0.10:443"}
		total := time.Duration(float64(k.base) * (0.75 + 0.5*random.Float64()))
		if now.Sub(at) > k.since { // before it came to this
			r.State, r.Phase, r.Reason, r.Evidence = state.Good, "", "HTTP 200", []string{"HTTP 200"}
			total = time.Duration(float64(12*time.Millisecond) * (0.75 + 0.5*random.Float64()))
		}
		if k.name == "shop/tango" && i == 83 {
			r.State, r.Phase, r.Reason, total = state.Timeout, state.FirstByte, "no answer within 10 s", 10*time.Second
		}
		r.Timings = split(total, k.kind)
		out = append(out, r)
	}
	return out
}

func split(total time.Duration, kind string) state.Timings {
	t := state.Timings{Total: total}
	switch kind {
	case "http":
		t.Resolve, t.Connect, t.TLS, t.Request, t.FirstByte, t.Body = total*8/100, total*14/100, total*30/100, total*2/100, total*40/100, total*6/100
	case "tcp":
		t.Resolve, t.Connect = total*20/100, total*80/100
	}
	return t
}

func farms(now time.Time) []farm.Snapshot {
	until := now.Add(8*time.Minute + 20*time.Second)
	return []farm.Snapshot{
		{Name: "shop", Balance: "least-connections", Affinity: "cookie", Members: []farm.MemberSnapshot{
			{Name: "tango", URL: "http://10.20.0.11:8080", Weight: 2, Mode: farm.Active, State: state.Good, Usable: true, Reason: "answers", SlowStart: 1, Requests: 1_204_512, Failures: 41, Active: 23, Sessions: 1412},
			{Name: "uniform", URL: "http://10.20.0.12:8080", Weight: 1, Mode: farm.Active, State: state.Refused, Reason: "connection refused by 10.20.0.12:8080", SlowStart: 1, Requests: 598_220, Failures: 2_377},
			{Name: "victor", URL: "http://10.20.0.13:8080", Weight: 1, Mode: farm.Active, State: state.Good, Usable: true, Reason: "answers, back for 12 s", SlowStart: 0.4, Requests: 601_903, Failures: 12, Active: 9, Sessions: 640},
			{Name: "whiskey", URL: "http://10.20.0.14:8080", Weight: 1, Mode: farm.Draining, Deadline: &until, State: state.Good, Reason: "draining by the operator", SlowStart: 1, Requests: 611_004, Failures: 9, Active: 4, Sessions: 42},
		}},
		{Name: "mail", Balance: "round-robin", Affinity: "source-ip", FailOpen: true, Members: []farm.MemberSnapshot{
			{Name: "one", URL: "https://mail1.corp.example", Weight: 1, Mode: farm.Active, State: state.Timeout, Reason: "no answer within 10 s", SlowStart: 1, Requests: 88_120, Failures: 410, Active: 2, Sessions: 73},
			{Name: "two", URL: "https://mail2.corp.example", Weight: 1, Mode: farm.Active, State: state.TLSError, Reason: "certificate expired on 22 Nov 11:00", SlowStart: 1, Requests: 87_004, Failures: 1_822, Sessions: 51},
		}},
	}
}

func processes(now time.Time) []watch.Process {
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	day := 24 * time.Hour
	detect := 1.2e6
	process := func(id, name string, pid int, up time.Duration, values map[string]float64, f *trend.Finding) watch.Process {
		return watch.Process{ID: id, Name: name, PID: pid, Started: now.Add(-up), Values: values, Finding: f, Looked: now.Add(-90 * time.Second)}
	}
	leak := &trend.Finding{Verdict: trend.Leak, Confidence: 0.997, Counter: "private", Since: at(-8*day + 13*time.Hour), Rate: &trend.Rate{BytesPerDay: 23.4e6, Low: 22.9e6, High: 24.1e6},
		Decreases: &trend.Decreases{}, Limit: &trend.Limit{Bytes: 2 << 30, Of: "private", Reached: at(11 * day), Low: at(10 * day), High: at(13 * day)}, DetectableRate: &detect,
		Evidence: []trend.Evidence{
			{Rule: "samples", Value: 8.4, Threshold: 2, Holds: true, Text: "8.4 days of samples are enough to judge"},
			{Rule: "trend", Value: 14.2, Threshold: 1.96, Holds: true, Text: "the hourly floor rises, and would by chance in fewer than 1 of 10,000 processes"},
			{Rule: "given back", Value: 0.02, Threshold: 0.2, Holds: true, Text: "2 % of the growth was ever given back"},
			{Rule: "load", Value: 0.11, Threshold: 0.5, Holds: true, Text: "requests a second explain 11 % of the growth"},
			{Rule: "warm-up", Value: 0.97, Threshold: 0.6, Holds: true, Text: "the last quarter grew as fast as the first: it is not warming up"},
		}}
	frag := &trend.Finding{Verdict: trend.Fragmentation, Confidence: 0.91, Counter: "rss", Since: at(-5 * day), Rate: &trend.Rate{BytesPerDay: 6.1e6, Low: 4.4e6, High: 7.7e6}, Decreases: &trend.Decreases{Ever: true, GivenBack: 0.12},
		Limit:    &trend.Limit{Bytes: 1 << 30, Of: "rss", Reached: at(82 * day), Low: at(64 * day)},
		Evidence: []trend.Evidence{{Rule: "heap in use", Value: 0.02, Threshold: 0.3, Holds: true, Text: "the heap in use explains 2 % of the growth"}}}
	gone := process("batch-9001", "nightly batch", 9001, 9*time.Hour, map[string]float64{"rss": 310e6}, &trend.Finding{Verdict: trend.Inconclusive, DaysNeeded: 0.4, Counter: "rss"})
	gone.Gone = true
	unreadable := process("db-771", "orders database", 771, 40*day, nil, nil)
	unreadable.Error = "reading /proc/771/smaps_rollup: permission denied; run gatehouse as the same user or with CAP_SYS_PTRACE"
	edge := process("edge-4133", "gatehouse edge", 4133, 220*time.Hour, map[string]float64{"rss": 61.3e6, "pss": 52.1e6, "heap_in_use": 31e6, "heap_released": 12e6, "goroutines": 244, "threads": 9, "fds": 611, "cpu_seconds": 8778.0},
		&trend.Finding{Verdict: trend.Stable, Confidence: 0.98, Counter: "pss", DetectableRate: &detect, Evidence: []trend.Evidence{{Rule: "trend", Value: 0.4, Threshold: 1.96, Text: "the hourly floor does not rise"}}})
	edge.Worker = "edge"
	leaking := process("w3svc-2204", "shop backend", 2204, 8*day+10*time.Hour, map[string]float64{"private": 1.886e9, "rss": 1.91e9, "pss": 1.88e9, "virtual": 3.4e9, "swap": 0, "threads": 61, "fds": 402, "cpu_seconds": 24871.0}, leak)
	leaking.Confirmed = true
	return []watch.Process{
		leaking,
		process("cache-3001", "session cache", 3001, 12*day, map[string]float64{"rss": 524e6, "pss": 519e6, "heap_in_use": 212e6, "threads": 14, "fds": 96, "cpu_seconds": 3657.5}, frag),
		edge,
		process("search-5120", "search", 5120, 3*time.Hour, map[string]float64{"rss": 742e6, "pss": 739e6, "threads": 38, "fds": 210, "cpu_seconds": 51936.5}, &trend.Finding{Verdict: trend.WarmUp, Confidence: 0.93, Counter: "pss"}),
		process("mail-610", "mail transport", 610, 33*day, map[string]float64{"rss": 96e6, "pss": 91e6, "threads": 4, "fds": 77, "cpu_seconds": 731.5}, &trend.Finding{Verdict: trend.Load, Confidence: 0.95, Counter: "pss", DetectableRate: &detect}),
		unreadable, gone,
	}
}

// chart draws each process's history from its verdict.
func (w *World) chart(_ context.Context, id string, span time.Duration) (watch.Chart, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.silent["watch"]; err != nil {
		return watch.Chart{}, err
	}
	for _, p := range w.processes {
		if p.ID == id {
			return draw(p, w.now, span), nil
		}
	}
	return watch.Chart{}, fmt.Errorf("process %s: %w", id, console.ErrNotFound)
}

func draw(p watch.Process, now time.Time, span time.Duration) watch.Chart {
	const points = 480
	if span == 0 || span > now.Sub(p.Started) {
		span = now.Sub(p.Started)
	}
	random := rand.New(rand.NewPCG(uint64(p.PID), 3))
	c := watch.Chart{Process: p.ID, Counter: "pss"}
	if p.Values == nil || p.Finding == nil {
		return c
	}
	level := math.Max(p.Values["private"], p.Values["pss"])
	if level == 0 {
		level = p.Values["rss"]
	}
	f := p.Finding
	c.Counter = f.Counter
	if f.Limit != nil {
		c.Limit = &f.Limit.Bytes
	}
	for i := range points + 1 {
		at := now.Add(-span + span*time.Duration(i)/points)
		days := now.Sub(at).Hours() / 24
		up := at.Sub(p.Started).Hours()
		floor := level
		if f.Rate != nil {
			floor -= f.Rate.BytesPerDay * math.Min(days, now.Sub(*f.Since).Hours()/24)
		}
		if f.Verdict == trend.WarmUp {
			floor *= 1 - 0.6*math.Exp(-up*1.8)
		}
		daily := 0.5 + 0.5*math.Sin((float64(at.Hour())+float64(at.Minute())/60-9)/24*2*math.Pi)
		busy := floor + level*0.012*daily + level*0.006*math.Abs(random.NormFloat64())
		c.Times = append(c.Times, float64(at.Unix()))
		c.Memory, c.Floor = append(c.Memory, &busy), append(c.Floor, &floor)
		var line *float64
		if f.Rate != nil && at.After(*f.Since) {
			line = &floor
		}
		c.Trend = append(c.Trend, line)
		if i == 200 && f.Verdict == trend.Stable {
			c.Memory[i] = nil // a sample that is missing
		}
	}
	return c
}

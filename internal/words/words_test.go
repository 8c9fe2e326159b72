package words

import (
	"testing"
	"time"

	"gatehouse/internal/memory/trend"
)

// at is the moment of these tests, in a zone that is not UTC.
var at = Clock{Now: time.Date(2026, time.November, 22, 14, 2, 11, 0, time.FixedZone("", 3600))}

func ago(d time.Duration) *time.Time { t := at.Now.Add(-d).UTC(); return &t }

const day = 24 * time.Hour

func TestSentence(t *testing.T) {
	on := func(month time.Month, d, hour int) *time.Time {
		at := time.Date(2026, month, d, hour, 0, 0, 0, at.Now.Location())
		return &at
	}
	rate := func(v, low, high float64) *trend.Rate { return &trend.Rate{BytesPerDay: v, Low: low, High: high} }
	detectable := 1.25e6
	for _, test := range []struct {
		name    string
		finding *trend.Finding
		want    string
	}{
		{"leak with everything", &trend.Finding{Verdict: trend.Leak, Rate: rate(23.4e6, 22.9e6, 24.1e6), Since: on(time.November, 14, 3), Decreases: &trend.Decreases{},
			Limit: &trend.Limit{Bytes: 2 << 30, Reached: on(time.December, 3, 10), Low: on(time.December, 2, 10), High: on(time.December, 5, 10)}},
			"Leaks 23.4 MB a day (22.9 to 24.1), since 14 Nov 03:00. It has never come down. It reaches its limit of 2 GiB on 3 Dec (2 to 5 Dec)."},
		{"leak across months", &trend.Finding{Verdict: trend.Leak, Rate: rate(1.234e9, 1.2e9, 1.3e9), Decreases: &trend.Decreases{Ever: true, GivenBack: 0.034},
			Limit: &trend.Limit{Bytes: 3_000_000_000, Reached: on(time.December, 1, 10), Low: on(time.November, 28, 10), High: on(time.December, 5, 10)}},
			"Leaks 1.23 GB a day (1.20 to 1.30). It comes down at times, and gave back 3 % of its growth. It reaches its limit of 3.00 GB on 1 Dec (28 Nov to 5 Dec)."},
		{"leak that ends today", &trend.Finding{Verdict: trend.Leak, Rate: rate(40e9, 40e9, 40e9), Limit: &trend.Limit{Bytes: 256 << 20, Reached: on(time.November, 22, 15), Low: on(time.November, 22, 15), High: on(time.November, 22, 16)}},
			"Leaks 40.0 GB a day. It reaches its limit of 256 MiB today 15:00 (15:00 to 16:00)."},
		{"leak with an open interval", &trend.Finding{Verdict: trend.Leak, Rate: rate(5e6, 1e5, 9e6), Limit: &trend.Limit{Bytes: 1 << 30, Reached: on(time.December, 30, 1), Low: on(time.December, 9, 1)}},
			"Leaks 5.00 MB a day (0.10 to 9.00). It reaches its limit of 1 GiB on 30 Dec (not before 9 Dec)."},
		{"leak at its limit", &trend.Finding{Verdict: trend.Leak, Limit: &trend.Limit{Bytes: 1 << 30, Reached: ago(time.Hour)}}, "Leaks memory. It has reached its limit of 1 GiB."},
		{"leak without end", &trend.Finding{Verdict: trend.Leak, Limit: &trend.Limit{Bytes: 1 << 30}}, "Leaks memory. It does not reach its limit of 1 GiB."},
		{"fragmentation", &trend.Finding{Verdict: trend.Fragmentation, Rate: rate(6e6, 5e6, 7e6)},
			"Grows by 6.00 MB a day (5.00 to 7.00). The program itself holds no more than before: the memory is lost between its blocks."},
		{"retention", &trend.Finding{Verdict: trend.Retention, Decreases: &trend.Decreases{Ever: true, GivenBack: 0.2}},
			"Keeps memory that it took under load: it does not go on growing, and does not give back. It gave back 20 %."},
		{"warm-up", &trend.Finding{Verdict: trend.WarmUp}, "Warms up: it grew since its start and the growth is coming to its end."},
		{"load", &trend.Finding{Verdict: trend.Load}, "Follows its load: what looks like growth is explained by the activity."},
		{"step up", &trend.Finding{Verdict: trend.Step, Steps: []trend.StepAt{{At: *ago(2 * time.Hour), Bytes: 48e6}}}, "Rose once, by 48.0 MB at 12:02, and has been level since."},
		{"step down", &trend.Finding{Verdict: trend.Step, Steps: []trend.StepAt{{At: *ago(400 * day), Bytes: -48e6}}}, "Fell once, by 48.0 MB at 18 Oct 2025, and has been level since."},
		{"stable", &trend.Finding{Verdict: trend.Stable, DetectableRate: &detectable}, "Does not grow. Growth of more than 1.25 MB a day would have shown."},
		{"undecided for days", &trend.Finding{Verdict: trend.Inconclusive, DaysNeeded: 2.2}, "Not decided yet. About 3 days more of samples would decide it."},
		{"undecided for hours", &trend.Finding{Verdict: trend.Inconclusive, DaysNeeded: 0.25}, "Not decided yet. About 6 h more of samples would decide it."},
		{"undecided", &trend.Finding{Verdict: trend.Inconclusive}, "Not decided yet."},
		{"no finding", nil, "No verdict yet: the first look has not been made."},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := at.Sentence(test.finding); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for _, test := range []struct{ name, got, want string }{
		{"no bytes", Size(0), "0 B"},
		{"bytes", Size(999), "999 B"},
		{"kilobytes", Size(1000), "1.00 kB"},
		{"rounds up to the next unit", Size(999_600), "1.00 MB"},
		{"three digits", Size(412_345_678), "412 MB"},
		{"two places", Size(1.618e9), "1.62 GB"},
		{"less", Size(-48e6), "−48.0 MB"},
		{"terabytes", Size(2.5e12), "2.50 TB"},
		{"limit in binary units", LimitSize(512 << 20), "512 MiB"},
		{"limit of one and a half", LimitSize(3 << 29), "1.5 GiB"},
		{"limit in decimal units", LimitSize(2e9), "2.00 GB"},
		{"span of seconds", Span(59 * time.Second), "under a minute"},
		{"span of minutes", Span(47 * time.Minute), "47 min"},
		{"span of hours", Span(3*time.Hour + 12*time.Minute), "3 h 12 min"},
		{"span of full hours", Span(3 * time.Hour), "3 h"},
		{"span of days", Span(49 * time.Hour), "2 days"},
		{"no latency", Latency(0), "–"},
		{"fast", Latency(420 * time.Microsecond), "0.4 ms"},
		{"milliseconds", Latency(12 * time.Millisecond), "12 ms"},
		{"seconds", Latency(1240 * time.Millisecond), "1.24 s"},
		{"number", Number(1234567), "1,234,567"},
		{"small number", Number(999), "999"},
		{"one", Plural(1, "session"), "1 session"},
		{"many", Plural(1412, "session"), "1,412 sessions"},
		{"today", at.Moment(*ago(time.Hour)), "13:02"},
		{"this year", at.Exact(*ago(30 * time.Hour)), "21 Nov 08:02:11"},
		{"zero time", at.Exact(time.Time{}), "–"},
		{"zone", at.Zone(), "UTC+01:00"},
		{"no zone", Clock{Now: at.Now.UTC()}.Zone(), "UTC"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, test.got, test.want)
		}
	}
}

// Package words says to people what gatehouse knows in figures: times, sizes, counts, and the memory verdict as a sentence.
// Console, command line and demo speak with it, so that they say the same thing in the same way.
package words

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/memory/trend"
)

// Clock says times as an operator reads them, from the moment and in the location that it holds.
type Clock struct{ Now time.Time }

// At returns the clock of a moment; its location is the one that times are said in.
func At(now time.Time) Clock { return Clock{now} }

// In is t in the clock's location.
func (c Clock) In(t time.Time) time.Time { return t.In(c.Now.Location()) }

// Exact is for titles and tables: "14:02:11" today, "21 Nov 14:02:11" otherwise.
func (c Clock) Exact(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return c.day(t, "15:04:05")
}

// Moment is for sentences: "14:02" today, "14 Nov 03:00" this year, "14 Nov 2025" before.
func (c Clock) Moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return c.day(t, "15:04")
}

func (c Clock) day(t time.Time, hour string) string {
	t = c.In(t)
	switch {
	case SameDay(t, c.Now):
		return t.Format(hour)
	case t.Year() == c.Now.Year():
		return t.Format("2 Jan " + hour)
	}
	return t.Format("2 Jan 2006")
}

// Date is for what is days away: "3 Dec", with the hour when it is less than two days off.
func (c Clock) Date(t time.Time) string {
	t = c.In(t)
	switch away := t.Sub(c.Now).Abs(); {
	case SameDay(t, c.Now):
		return "today " + t.Format("15:04")
	case away < 48*time.Hour:
		return t.Format("2 Jan 15:04")
	case away < 300*24*time.Hour:
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// Dates is an interval of dates, without saying a month twice: "2 to 5 Dec".
func (c Clock) Dates(from, to time.Time) string {
	from, to = c.In(from), c.In(to)
	a, b := c.Date(from), c.Date(to)
	switch {
	case a == b:
		return a
	case SameDay(from, c.Now) && SameDay(to, c.Now):
		return from.Format("15:04") + " to " + to.Format("15:04")
	}
	if month, found := strings.CutPrefix(b, strconv.Itoa(to.Day())); found && strings.HasSuffix(a, month) && !strings.Contains(b, ":") {
		return strconv.Itoa(from.Day()) + " to " + b
	}
	return a + " to " + b
}

// SameDay reports whether two times fall on one day of their locations.
func SameDay(a, b time.Time) bool {
	y1, m1, d1 := a.Date()
	y2, m2, d2 := b.Date()
	return y1 == y2 && m1 == m2 && d1 == d2
}

// Since is how long ago something began, coarse enough not to change all the time. Empty for the zero time.
func (c Clock) Since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return Span(c.Now.Sub(t))
}

// Zone names the location's offset now: "UTC+01:00".
func (c Clock) Zone() string {
	if _, offset := c.Now.Zone(); offset != 0 {
		return "UTC" + c.Now.Format("-07:00")
	}
	return "UTC"
}

// Span says a duration in its one or two largest units.
func Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "under a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		if minutes := int(d.Minutes()) % 60; minutes > 0 {
			return fmt.Sprintf("%d h %d min", int(d.Hours()), minutes)
		}
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Latency says a round trip: "0.4 ms", "12 ms", "1.24 s".
func Latency(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case d <= 0:
		return "–"
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	case ms < 1000:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
}

// Number groups thousands: 12,345.
func Number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural is "1 session", "3 sessions".
func Plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%s %ss", Number(uint64(max(n, 0))), one)
}

// A unit of memory. What is measured is said in decimal units, as rates are; a limit that was set in binary ones is said
// as it was set.
type unit struct {
	bytes float64
	name  string
}

func unitOf(bytes float64) unit {
	switch b := math.Abs(bytes); {
	case b >= 999.5e9:
		return unit{1e12, "TB"}
	case b >= 999.5e6:
		return unit{1e9, "GB"}
	case b >= 999.5e3:
		return unit{1e6, "MB"}
	case b >= 1000:
		return unit{1e3, "kB"}
	}
	return unit{1, "B"}
}

// digits are how many decimals give three significant digits.
func (u unit) digits(bytes float64) int {
	switch v := math.Abs(bytes) / u.bytes; {
	case u.bytes == 1 || v >= 99.95:
		return 0
	case v >= 9.995:
		return 1
	}
	return 2
}

func (u unit) format(bytes float64, digits int) string {
	return strings.Replace(strconv.FormatFloat(bytes/u.bytes, 'f', digits, 64), "-", "−", 1)
}

// Size says an amount of memory in three digits: "412 MB", "1.62 GB".
func Size(bytes float64) string {
	u := unitOf(bytes)
	return u.format(bytes, u.digits(bytes)) + " " + u.name
}

// LimitSize says a limit: as binary units when it is a round number of them.
func LimitSize(bytes float64) string {
	for _, u := range []unit{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}} {
		if v := bytes / u.bytes; v >= 1 && v == math.Trunc(v*4)/4 {
			return strconv.FormatFloat(v, 'f', -1, 64) + " " + u.name
		}
	}
	return Size(bytes)
}

// Rate says growth with its interval: "23.4 MB a day (22.9 to 24.1)".
func Rate(r trend.Rate) string {
	u := unitOf(r.BytesPerDay)
	d := u.digits(r.BytesPerDay)
	text := u.format(r.BytesPerDay, d) + " " + u.name + " a day"
	if low, high := u.format(r.Low, d), u.format(r.High, d); low != high {
		text += " (" + low + " to " + high + ")"
	}
	return text
}

// Sentence is the memory verdict in plain words.
func (c Clock) Sentence(f *trend.Finding) string {
	if f == nil {
		return "No verdict yet: the first look has not been made."
	}
	switch f.Verdict {
	case trend.Leak:
		return c.growing("Leaks", "Leaks memory", f) + c.comesDown(f) + c.reaches(f)
	case trend.Fragmentation:
		return c.growing("Grows by", "Grows", f) + " The program itself holds no more than before: the memory is lost between its blocks." +
			c.comesDown(f) + c.reaches(f)
	case trend.Retention:
		return "Keeps memory that it took under load: it does not go on growing, and does not give back." + c.comesDown(f)
	case trend.WarmUp:
		return "Warms up: it grew since its start and the growth is coming to its end."
	case trend.Load:
		return "Follows its load: what looks like growth is explained by the activity." + detectable(f)
	case trend.Step:
		return c.stepped(f)
	case trend.Stable:
		return "Does not grow." + detectable(f)
	}
	return undecided(f)
}

func (c Clock) growing(verb, bare string, f *trend.Finding) string {
	text := bare
	if f.Rate != nil {
		text = verb + " " + Rate(*f.Rate)
	}
	if f.Since != nil {
		text += ", since " + c.Moment(*f.Since)
	}
	return text + "."
}

func (Clock) comesDown(f *trend.Finding) string {
	switch d := f.Decreases; {
	case d == nil:
		return ""
	case !d.Ever:
		return " It has never come down."
	case f.Verdict == trend.Retention:
		return fmt.Sprintf(" It gave back %.0f %%.", d.GivenBack*100)
	default:
		return fmt.Sprintf(" It comes down at times, and gave back %.0f %% of its growth.", d.GivenBack*100)
	}
}

// reaches says when the limit is met: "It reaches its limit of 2 GiB on 3 Dec (2 to 5 Dec)."
func (c Clock) reaches(f *trend.Finding) string {
	l := f.Limit
	if l == nil || l.Bytes <= 0 {
		return ""
	}
	if l.Reached == nil {
		return " It does not reach its limit of " + LimitSize(l.Bytes) + "."
	}
	if !l.Reached.After(c.Now) {
		return " It has reached its limit of " + LimitSize(l.Bytes) + "."
	}
	on := "on "
	if SameDay(c.In(*l.Reached), c.Now) {
		on = ""
	}
	text := " It reaches its limit of " + LimitSize(l.Bytes) + " " + on + c.Date(*l.Reached)
	switch {
	case l.Low != nil && l.High != nil:
		text += " (" + c.Dates(*l.Low, *l.High) + ")"
	case l.Low != nil:
		text += " (not before " + c.Date(*l.Low) + ")"
	}
	return text + "."
}

func (c Clock) stepped(f *trend.Finding) string {
	if len(f.Steps) == 0 {
		return "Changed its level once and has been level since."
	}
	s := f.Steps[len(f.Steps)-1]
	verb := "Rose"
	if s.Bytes < 0 {
		verb = "Fell"
	}
	return fmt.Sprintf("%s once, by %s at %s, and has been level since.", verb, Size(math.Abs(s.Bytes)), c.Moment(s.At))
}

func detectable(f *trend.Finding) string {
	if f.DetectableRate == nil {
		return ""
	}
	return " Growth of more than " + Size(*f.DetectableRate) + " a day would have shown."
}

func undecided(f *trend.Finding) string {
	text := "Not decided yet."
	switch d := f.DaysNeeded; {
	case d >= 1:
		text += fmt.Sprintf(" About %s more of samples would decide it.", Plural(int(math.Ceil(d)), "day"))
	case d > 0:
		text += " About " + Span(time.Duration(d*24*float64(time.Hour))) + " more of samples would decide it."
	}
	return text + detectable(f)
}

package cli

import (
	"fmt"
	"gatehouse/internal/words"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func moment(t time.Time) string { return t.Format("2006-01-02 15:04") }
func day(t time.Time) string    { return t.Format("2006-01-02") }

func percent(share float64) string {
	p := 100 * share
	if p > 99 && p < 100 || p > 0 && p < 1 {
		return fmt.Sprintf("%.1f %%", p)
	}
	return fmt.Sprintf("%.0f %%", p)
}

func days(n float64) string {
	if n >= 10 {
		return fmt.Sprintf("%.0f days", math.Ceil(n))
	}
	if n = math.Ceil(10*n) / 10; n == 1 {
		return "1 day"
	}
	return strconv.FormatFloat(n, 'f', -1, 64) + " days"
}

// span writes a length of time in the unit that suits it.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return days(math.Round(10*d.Hours()/24) / 10)
	case d >= 2*time.Hour:
		return strconv.FormatFloat(math.Round(10*d.Hours())/10, 'f', -1, 64) + " hours"
	case d >= 2*time.Minute:
		return strconv.FormatFloat(math.Round(10*d.Minutes())/10, 'f', -1, 64) + " minutes"
	}
	return strconv.FormatFloat(math.Round(10*d.Seconds())/10, 'f', -1, 64) + " s"
}

func signed(bytes float64) string {
	if bytes > 0 {
		return "+" + words.Size(bytes)
	}
	return words.Size(bytes)
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// cut shortens text to n runes.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// bounds returns the least and the greatest value, missing ones apart.
func bounds(values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high
}

// leastRange is the share of the greatest value that a sparkline's height stands for at least, so that noise looks flat.
const leastRange = 0.02

// sparkline draws values in at most width characters, missing ones as blanks; "" when there are none.
func sparkline(values []float64, width int) string {
	low, high := bounds(values)
	if low > high || width < 1 {
		return ""
	}
	high = max(high, low+leastRange*math.Abs(high))
	bars := []rune("▁▂▃▄▅▆▇█")
	n := min(len(values), width)
	var b strings.Builder
	for i := range n {
		sum, count := 0.0, 0
		for _, v := range values[i*len(values)/n : (i+1)*len(values)/n] {
			if !math.IsNaN(v) {
				sum += v
				count++
			}
		}
		switch {
		case count == 0:
			b.WriteByte(' ')
		case high == low:
			b.WriteRune(bars[0])
		default:
			b.WriteRune(bars[int(math.Round((sum/float64(count)-low)/(high-low)*float64(len(bars)-1)))])
		}
	}
	return b.String()
}

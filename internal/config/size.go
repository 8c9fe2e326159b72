package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// UnmarshalText reads "30s", "1h30m", "90d" or "1d12h"; "0" needs no unit. A negative duration is an error.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "0" {
		*d = 0
		return nil
	}
	var days time.Duration
	rest := s
	if number, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/day) {
			return errDuration
		}
		days, rest = time.Duration(n)*day, after
	}
	var clock time.Duration
	if rest != "" || days == 0 && rest == s {
		var err error
		if clock, err = time.ParseDuration(rest); err != nil || strings.HasPrefix(rest, "+") {
			return errDuration
		}
	}
	if clock < 0 || clock > math.MaxInt64-days {
		return errDuration
	}
	*d = Duration(days + clock)
	return nil
}

var errDuration = errors.New(`want a duration such as "30s", "5m", "1h30m" or "90d"`)

// String writes what UnmarshalText reads: whole days as "90d", zero parts left out.
func (d Duration) String() string {
	t := time.Duration(d)
	if t <= 0 {
		return "0s"
	}
	var b strings.Builder
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}} {
		if n := t / unit.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			t %= unit.size
		}
	}
	if t > 0 {
		b.WriteString(t.String())
	}
	return b.String()
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// sizeUnit is a unit of sizes.
type sizeUnit struct {
	name  string
	bytes int64
}

func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3},
		{"B", 1},
	}
}

// UnmarshalText reads a number of bytes with or without a unit: "65536", "64KiB", "1MB", "2 GiB".
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := string(text), int64(1)
	for _, unit := range sizeUnits() {
		if before, ok := strings.CutSuffix(number, unit.name); ok {
			number, factor = strings.TrimRight(before, " "), unit.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/factor {
		return errSize
	}
	*s = Size(int64(n) * factor)
	return nil
}

var errSize = errors.New(`want a number of bytes such as 65536, "64KiB", "2GiB" or "1MB"`)

// String writes what UnmarshalText reads, in the unit that makes the shortest whole number.
func (s Size) String() string {
	best := sizeUnit{"", 1}
	for _, unit := range sizeUnits() {
		if s != 0 && int64(s)%unit.bytes == 0 && unit.bytes > best.bytes {
			best = unit
		}
	}
	return strconv.FormatInt(int64(s)/best.bytes, 10) + best.name
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

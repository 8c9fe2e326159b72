package config

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDuration(t *testing.T) {
	for _, row := range []struct {
		text string
		want time.Duration // negative for an error
		back string
	}{
		{"0", 0, "0s"},
		{"0s", 0, "0s"},
		{"0d", 0, "0s"},
		{"30s", 30 * time.Second, "30s"},
		{"90s", 90 * time.Second, "1m30s"},
		{"1.5s", 1500 * time.Millisecond, "1.5s"},
		{"250ms", 250 * time.Millisecond, "250ms"},
		{"36h", 36 * time.Hour, "1d12h"},
		{"90d", 90 * day, "90d"},
		{"1d1ns", day + 1, "1d1ns"},
		{"106751d23h47m16.854775807s", math.MaxInt64, "106751d23h47m16.854775807s"},
		{"106751d23h47m16.854775808s", -1, ""},
		{"106752d", -1, ""},
		{"4294967296d", -1, ""},
		{"", -1, ""}, {"d", -1, ""}, {"-1d", -1, ""}, {"+1d", -1, ""}, {"1.5d", -1, ""}, {"1d-1h", -1, ""}, {"1d+1h", -1, ""},
		{"1h1d", -1, ""}, {"30", -1, ""}, {"-5s", -1, ""}, {"+5s", -1, ""}, {" 5s", -1, ""}, {"5 s", -1, ""}, {"5y", -1, ""},
	} {
		t.Run(row.text, func(t *testing.T) {
			got := Duration(42)
			err := got.UnmarshalText([]byte(row.text))
			if row.want < 0 {
				if err == nil || got != 42 {
					t.Errorf("got %v, %v; want an error and no change", got, err)
				}
				return
			}
			if err != nil || time.Duration(got) != row.want || got.String() != row.back {
				t.Errorf("got %v (%d), %v; want %s", got, got, err, row.back)
			}
		})
	}
}

func TestSize(t *testing.T) {
	for _, row := range []struct {
		text string
		want int64 // negative for an error
		back string
	}{
		{"0", 0, "0"},
		{"0GiB", 0, "0"},
		{"65536", 64 << 10, "64KiB"},
		{"65537", 65537, "65537"},
		{"64KiB", 64 << 10, "64KiB"},
		{"64 KiB", 64 << 10, "64KiB"},
		{"2GiB", 2 << 30, "2GiB"},
		{"2048MiB", 2 << 30, "2GiB"},
		{"1MB", 1e6, "1MB"},
		{"2GB", 2e9, "2GB"},
		{"1kB", 1000, "1KB"},
		{"5B", 5, "5"},
		{"3TB", 3e12, "3TB"},
		{"9223372036854775807", math.MaxInt64, "9223372036854775807"},
		{"8388607TiB", 8388607 << 40, "8388607TiB"},
		{"8388608TiB", -1, ""}, {"9223372036854775808", -1, ""},
		{"", -1, ""}, {"KiB", -1, ""}, {"-1", -1, ""}, {"+1", -1, ""}, {"1.5MiB", -1, ""}, {"1 2", -1, ""}, {"1kib", -1, ""}, {" 1", -1, ""}, {"1_000", -1, ""},
	} {
		t.Run(row.text, func(t *testing.T) {
			got := Size(42)
			err := got.UnmarshalText([]byte(row.text))
			if row.want < 0 {
				if err == nil || got != 42 {
					t.Errorf("got %v, %v; want an error and no change", got, err)
				}
				return
			}
			if err != nil || int64(got) != row.want || got.String() != row.back {
				t.Errorf("got %v (%d), %v; want %s", got, got, err, row.back)
			}
		})
	}
}

// TestQuantitiesReadBack holds that every value is written as what reads to it.
func TestQuantitiesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "duration"))
		s := Size(rapid.Int64Range(0, math.MaxInt64).Draw(t, "size"))
		dText, _ := d.MarshalText()
		sText, _ := s.MarshalText()
		var d2 Duration
		var s2 Size
		if err := d2.UnmarshalText(dText); err != nil || d2 != d {
			t.Errorf("%s: %v, %v", dText, d2, err)
		}
		if err := s2.UnmarshalText(sText); err != nil || s2 != s {
			t.Errorf("%s: %v, %v", sText, s2, err)
		}
	})
}

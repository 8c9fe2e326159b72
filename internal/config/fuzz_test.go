package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse holds that no file makes the reader panic or lose its place, and that what it takes can be shown and read
// again.
func FuzzParse(f *testing.F) {
	base := folder(f)
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("g.yaml", data, base, testEnv)
		if err == nil {
			roundTrip(t, cfg, base)
			return
		}
		var problems *Problems
		if cfg != nil || !errors.As(err, &problems) || len(problems.List) == 0 {
			t.Fatalf("got %v and %v", cfg, err)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 2
		for _, p := range problems.List {
			if p.Line < 0 || p.Line > lines || p.Message == "" || !utf8.ValidString(p.Message) || len(p.Message) > 4096 {
				t.Errorf("problem %+v in a file of %d lines", p, lines)
			}
			if strings.Contains(p.Message, "the YAML parser cannot read") {
				t.Logf("the parser panicked: %v", p)
			}
		}
	})
}

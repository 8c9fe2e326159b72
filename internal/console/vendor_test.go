package console_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVendoredFiles holds each third-party file to the version, licence and sum that VERSIONS.txt says.
func TestVendoredFiles(t *testing.T) {
	const folder = "static/vendor"
	table, err := os.Open(filepath.Join(folder, "VERSIONS.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = table.Close() }()
	listed := map[string]bool{"VERSIONS.txt": true}
	for lines := bufio.NewScanner(table); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 6 {
			t.Fatalf("a line of %d fields: %s", len(fields), lines.Text())
		}
		file, licence, want := fields[0], fields[4], fields[5]
		content, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is not the file that VERSIONS.txt names: %x", file, sum)
		}
		if _, err := os.Stat(filepath.Join(folder, licence)); err != nil {
			t.Errorf("the licence of %s: %v", file, err)
		}
		listed[file], listed[licence] = true, true
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !listed[e.Name()] {
			t.Errorf("%s is not in VERSIONS.txt", e.Name())
		}
	}
}

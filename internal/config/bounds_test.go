package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBounds holds that files made to be slow or large are refused, and soon.
func TestBounds(t *testing.T) {
	const most = 1 << 19 // larger takes too long under the race detector
	for _, row := range []struct{ name, text, want string }{
		{"too large", strings.Repeat("#", maxFile+1), "larger than 4MiB"},
		{"brackets", strings.Repeat("[", most), "levels inside each other"},
		{"braces", strings.Repeat("{a: ", most/4), "levels inside each other"},
		{"dashes", strings.Repeat("- ", most/2), "levels inside each other"},
		{"questions", strings.Repeat("? ", most/2), "levels inside each other"},
		{"anchors", strings.Repeat("&a ", most/3), "levels inside each other"},
		{"tags", strings.Repeat("!!a ", most/4), "levels inside each other"},
		{"anchored list", "a: " + strings.Repeat("&a [", most/4), "levels inside each other"},
		{"stairs", stairs(2000), "levels inside each other"},
		{"keys on one line", strings.Repeat("a: ", most/3), "levels inside each other"},
		{"one comment", "#" + strings.Repeat("x", most), "-"},
		{"comments", strings.Repeat("# x\n", most/4), "-"},
		{"empty lines", strings.Repeat("\n", most), "-"},
		{"one text", "state: " + strings.Repeat("x", most-7), "-"},
		{"quoted text", "state: \"" + strings.Repeat("\\x41", (most-10)/4) + "\"\n", "-"},
		{"open quote", "state: \"" + strings.Repeat("x\n", (most-10)/2), ""},
		{"block text", "state: |\n" + strings.Repeat("  x\n", (most-10)/4), ""},
		{"flow list", "publishing_rules: {a: {farm: x, hosts: [" + strings.Repeat("a,", most/2-60) + "]}}", ""},
		{"block list", "publishing_rules:\n  a:\n    farm: x\n    hosts:\n" + strings.Repeat("    - a\n", most/8-60), ""},
		{"block map", "web_farms:\n" + strings.Repeat("  a: x\n", most/7-60), "too many keys"},
		{"documents", strings.Repeat("---\n", most/4), "a second document"},
		{"directives", strings.Repeat("%YAML 1.2\n---\n", most/14), "a second document"},
		{"colons", strings.Repeat(":", most), ""},
		{"commas", "[" + strings.Repeat(",", most-1), ""},
		{"stars", strings.Repeat("*a ", most/3), ""},
		{"carriage returns", strings.Repeat("\r", most), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			begin := time.Now()
			cfg, err := Parse("g.yaml", []byte(row.text), t.TempDir(), nil)
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("took %v", took)
			} else {
				t.Logf("took %v", took)
			}
			switch {
			case row.want == "-" && err != nil, row.want != "-" && row.want != "" && (cfg != nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("got %.200v, want %s", err, row.want)
			case err != nil && len(err.Error()) > 1<<20:
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
		})
	}
}

func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "k:\n")
	}
	return b.String()
}

// TestManyCombinations holds that a rule cannot multiply into more work than it has lines.
func TestManyCombinations(t *testing.T) {
	const n = 1100
	hosts, paths := make([]string, n), make([]string, n)
	for i := range n {
		hosts[i], paths[i] = fmt.Sprintf("h%d.example", i), fmt.Sprintf("/p%d/", i)
	}
	text := fmt.Sprintf("web_listeners: {a: {address: \":80\"}}\nweb_farms: {a: {members: [\"http://a\"]}}\npublishing_rules: {a: {farm: a, hosts: [%s], paths: [%s]}}\n",
		strings.Join(hosts, ", "), strings.Join(paths, ", "))
	_, err := Parse("g.yaml", []byte(text), t.TempDir(), nil)
	if err == nil || !strings.Contains(err.Error(), "more than 1048576 listeners, hosts and paths") {
		t.Errorf("got %.300v", err)
	}
}

// TestManyProblems holds that the list of problems is bounded and says so.
func TestManyProblems(t *testing.T) {
	_, err := Parse("g.yaml", []byte(strings.Repeat("x: 1\n", 5000)), t.TempDir(), nil)
	var problems *Problems
	if !errors.As(err, &problems) || len(problems.List) != maxProblems+1 {
		t.Fatalf("got %v", err)
	}
	if last := problems.List[maxProblems].Error(); last != "g.yaml: there are more than 100 problems; the rest is not shown" {
		t.Error(last)
	}
}

func TestLoad(t *testing.T) {
	base := folder(t)
	if err := os.Mkdir(filepath.Join(base, "conf"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "conf", "g.yaml")
	write(t, base, "conf/g.yaml", "state: ../state\n", 0o600)
	cfg, err := Load(file, nil)
	if err != nil || cfg.State != filepath.Join(base, "state") {
		t.Errorf("got %v, %v", cfg, err)
	}
	t.Chdir(filepath.Join(base, "conf"))
	if cfg, err = Load("g.yaml", nil); err != nil || filepath.Base(cfg.State) != "state" || !filepath.IsAbs(cfg.State) {
		t.Errorf("got %v, %v", cfg, err)
	}
	var problems *Problems
	_, err = Load("nowhere.yaml", nil)
	if !errors.As(err, &problems) || !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "nowhere.yaml: read configuration: ") {
		t.Errorf("got %v", err)
	}
	if _, err = Load(base, nil); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("got %v", err)
	}
	write(t, base, "large.yaml", strings.Repeat("#", maxFile+1), 0o600)
	if _, err = Load(filepath.Join(base, "large.yaml"), nil); err == nil || !strings.Contains(err.Error(), "larger than 4MiB") {
		t.Errorf("got %v", err)
	}
}

// TestCauses holds that callers can ask what a problem comes from.
func TestCauses(t *testing.T) {
	_, err := Parse("g.yaml", []byte("web_farms: {a: {members: [\"https://a\"], tls: {ca: nowhere}, affinity_key: {file: nowhere}}}"), t.TempDir(), nil)
	var one *Problem
	if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &one) || one.Line != 1 || one.Path != "web_farms.a.tls.ca" {
		t.Errorf("got %v, %+v", err, one)
	}
}

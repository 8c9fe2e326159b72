package config

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestMemberVerifierOfAFarmWithout(t *testing.T) {
	got := WebFarm{}.MemberVerifier()
	if got.TCP != "*" || got.AuthenticationRequired != "up" || time.Duration(got.Period) != 30*time.Second || got.Fall != 2 {
		t.Errorf("verifier %+v", got)
	}
	if own := (WebFarm{Verifier: &FarmVerifier{HTTP: "http://*/x"}}).MemberVerifier(); own.HTTP != "http://*/x" || own.TCP != "" {
		t.Errorf("own verifier %+v", own)
	}
}

func TestStateFolderOfAService(t *testing.T) {
	env := map[string]string{"STATE_DIRECTORY": "/var/lib/private/gatehouse:/var/lib/other", "XDG_STATE_HOME": "/home/x"}
	cfg, err := Parse("file", nil, "/", func(name string) string { return env[name] })
	if err != nil || cfg.State != "/var/lib/private/gatehouse" {
		t.Errorf("state %q, %v", cfg.State, err)
	}
}

// TestReadmeConfiguration: what the first page shows works.
func TestReadmeConfiguration(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "```yaml\n")
	text, _, found := strings.Cut(text, "```")
	if !found {
		t.Fatal("the README shows no configuration")
	}
	cfg, err := Parse("README.md", []byte(text), "/", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings()) > 0 || len(cfg.WebFarms["shop"].Members) != 2 || strings.Count(text, "\n") > 5 {
		t.Errorf("%v\n%+v", cfg.Warnings(), cfg.WebFarms)
	}
}

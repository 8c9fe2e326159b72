package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestSecretIsNeverPrinted holds that no way of printing shows the value.
func TestSecretIsNeverPrinted(t *testing.T) {
	base := folder(t)
	const value = "tell-nobody-0123456789"
	write(t, base, "key", value+"\r\n", 0o600)
	text := strings.ReplaceAll(fiveLines, `verifier:`, `affinity_key: {file: key}, verifier:`)
	cfg, err := Parse("g.yaml", []byte(text), base, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	secret := cfg.WebFarms["shop"].AffinityKey
	if got := string(secret.Bytes()); got != value {
		t.Fatalf("value %q, want %q", got, value)
	}
	var out bytes.Buffer
	holder := struct{ S Secret }{*secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%t"} {
		for _, v := range []any{secret, *secret, holder, &holder, []Secret{*secret}, cfg.WebFarms} {
			_, _ = fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", secret, "value", *secret, "holder", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", secret, "value", *secret, "holder", holder)
	j, err := json.Marshal(cfg.WebFarms)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(cfg.WebFarms)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	out.Write(y)
	out.Write(cfg.Show())
	for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprint([]byte(value))[1:20], "dGVsbC1ub2JvZHk"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret was printed as %q", form)
		}
	}
	if want := "(from file " + secret.File + ")"; fmt.Sprint(secret) != want || !strings.Contains(out.String(), want) {
		t.Errorf("got %v, want %s", secret, want)
	}
}

// TestSecretsInMessages holds that a secret that was written into the file by mistake is not repeated.
func TestSecretsInMessages(t *testing.T) {
	for _, line := range []string{
		`affinity_key: hunter2`, `affinity_key: "hunter2"`, `affinity_key: [hunter2]`, `affinity_key: {value: hunter2}`, `affinity_key: {env: hunter-2-hunter2}`,
		`verifier: "http://me:hunter2@a.example/"`, `verifier: {http: "http://me:hunter2@*/"}`, `members: ["http://me:hunter2@x y"]`, `members: ["//me:hunter2@x"]`,
		`members: ["http://me:hunter2@x:port"]`, `tls: {server_name: "me:hunter2@x"}`,
	} {
		text := "web_farms: {shop: {" + line + "}}\n"
		_, err := Parse("g.yaml", []byte(text), t.TempDir(), testEnv)
		if err == nil {
			t.Errorf("%s: no error", line)
		} else if strings.Contains(err.Error(), "hunter2") && !strings.Contains(line, "server_name") {
			t.Errorf("%s: repeated in %v", line, err)
		}
	}
}

func TestSecretFromEnvironment(t *testing.T) {
	text := strings.ReplaceAll(fiveLines, `verifier:`, `affinity_key: {env: KEY}, verifier:`)
	cfg, err := Parse("g.yaml", []byte(text), t.TempDir(), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	key := cfg.WebFarms["shop"].AffinityKey
	if string(key.Bytes()) != testEnv("KEY") || key.String() != "(from environment variable KEY)" {
		t.Errorf("got %q, %v", key.Bytes(), key)
	}
	if got := fmt.Sprint(Secret{}); got != "(no secret)" {
		t.Error(got)
	}
}

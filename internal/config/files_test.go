package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files")

// folder makes the folder that the files in testdata take for their own: certificates, keys and secrets.
func folder(t testing.TB) string {
	t.Helper()
	base := t.TempDir()
	shop := newKey(t, base, "shop.key")
	other := newKey(t, base, "other.key")
	newCertificate(t, base, "shop.pem", shop, time.Now().Add(24*time.Hour))
	newCertificate(t, base, "expired.pem", shop, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC))
	newCertificate(t, base, "ca.pem", other, time.Now().Add(24*time.Hour))
	pem, err := os.ReadFile(filepath.Join(base, "shop.key"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, base, "open.key", string(pem), 0o604)
	write(t, base, "key", "0123456789abcdef0123456789abcdef\n", 0o600)
	write(t, base, "open", "0123456789abcdef0123456789abcdef\n", 0o644)
	write(t, base, "empty", "\n", 0o600)
	write(t, base, "huge", strings.Repeat("x", maxSecret+1), 0o600)
	return base
}

func newKey(t testing.TB, base, name string) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, base, name, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)
	return key
}

func newCertificate(t testing.TB, base, name string, key *ecdsa.PrivateKey, end time.Time) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.example"}, DNSNames: []string{"shop.example"},
		NotBefore: end.Add(-48 * time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, base, name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o600)
}

func write(t testing.TB, base, name, content string, mode os.FileMode) {
	t.Helper()
	file := filepath.Join(base, name)
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// testEnv is the environment that the files in testdata refer to.
func testEnv(name string) string {
	return map[string]string{"KEY": "fedcba9876543210fedcba9876543210", "SHORT": "short", "HOME": "/home/gate"}[name]
}

// each runs a test for every file of a folder in testdata.
func each(t *testing.T, dir string, test func(t *testing.T, file string, data []byte)) {
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			test(t, file, data)
		})
	}
}

// golden compares text with a file, in which BASE stands for the folder.
func golden(t *testing.T, file, got, base string) {
	t.Helper()
	got = strings.ReplaceAll(got, base, "BASE")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestBad holds one file a rule, with what is said about it beside it.
func TestBad(t *testing.T) {
	base := folder(t)
	each(t, "bad", func(t *testing.T, file string, data []byte) {
		cfg, err := Parse(filepath.Base(file), data, base, testEnv)
		if err == nil || cfg != nil {
			t.Fatalf("no error, configuration %v", cfg)
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n", base)
		if strings.Contains(err.Error(), "secret@") {
			t.Error("a password was repeated")
		}
	})
}

// TestGood holds what good files mean: their effective values, which read back to the same, and the remarks on them.
func TestGood(t *testing.T) {
	base := folder(t)
	each(t, "good", func(t *testing.T, file string, data []byte) {
		cfg, err := Parse(filepath.Base(file), data, base, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		remarks := ""
		for _, w := range cfg.Warnings() {
			remarks += w.Error() + "\n"
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".remarks", remarks, base)
		cfg.State = strings.Replace(cfg.State, "/var/lib/gatehouse", "/home/gate/.local/state/gatehouse", 1) // for root
		golden(t, strings.TrimSuffix(file, ".yaml")+".show", string(cfg.Show()), base)
		roundTrip(t, cfg, base)
	})
}

// roundTrip checks that what Show writes is the same configuration.
func roundTrip(t testing.TB, cfg *Config, base string) {
	t.Helper()
	shown := cfg.Show()
	again, err := Parse("show", shown, base, testEnv)
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	if changes := Changes(cfg, again); len(changes) > 0 {
		t.Errorf("changed: %q\n%s", changes, shown)
	}
	if diff := cmp.Diff(string(shown), string(again.Show())); diff != "" {
		t.Errorf("shown again (-once +twice):\n%s", diff)
	}
}

package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const changing = `log: {level: info}
web_listeners:
  public: {address: ":80", trusted_proxies: [10.0.0.0/8]}
  secure: {address: ":443", tls: {certificates: [{certificate: shop.pem, key: shop.key}]}}
web_farms:
  shop: {members: [{name: a, url: "http://a.example"}, {name: b, url: "http://b.example"}], affinity_key: {file: key}}
publishing_rules:
  shop: {hosts: [shop.example], farm: shop}
connectivity_verifiers:
  dc: {tcp: "dc.example:389"}
memory: {processes: {x: {pid: 1}}}
`

func TestChanges(t *testing.T) {
	base := folder(t)
	for _, row := range []struct {
		name, old, new string
		want           []string
	}{
		{"nothing", "", "", nil},
		{"scalar in a section", "level: info", "level: debug", []string{"log: level info → debug"}},
		{"listener's address", `":80"`, `":81"`, []string{"web listener public: address :80 → :81"}},
		{"list", "[10.0.0.0/8]", "[10.0.0.0/8, 192.0.2.1]", []string{"web listener public: trusted proxies 10.0.0.0/8 → 10.0.0.0/8, 192.0.2.1"}},
		{"empty list", ", trusted_proxies: [10.0.0.0/8]", "", []string{"web listener public: trusted proxies 10.0.0.0/8 → (none)"}},
		{"member added", `[{name: a,`, `[{name: c, url: "http://c.example"}, {name: a,`, []string{"web farm shop: member c added"}},
		{"member removed", `{name: a, url: "http://a.example"}, `, ``, []string{"web farm shop: member a removed"}},
		{"member changed", `"http://b.example"`, `"http://b.example", weight: 2`, []string{"web farm shop: member b weight 1 → 2"}},
		{"members swapped", `{name: a, url: "http://a.example"}, {name: b, url: "http://b.example"}`, `{name: b, url: "http://b.example"}, {name: a, url: "http://a.example"}`,
			[]string{"web farm shop: members in another order"}},
		{"key in another file", "{file: key}", "{file: open}", []string{"web farm shop: affinity key (from file BASE/key) → (from file BASE/open)"}},
		{"key removed", ", affinity_key: {file: key}", "", []string{"web farm shop: affinity key removed"}},
		{"verifier added", `affinity_key`, `verifier: "*", affinity_key`, []string{"web farm shop: verifier added"}},
		{"nested", `affinity_key`, `retry: {attempts: 3}, affinity_key`, []string{"web farm shop: retry attempts 2 → 3"}},
		{"tls removed", ", tls: {certificates: [{certificate: shop.pem, key: shop.key}]}", "", []string{"web listener secure: tls removed"}},
		{"certificate", "certificate: shop.pem", "certificate: expired.pem", []string{"web listener secure: tls certificate number 1 certificate BASE/shop.pem → BASE/expired.pem"}},
		{"farm renamed", "  shop: {members", "  other: {members", []string{"publishing rule shop: farm shop → other", "web farm other added", "web farm shop removed"}},
		{"inlined key", `"dc.example:389"`, `"dc.example:389", period: 1m`, []string{"connectivity verifier dc: period 30s → 1m"}},
		{"kind of check", `tcp: "dc.example:389"`, `icmp: dc.example`, []string{"connectivity verifier dc: tcp dc.example:389 → (none)", "connectivity verifier dc: icmp (none) → dc.example"}},
		{"process", "x: {pid: 1}", "x: {pid: 2}", []string{"memory: watched process x pid 1 → 2"}},
		{"state", "log:", "state: /elsewhere\nlog:", []string{"state STATE → /elsewhere"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			old := parse(t, changing, base)
			text := changing
			if row.old != "" {
				text = strings.Replace(changing, row.old, row.new, 1)
				if row.name == "farm renamed" {
					text = strings.Replace(text, "farm: shop", "farm: other", 1)
				}
				if text == changing {
					t.Fatal("nothing replaced")
				}
			}
			got := Changes(old, parse(t, text, base))
			for i := range got {
				got[i] = strings.ReplaceAll(strings.ReplaceAll(got[i], base, "BASE"), old.State, "STATE")
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestChangedFiles holds that new content behind the same names is a change, and that a secret's is not shown.
func TestChangedFiles(t *testing.T) {
	base := folder(t)
	old := parse(t, changing, base)
	write(t, base, "key", "another-key-of-some-length\n", 0o600)
	pem, err := os.ReadFile(base + "/expired.pem")
	if err != nil {
		t.Fatal(err)
	}
	write(t, base, "shop.pem", string(pem), 0o600)
	got := strings.ReplaceAll(strings.Join(Changes(old, parse(t, changing, base)), "\n"), base, "BASE")
	if want := "web farm shop: affinity key changed\nfile BASE/shop.pem: new content"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func parse(t testing.TB, text, base string) *Config {
	t.Helper()
	cfg, err := Parse("g.yaml", []byte(text), base, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

package config

import (
	"testing"
	"time"
)

const fiveLines = `web_listeners: {public: {address: ":8080"}}
web_farms:
  shop: {members: ["http://10.0.0.11", "http://10.0.0.12"], verifier: "http://*/health"}
publishing_rules:
  shop: {hosts: ["shop.example"], farm: shop}
`

// TestFiveLines holds the README's configuration.
func TestFiveLines(t *testing.T) {
	cfg, err := Parse("gatehouse.yaml", []byte(fiveLines), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	shop := cfg.WebFarms["shop"]
	if got := shop.Members[1]; got != (Member{Name: "10.0.0.12:80", URL: "http://10.0.0.12", Weight: 1}) {
		t.Errorf("member: %+v", got)
	}
	if v := shop.Verifier; v.HTTP != "http://*/health" || v.Period != Duration(30*time.Second) || v.Fall != 2 || v.AuthenticationRequired != "up" {
		t.Errorf("verifier: %+v", v)
	}
	if l := cfg.WebListeners["public"].Limits; l.HeaderBytes != 64<<10 || l.Connections != 20000 {
		t.Errorf("limits: %+v", l)
	}
	if !cfg.PublishingRules["shop"].PreserveHost || !shop.FailOpen || cfg.Console.Listen != "127.0.0.1:7480" || cfg.State == "" {
		t.Errorf("defaults: %+v", cfg)
	}
	if w := cfg.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %v", w)
	}
}

// TestAtOnce holds that one call reports every mistake.
func TestAtOnce(t *testing.T) {
	_, err := Parse("g.yaml", []byte(`web_listeners:
  public: {addres: ":8080"}
web_farms:
  shop:
    members: [http://a, "http://a", {url: "ftp://x", weight: -1}]
    verifier: icmp://x
    balance: robin
    balance: x
publishing_rules:
  shop: {hosts: ["shop.example:80"], farm: shopp}
memory: {interval: 5, processes: {x: {pid: 1, unit: a.service}}}
`), t.TempDir(), nil)
	t.Log("\n" + err.Error())
	if p, ok := err.(*Problems); !ok || len(p.List) != 12 { //nolint:errorlint // the type is the contract
		t.Errorf("%v", err)
	}
}

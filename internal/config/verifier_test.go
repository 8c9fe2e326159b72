package config

import (
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

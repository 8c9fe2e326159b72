package config

import "reflect"

// MemberVerifier is the definition that the farm's verifiers are made from: its own, or a TCP connect to each member with
// every default.
func (f WebFarm) MemberVerifier() FarmVerifier {
	if f.Verifier != nil {
		return *f.Verifier
	}
	v := FarmVerifier{TCP: "*"}
	setDefaults(reflect.ValueOf(&v).Elem())
	return v
}

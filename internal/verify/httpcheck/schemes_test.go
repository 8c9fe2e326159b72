package httpcheck

import (
	"slices"
	"strings"
	"testing"
)

func TestSchemes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string
		want   []string
	}{
		{"none", nil, nil},
		{"empty", []string{""}, nil},
		{"IIS", []string{"Negotiate", "NTLM"}, []string{"Negotiate", "NTLM"}},
		{"Squid", []string{"Negotiate", "NTLM", `Basic realm="lab"`}, []string{"Negotiate", "NTLM", "Basic"}},
		{"one list", []string{`Negotiate, NTLM, Basic realm="a, b", Digest realm=x, nonce="c\"d,e", qop=auth`}, []string{"Negotiate", "NTLM", "Basic", "Digest"}},
		{"with a token", []string{"NTLM TlRMTVNTUAACAAAA=="}, []string{"NTLM"}},
		{"spelling", []string{"negotiate", "ntlm", "bASIC realm=x", "X-Own"}, []string{"Negotiate", "NTLM", "Basic", "X-Own"}},
		{"each once", []string{"NTLM", "ntlm", "NTLM"}, []string{"NTLM"}},
		{"spaces around the equals sign", []string{`Basic realm = "x", charset = "UTF-8"`}, []string{"Basic"}},
		{"empty elements", []string{", ,NTLM,,"}, []string{"NTLM"}},
		{"not a token", []string{"\x1b[31m, (x), NTLM"}, []string{"NTLM"}},
		{"an open quote", []string{`Basic realm="x, NTLM`}, []string{"Basic"}},
		{"too long a name", []string{strings.Repeat("x", 33) + ", NTLM"}, []string{"NTLM"}},
		{"too many", []string{"a1,a2,a3,a4,a5,a6,a7,a8,a9,a10,a11"}, []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "a10"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Schemes(tt.fields); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzSchemes(f *testing.F) {
	f.Add(`Negotiate, NTLM, Basic realm="a, b", Digest nonce="c\"d,e"`)
	f.Add(`NTLM TlRMTVNTUAACAAAA==, x="`)
	f.Add("a\\\",\"\x00=,=")
	f.Fuzz(func(t *testing.T, field string) {
		got := Schemes([]string{field, field})
		if len(got) > maxSchemes {
			t.Errorf("%d schemes of %q", len(got), field)
		}
		for i, name := range got {
			if name == "" || len(name) > maxSchemeName || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				t.Errorf("%q is not a name, of %q", name, field)
			}
			if contains(got[:i], name) {
				t.Errorf("%q twice, of %q", name, field)
			}
		}
	})
}

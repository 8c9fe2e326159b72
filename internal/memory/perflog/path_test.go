package perflog

import (
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParsePath(t *testing.T) {
	for _, tt := range []struct {
		raw  string
		want Path
		ok   bool
	}{
		{`\\HOST\Process(wspsrv)\Private Bytes`, Path{Host: "HOST", Object: "Process", Instance: "wspsrv", Counter: "Private Bytes"}, true},
		{`\\HOST\Process(svchost#12)\ID Process`, Path{Host: "HOST", Object: "Process", Instance: "svchost", Index: 12, Counter: "ID Process"}, true},
		{`\Memory\Available Bytes`, Path{Object: "Memory", Counter: "Available Bytes"}, true},
		{`Процесс(Idle)\Рабочий набор`, Path{Object: "Процесс", Instance: "Idle", Counter: "Рабочий набор"}, true},
		{`\\H\Thread(chrome/12#3)\% Processor Time`, Path{Host: "H", Object: "Thread", Parent: "chrome", Instance: "12", Index: 3, Counter: "% Processor Time"}, true},
		{`\\H\PhysicalDisk(0 C: (x))\Disk Reads/sec`, Path{Host: "H", Object: "PhysicalDisk", Instance: "0 C: (x)", Counter: "Disk Reads/sec"}, true},
		{`\\H\Net(a\b, c.d)\Bytes`, Path{Host: "H", Object: "Net", Instance: `a\b, c.d`, Counter: "Bytes"}, true},
		{`\\H\Memory\Lifetime (s)`, Path{Host: "H", Object: "Memory", Counter: "Lifetime (s)"}, true},
		{`\\H\Process(c#)\X`, Path{Host: "H", Object: "Process", Instance: "c#", Counter: "X"}, true},
		{`\\H\Process(c#07)\X`, Path{Host: "H", Object: "Process", Instance: "c#07", Counter: "X"}, true},
		{`Graph_1`, Path{}, false}, {``, Path{}, false}, {`\`, Path{}, false}, {`\\`, Path{}, false}, {`\\H`, Path{}, false}, {`\\H\x`, Path{}, false},
		{`\\H\ \x`, Path{}, false}, {`\\H\x\`, Path{}, false},
	} {
		got, ok := ParsePath(tt.raw)
		if ok != tt.ok || got != tt.want {
			t.Errorf("ParsePath(%q) (-want +got), ok %v:\n%s", tt.raw, ok, cmp.Diff(tt.want, got))
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{`\\H\Process(a/b#2)\C`, `\M\C`, `O(i)\C`, "Graph_1", `\\H\Процесс(x)\\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, ok := ParsePath(raw)
		if !ok {
			return
		}
		if p.Object == "" || p.Counter == "" {
			t.Fatalf("%q gave %+v", raw, p)
		}
		again, ok := ParsePath(p.String())
		if !ok || again != p {
			t.Fatalf("%q gave %+v, whose text %q gave %+v", raw, p, p.String(), again)
		}
		if !utf8.ValidString(visible(raw)) {
			t.Fatalf("visible(%q) is not UTF-8", raw)
		}
	})
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ in, object, counter string }{
		{"process", "Process", "process"},
		{"Процесс", "Process", "Процесс"},
		{"ПРОЦЕСС", "Process", "ПРОЦЕСС"},
		{"Рабочий  набор ", "Рабочий  набор ", "Working Set"},
		{"??????? ?????", "??????? ?????", "Working Set"}, // only the shape of the Russian name is left
		{"???????", "Process", "???????"},                 // Process in Russian
		{"ÐŸÑ€Ð¾Ñ†ÐµÑ\u0081Ñ\u0081", "ÐŸÑ€Ð¾Ñ†ÐµÑ\u0081Ñ\u0081", "ÐŸÑ€Ð¾Ñ†ÐµÑ\u0081Ñ\u0081"},
		{"MÃ©moire", "Memory", "MÃ©moire"}, // UTF-8 taken for a code page
		{"Octets priv�s", "Octets priv�s", "Private Bytes"},
		{"Threads?", "Threads?", "Threads?"},
		{"", "", ""},
	} {
		if got := EnglishObject(tt.in); got != tt.object {
			t.Errorf("object %q is %q, want %q", tt.in, got, tt.object)
		}
		if got := EnglishCounter(tt.in); got != tt.counter {
			t.Errorf("counter %q is %q, want %q", tt.in, got, tt.counter)
		}
	}
}

func TestDamageThatFitsTwoNamesIsNotUndone(t *testing.T) {
	w := wordTable(false, map[string][]string{"One": {"абв"}, "Two": {"где"}, "Three": {"жзик"}})
	if got := w.lookup("???"); got != "???" {
		t.Errorf("??? is %q, though two names fit", got)
	}
	if got := w.lookup("????"); got != "Three" {
		t.Errorf("???? is %q, want Three", got)
	}
}

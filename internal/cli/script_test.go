package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var updateScripts = flag.Bool("update", false, "write what the scripts compare with anew")

// TestMain makes the test binary stand in for the program gatehouse in scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gatehouse": func() { os.Exit(Run(context.Background(), OS())) },
	})
}

// TestScripts runs testdata/script/*.txt, each a session on the command line in an empty folder of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *updateScripts,
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"makelog": makeLog},
	})
}

// makeLog writes a counter log: makelog FILE DAYS PROCESS=KIND…, with a row every five minutes. A KIND is leak (24 MiB a day on
// 200 MiB), flat or ended (its values stop after an hour).
func makeLog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: makelog FILE DAYS PROCESS=KIND...")
	}
	days, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	var b strings.Builder
	b.WriteString(`"(PDH-CSV 4.0) (W. Europe Standard Time)(-60)"`)
	for _, arg := range args[2:] {
		name, _, _ := strings.Cut(arg, "=")
		fmt.Fprintf(&b, `,"\\GATE\Process(%[1]s)\ID Process","\\GATE\Process(%[1]s)\Private Bytes","\\GATE\Process(%[1]s)\Virtual Bytes"`, name)
	}
	start := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for row := range int(days*288) + 1 {
		fmt.Fprintf(&b, "\r\n\"%s\"", start.Add(time.Duration(row)*5*time.Minute).Format("01/02/2006 15:04:05.000"))
		for i, arg := range args[2:] {
			_, kind, _ := strings.Cut(arg, "=")
			if kind == "ended" && row > 12 {
				b.WriteString(`," "," "," "`)
				continue
			}
			memory := 200<<20 + 4096*((row*7919+i*104729)%64) // a little noise, the same every time
			if kind == "leak" {
				memory += row * (24 << 20) / 288
			}
			fmt.Fprintf(&b, `,"%d","%d","%d"`, 1000+4*i, memory, memory+300<<20)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()+"\r\n"), 0o600))
}

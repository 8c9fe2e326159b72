package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/app"
	"gatehouse/internal/memory/trend"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/words"
)

func memoryCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	cmd := show[[]watch.Process]{
		use: "memory", short: "Show the watched processes and what their memory does",
		part: app.Watch, path: "/processes", print: printProcesses,
	}.command(t)
	t.flags(cmd)
	return cmd
}

func printProcesses(w io.Writer, processes []watch.Process, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "PROCESS\tPID\tHOLDS\tVERDICT\tIN WORDS")
	for _, p := range processes {
		verdict, said := "-", words.At(now).Sentence(p.Finding)
		if p.Finding != nil {
			verdict = string(p.Finding.Verdict)
		}
		if p.Finding != nil && p.Finding.Verdict == trend.Leak && !p.Confirmed {
			verdict += "?" // one look has said so
		}
		switch {
		case p.Gone:
			said = "has ended; " + said
		case p.Error != "":
			said = p.Error
		}
		holds := "-"
		for _, counter := range []string{"private", "pss", "rss"} {
			if bytes, ok := p.Values[counter]; ok {
				holds = words.Size(bytes)
				break
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\n", p.Name, p.PID, holds, verdict, said)
	}
	return table.Flush()
}

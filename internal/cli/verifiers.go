package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/app"
	"gatehouse/internal/state"
	"gatehouse/internal/words"
)

func verifiersCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	cmd := show[[]state.Status]{
		use: "verifiers", short: "Show the connectivity verifiers and where they stand",
		part: app.Verify, path: "/verifiers", print: printVerifiers,
	}.command(t)
	t.flags(cmd)
	return cmd
}

func printVerifiers(w io.Writer, all []state.Status, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "VERIFIER\tGROUP\tSTATE\tFOR\tROUND TRIP\tWHY")
	for _, v := range all {
		trip := "-"
		if v.Last != nil {
			trip = words.Latency(v.Last.Timings.Total)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", v.Verifier, v.Group, v.State, words.At(now).Since(v.Since), trip, v.Reason)
	}
	return table.Flush()
}

package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
	"gatehouse/internal/state"
	"gatehouse/internal/words"
)

func verifiersCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	var format string
	cmd := &cobra.Command{
		Use:   "verifiers",
		Short: "Show the connectivity verifiers and where they stand",
		Args:  cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []state.Status{}
			err := t.ask(app.Verify, func(c *api.Client) error { return c.Get(cmd.Context(), "/verifiers", &all) })
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(env.Stdout, all)
			}
			return printVerifiers(env.Stdout, all, time.Now())
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
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

package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
	"gatehouse/internal/gateway/farm"
)

func farmCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	cmd := &cobra.Command{Use: "farm", Short: "Show web farms; drain, resume and remove members"}
	t.flags(cmd)
	cmd.AddCommand(farmListCommand(t), farmActionCommand(t, "drain", "Send no new sessions to a member; those that it has go on until the deadline"),
		farmActionCommand(t, "resume", "Use a member again"), farmActionCommand(t, "remove", "Send nothing to a member any more; its sessions move"))
	return cmd
}

func farmListCommand(t *target) *cobra.Command {
	return show[[]farm.Snapshot]{
		use: "list [FARM]", short: "Show farms with members, sessions and what the verifiers say",
		part: app.Edge, path: "/farms", keep: onlyFarm, print: printFarms,
	}.command(t)
}

// onlyFarm keeps the farm that the argument names, all without one.
func onlyFarm(farms []farm.Snapshot, args []string) ([]farm.Snapshot, error) {
	if len(args) == 0 {
		return farms, nil
	}
	for _, f := range farms {
		if f.Name == args[0] {
			return []farm.Snapshot{f}, nil
		}
	}
	return nil, usageError(fmt.Errorf("no web farm %q", args[0]))
}

func farmActionCommand(t *target, action, short string) *cobra.Command {
	var deadline time.Duration
	cmd := &cobra.Command{
		Use:   action + " FARM MEMBER",
		Short: short,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var f farm.Snapshot
			err := t.ask(app.Edge, func(c *api.Client) error {
				return c.Post(cmd.Context(), app.MemberPath(args[0], args[1], action, deadline), nil, &f)
			})
			if err != nil {
				return err
			}
			return printFarms(t.env.Stdout, []farm.Snapshot{f}, time.Now())
		},
	}
	if action == "drain" {
		cmd.Flags().DurationVar(&deadline, "deadline", 0, "when to end what is left (default: the farm's drain_timeout)")
	}
	return cmd
}

func printFarms(w io.Writer, farms []farm.Snapshot, _ time.Time) error {
	for i, f := range farms {
		if i > 0 {
			_, _ = fmt.Fprintln(w)
		}
		open := ""
		if f.FailOpen {
			open = ": no member looks usable, all are tried all the same"
		}
		_, _ = fmt.Fprintf(w, "%s (%s, affinity %s)%s\n", f.Name, f.Balance, f.Affinity, open)
		table := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "  MEMBER\tMODE\tSTATE\tWEIGHT\tSESSIONS\tACTIVE\tREQUESTS\tFAILED\tWHY")
		for _, m := range f.Members {
			mode := string(m.Mode)
			if m.Deadline != nil {
				mode += " until " + m.Deadline.Local().Format("15:04:05")
			}
			_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n",
				m.Name, mode, m.State, m.Weight, m.Sessions, m.Active, m.Requests, m.Failures, m.Reason)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

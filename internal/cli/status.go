package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/supervisor"
	"gatehouse/internal/words"
)

func statusCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the workers: pids, memory, uptime, restarts",
		Args:  cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var status supervisor.Status
			err := t.ask("supervisor", func(c *api.Client) error { return c.Get(cmd.Context(), "/status", &status) })
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(env.Stdout, status)
			}
			return printStatus(env.Stdout, status, time.Now())
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func printStatus(w io.Writer, s supervisor.Status, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "WORKER\tSTATE\tPID\tMEMORY\tUPTIME\tRESTARTS\tLAST EXIT")
	_, _ = fmt.Fprintf(table, "supervisor\tready\t%d\t\t%s\t\t\n", s.PID, uptime(now.Sub(s.Started)))
	for _, worker := range s.Workers {
		pid, memory, up := "-", "-", "-"
		if worker.PID != 0 {
			pid, up = fmt.Sprint(worker.PID), uptime(now.Sub(worker.Started))
		}
		if worker.RSSBytes != 0 {
			memory = words.Size(float64(worker.RSSBytes))
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n",
			worker.Role, worker.State, pid, memory, up, worker.Restarts, worker.LastExit)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nconfiguration %s, taken up %s\n", s.ConfigFile, s.ConfigLoaded.Format(time.RFC3339))
	if s.ConfigError != "" {
		_, err = fmt.Fprintf(w, "the last reload was refused:\n  %s\n", strings.ReplaceAll(s.ConfigError, "\n", "\n  "))
	}
	return err
}

// uptime is a duration in its two largest units.
func uptime(d time.Duration) string {
	days := int(d.Hours()) / 24
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, int(d.Hours())%24)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/supervisor"
	"gatehouse/internal/words"
)

func statusCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	cmd := show[supervisor.Status]{
		use: "status", short: "Show the workers: pids, memory, uptime, restarts", part: "supervisor", path: "/status", print: printStatus,
	}.command(t)
	t.flags(cmd)
	return cmd
}

func printStatus(w io.Writer, s supervisor.Status, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "WORKER\tSTATE\tPID\tMEMORY\tUPTIME\tRESTARTS\tLAST EXIT")
	_, _ = fmt.Fprintf(table, "supervisor\tready\t%d\t\t%s\t\t\n", s.PID, words.At(now).Since(s.Started))
	for _, worker := range s.Workers {
		pid, memory, up := "-", "-", "-"
		if worker.PID != 0 {
			pid, up = fmt.Sprint(worker.PID), words.At(now).Since(worker.Started)
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

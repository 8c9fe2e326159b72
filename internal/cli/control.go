package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/supervisor"
	"gatehouse/internal/words"
)

// target is which running gatehouse a command speaks to.
type target struct {
	env   *Env
	state string
	file  string
}

// flags adds the flags by which a command finds the running gatehouse.
func (t *target) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&t.state, "state", "", "state folder of the running gatehouse (default $GATEHOUSE_STATE, or what the configuration says)")
	cmd.PersistentFlags().StringVarP(&t.file, "config", "c", "", "configuration file, to learn the state folder from")
}

// ask runs f with a client for the supervisor or a worker.
func (t *target) ask(name string, f func(*api.Client) error) error {
	state, err := t.stateFolder()
	if err != nil {
		return err
	}
	client := api.NewClient(name, supervisor.SocketPath(state, name))
	defer client.Close()
	return f(client)
}

// stateFolder is the one that a flag, the environment or a configuration names, else the default.
func (t *target) stateFolder() (string, error) {
	if t.state != "" {
		return t.state, nil
	}
	if state := t.env.Getenv("GATEHOUSE_STATE"); state != "" {
		return state, nil
	}
	if t.file != "" {
		cfg, err := loadConfig(t.env, t.file)
		if err != nil {
			return "", err
		}
		return cfg.State, nil
	}
	defaults, err := config.Parse("defaults", nil, "", t.env.Getenv)
	if err != nil {
		return "", err
	}
	return defaults.State, nil
}

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

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func reloadCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Read the configuration again; when it is wrong, say why and keep the running one",
		Args:  cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := t.ask("supervisor", func(c *api.Client) error { return c.Post(cmd.Context(), "/reload", nil, nil) })
			var refused *api.Error
			if errors.As(err, &refused) {
				_, _ = fmt.Fprintln(env.Stderr, refused.Message)
				return &exitError{code: 2, err: errors.New("reload refused, the running configuration stays")}
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(env.Stdout, "reloaded")
			return err
		},
	}
	t.flags(cmd)
	return cmd
}

func recycleCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	cmd := &cobra.Command{
		Use:       "recycle WORKER",
		Short:     "Replace a worker: start the new one, then let the old one drain",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: app.Roles(),
		RunE: func(cmd *cobra.Command, args []string) error {
			var status supervisor.Status
			err := t.ask("supervisor", func(c *api.Client) error {
				return c.Post(cmd.Context(), "/recycle?worker="+url.QueryEscape(args[0]), nil, &status)
			})
			if err != nil {
				return err
			}
			return printStatus(env.Stdout, status, time.Now())
		},
	}
	t.flags(cmd)
	return cmd
}

func farmCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	cmd := &cobra.Command{Use: "farm", Short: "Show web farms; drain, resume and remove members"}
	t.flags(cmd)
	cmd.AddCommand(farmListCommand(t), farmActionCommand(t, "drain", "Send no new sessions to a member; those that it has go on until the deadline"),
		farmActionCommand(t, "resume", "Use a member again"), farmActionCommand(t, "remove", "Send nothing to a member any more; its sessions move"))
	return cmd
}

func farmListCommand(t *target) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list [FARM]",
		Short: "Show farms with members, sessions and what the verifiers say",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var farms []farm.Snapshot
			err := t.ask(app.Edge, func(c *api.Client) error { return c.Get(cmd.Context(), "/farms", &farms) })
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if farms, err = only(farms, args[0]); err != nil {
					return err
				}
			}
			if format == "json" {
				return printJSON(t.env.Stdout, farms)
			}
			return printFarms(t.env.Stdout, farms)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// only keeps the farm of that name.
func only(farms []farm.Snapshot, name string) ([]farm.Snapshot, error) {
	for _, f := range farms {
		if f.Name == name {
			return []farm.Snapshot{f}, nil
		}
	}
	return nil, usageError(fmt.Errorf("no web farm %q", name))
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
			return printFarms(t.env.Stdout, []farm.Snapshot{f})
		},
	}
	if action == "drain" {
		cmd.Flags().DurationVar(&deadline, "deadline", 0, "when to end what is left (default: the farm's drain_timeout)")
	}
	return cmd
}

func printFarms(w io.Writer, farms []farm.Snapshot) error {
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

package cli

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
	"gatehouse/internal/supervisor"
)

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

package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
)

func explainCommand(env *Env) *cobra.Command {
	t := &target{env: env}
	var listener string
	cmd := &cobra.Command{
		Use:   "explain URL",
		Short: "Tell which publishing rule takes a request, and why",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := url.Parse(args[0])
			if err != nil || u.Host == "" {
				return usageError(fmt.Errorf("%q is not a URL with a host: http://shop.example/app/", args[0]))
			}
			path := u.EscapedPath()
			if path == "" {
				path = "/"
			}
			query := url.Values{"listener": {listener}, "host": {u.Host}, "path": {path}}
			var said []string
			if err := t.ask(app.Edge, func(c *api.Client) error {
				return c.Get(cmd.Context(), "/explain?"+query.Encode(), &said)
			}); err != nil {
				return err
			}
			for _, line := range said {
				if _, err := fmt.Fprintln(env.Stdout, line); err != nil {
					return err
				}
			}
			return nil
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&listener, "listener", "", "name of the web listener (default: one that no rule names)")
	return cmd
}

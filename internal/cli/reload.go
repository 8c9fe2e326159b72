package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
)

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

package cli

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/internal/app"
)

func runCommand(env *Env) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Run the gateway: supervisor and workers",
		Long: `Run the gateway until SIGTERM or SIGINT.

SIGHUP reads the configuration again; when it is wrong the running one stays, and
"gatehouse status" says why.`,
		Args: cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(env, file)
			if err != nil {
				return err
			}
			executable, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find own binary: %w", err)
			}
			log := app.NewLog(cfg.Log).With("worker", "supervisor")
			for _, warning := range cfg.Warnings() {
				log.Warn("configuration", "remark", warning.Error())
			}
			return app.Supervise(cmd.Context(), app.SuperviseOptions{
				ConfigFile: file, Executable: executable, Version: version(), Getenv: env.Getenv, Log: log,
			})
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "/etc/gatehouse/gatehouse.yaml", "configuration file")
	return cmd
}

func workerCommand(env *Env) *cobra.Command {
	opt := app.WorkerOptions{Getenv: env.Getenv, Stdin: env.Stdin}
	cmd := &cobra.Command{
		Use:       "worker ROLE",
		Short:     "Serve one role (the supervisor starts this)",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: app.Roles(),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.Role = args[0]
			err := app.RunWorker(cmd.Context(), opt)
			if err != nil {
				slog.New(slog.NewTextHandler(env.Stderr, nil)).Error("worker ends", "worker", opt.Role, "error", err)
				return &exitError{code: 1}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&opt.State, "state", "", "state folder")
	cmd.Flags().StringVar(&opt.Origin, "origin", "", "the operator's configuration file")
	return cmd
}

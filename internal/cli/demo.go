package cli

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/app"
)

func demoCommand(env *Env) *cobra.Command {
	opt := app.DemoOptions{Getenv: env.Getenv}
	var logFile string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show everything on loopback: a farm, its verifiers, the console, and a leak that is named within three minutes",
		Args:  cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			var err error
			if opt.Executable, err = os.Executable(); err != nil {
				return fmt.Errorf("find own binary: %w", err)
			}
			opt.Version = version()
			opt.Stderr = io.Discard
			if logFile != "" {
				f, err := os.OpenFile(filepath.Clean(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
				if err != nil {
					return usageError(fmt.Errorf("open log: %w", err))
				}
				defer func() { _ = f.Close() }()
				opt.Stderr = f
			}
			opt.Say = func(at time.Duration, line string) {
				_, _ = fmt.Fprintf(env.Stdout, "%d:%02d  %s\n", int(at.Minutes()), int(at.Seconds())%60, line)
			}
			err = app.Demo(ctx, opt)
			if ctx.Err() != nil && cmd.Context().Err() == nil {
				_, _ = fmt.Fprintln(env.Stdout, "\nstopped; nothing is left behind")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&opt.Console, "console", "127.0.0.1:7480", "address of the console; another port when it is taken")
	cmd.Flags().StringVar(&opt.Farm, "farm", "127.0.0.1:7481", "address of the published farm; another port when it is taken")
	cmd.Flags().StringVar(&logFile, "log", "", "file for the workers' logs (default: none)")
	cmd.Flags().BoolVar(&opt.UntilNamed, "until-named", false, "end when the leaking process is named; fail when it is not in time, or another is")
	return cmd
}

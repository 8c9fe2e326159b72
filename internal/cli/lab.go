package cli

import (
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/config"
	"gatehouse/internal/lab"
	"gatehouse/internal/supervisor"
)

// labCommand starts the demo's programs. They end with their standard input, so that none outlives the demo.
func labCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "lab", Short: "Programs of the demo and the tests", Hidden: true}
	cmd.AddCommand(labMemberCommand(env), labLeakCommand(env), labWarmUpCommand(env))
	return cmd
}

func labMemberCommand(env *Env) *cobra.Command {
	member := &lab.Member{}
	var listen string
	cmd := &cobra.Command{
		Use:   "member",
		Short: "A server for a farm",
		Args:  cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := supervisor.Lifeline(cmd.Context(), env.Stdin)
			defer stop()
			ln, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("start member: %w", err)
			}
			return member.Serve(ctx, ln)
		},
	}
	cmd.Flags().StringVar(&member.Name, "name", "member", "what it answers with")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address")
	cmd.Flags().BoolVar(&member.Authenticate, "authenticate", false, "demand Windows authentication")
	return cmd
}

func labLeakCommand(env *Env) *cobra.Command {
	var rate, limit sizeFlag
	cmd := &cobra.Command{
		Use:   "leak",
		Short: "A program that leaks",
		Args:  cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := supervisor.Lifeline(cmd.Context(), env.Stdin)
			defer stop()
			lab.Leak(ctx, float64(rate), float64(limit))
			return nil
		},
	}
	rate, limit = 512<<10, 4<<30
	cmd.Flags().Var(&rate, "rate", "bytes a second")
	cmd.Flags().Var(&limit, "limit", "where it stops growing")
	return cmd
}

func labWarmUpCommand(env *Env) *cobra.Command {
	var total sizeFlag = 48 << 20
	var tau time.Duration
	cmd := &cobra.Command{
		Use:   "warm-up",
		Short: "A program that only warms up",
		Args:  cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := supervisor.Lifeline(cmd.Context(), env.Stdin)
			defer stop()
			lab.WarmUp(ctx, float64(total), tau)
			return nil
		},
	}
	cmd.Flags().Var(&total, "total", "bytes in the end")
	cmd.Flags().DurationVar(&tau, "time-constant", 15*time.Second, "time to 63 % of it")
	return cmd
}

// sizeFlag is a flag of bytes, written as in the configuration: 2147483648, 2GiB.
type sizeFlag config.Size

func (s *sizeFlag) String() string        { return config.Size(*s).String() }
func (s *sizeFlag) Set(text string) error { return (*config.Size)(s).UnmarshalText([]byte(text)) }
func (s *sizeFlag) Type() string          { return "size" }

// Package cli is the command line: one file a command, and the only package that prints.
//
// Results go to standard output, everything else that a person reads goes to standard error. Exit codes: 0 done, 1 it
// did not work, 2 the call or a file that it names is wrong.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Env is what a command may know of the world; tests give their own.
type Env struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
}

// OS returns the process's own environment.
func OS() *Env {
	return &Env{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
}

// Run runs the command that env.Args name and returns the exit code. It returns when the command is done or ctx ends.
func Run(ctx context.Context, env *Env) int {
	root := &cobra.Command{
		Use:           "gatehouse",
		Short:         "An edge gateway that its own memory cannot take down",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	root.AddCommand(commands(env)...)
	strict(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{code: 1, err: err}
	}
	if exit.err != nil {
		_, _ = fmt.Fprintf(env.Stderr, "gatehouse: %v\n", exit.err)
	}
	return exit.code
}

// strict makes a wrong number of arguments, an unknown one or an unknown command a wrong call.
func strict(cmd *cobra.Command) {
	check := cmd.Args
	if !cmd.Runnable() {
		check = func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			return nil
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				name := strings.TrimPrefix(cmd.CommandPath()+": ", "gatehouse ")
				return usageError(fmt.Errorf("%s%w; see %s --help", strings.TrimPrefix(name, "gatehouse: "), err, cmd.CommandPath()))
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

// commands lists every command; each is made in the file of its name.
func commands(env *Env) []*cobra.Command {
	return []*cobra.Command{
		runCommand(env),
		statusCommand(env),
		reloadCommand(env),
		recycleCommand(env),
		farmCommand(env),
		explainCommand(env),
		verifiersCommand(env),
		memoryCommand(env),
		analyzeCommand(env),
		configCommand(env),
		demoCommand(env),
		verifyCommand(env),
		versionCommand(env),
		workerCommand(env),
		labCommand(env),
	}
}

// exitError ends the program with a code; a nil err prints nothing more.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError marks a wrong call or a file that cannot be read: exit code 2.
func usageError(err error) error { return &exitError{code: 2, err: err} }

// isTerminal reports whether w is a terminal, where progress and colour may be shown.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

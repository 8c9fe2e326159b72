package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/config"
)

func configCommand(env *Env) *cobra.Command {
	parent := &cobra.Command{
		Use:   "config",
		Short: "Check, show and describe the configuration file",
		Args:  cobra.ExactArgs(0),
		RunE: func(_ *cobra.Command, _ []string) error {
			return usageError(errors.New("name what to do: config check FILE, config show FILE or config schema"))
		},
	}
	parent.AddCommand(
		&cobra.Command{
			Use:   "check FILE",
			Short: "Report everything that is wrong with a file, exit code 2 if anything is",
			Long: "Reads a configuration file with every file that it refers to and prints each mistake as file:line:column.\n" +
				"Nothing is started and nothing is contacted. Remarks on what is allowed but looks like a mistake are printed\n" +
				"as warnings and do not change the exit code.",
			Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error { return configCheck(env, args[0]) },
		},
		&cobra.Command{
			Use:   "show FILE",
			Short: "Print the effective values, defaults included; secrets are never printed",
			Args:  cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				cfg, err := loadConfig(env, args[0])
				if err != nil {
					return err
				}
				_, err = env.Stdout.Write(cfg.Show())
				return err
			},
		},
		&cobra.Command{
			Use:   "schema",
			Short: "Print the JSON schema of the file, for editors",
			Args:  cobra.ExactArgs(0),
			RunE: func(*cobra.Command, []string) error {
				_, err := env.Stdout.Write(config.Schema())
				return err
			},
		},
	)
	return parent
}

func configCheck(env *Env, file string) error {
	cfg, err := loadConfig(env, file)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		if _, err := fmt.Fprintf(env.Stderr, "warning: %v\n", w); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(env.Stdout, "%s: good, %s\n", file, configSummary(cfg))
	return err
}

// loadConfig reads a configuration file. Every problem is printed, one a line; the error carries exit code 2.
func loadConfig(env *Env, file string) (*config.Config, error) {
	cfg, err := config.Load(file, env.Getenv)
	if err == nil {
		return cfg, nil
	}
	return nil, usageError(printProblems(env.Stderr, file, err))
}

// printProblems prints the problems of a file and returns their sum as one error.
func printProblems(w io.Writer, file string, err error) error {
	var problems *config.Problems
	if !errors.As(err, &problems) {
		return err
	}
	if _, err := fmt.Fprintln(w, problems); err != nil {
		return err
	}
	return fmt.Errorf("%s: %s", file, count(len(problems.List), "problem"))
}

// configSummary counts what a configuration holds.
func configSummary(cfg *config.Config) string {
	members := 0
	for _, farm := range cfg.WebFarms {
		members += len(farm.Members)
	}
	return strings.Join([]string{
		count(len(cfg.WebListeners), "web listener"),
		count(len(cfg.PublishingRules), "publishing rule"),
		count(len(cfg.WebFarms), "web farm") + " with " + count(members, "member"),
		count(len(cfg.ConnectivityVerifiers), "connectivity verifier"),
		count(len(cfg.Memory.Processes), "selection") + " of watched processes",
	}, ", ")
}

// count is "1 member" or "2 members".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

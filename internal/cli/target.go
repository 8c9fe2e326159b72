package cli

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/supervisor"
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

// printJSON prints a document for programs and people who read it.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"gatehouse/internal/config"
	"gatehouse/internal/supervisor"
)

// SuperviseOptions say what Supervise runs.
type SuperviseOptions struct {
	ConfigFile string
	Executable string // the binary of the workers
	Version    string
	Getenv     func(string) string
	Stderr     io.Writer // where the workers log; nil is os.Stderr
	Log        *slog.Logger
	Ready      func() // called once every worker is ready; may be nil
}

// Supervise is "gatehouse run": it runs the supervisor with its workers until ctx ends or SIGTERM or SIGINT comes, and
// reloads on SIGHUP. The error of a wrong configuration is *config.Problems.
func Supervise(ctx context.Context, opt SuperviseOptions) error {
	file, err := filepath.Abs(opt.ConfigFile)
	if err != nil {
		return fmt.Errorf("find configuration: %w", err)
	}
	first, err := config.Load(file, opt.Getenv)
	if err != nil {
		return err
	}
	running := first
	load := func() (supervisor.Plan, error) {
		data, err := os.ReadFile(file) // read once: what is checked is what the workers get
		if err != nil {
			return supervisor.Plan{}, fmt.Errorf("read configuration: %w", err)
		}
		next, err := config.Parse(file, data, filepath.Dir(file), opt.Getenv)
		if err != nil {
			return supervisor.Plan{}, err
		}
		if next.State != first.State {
			return supervisor.Plan{}, fmt.Errorf(
				"%s: the state folder cannot change while gatehouse runs (%s now, %s in the file): restart it", file, first.State, next.State)
		}
		return plan(next, func() error {
			if err := writeFile(activeFile(first.State), data); err != nil {
				return err
			}
			for _, change := range config.Changes(running, next) {
				opt.Log.Info("configuration", "change", change)
			}
			running = next
			return nil
		}), nil
	}
	s, err := supervisor.New(supervisor.Options{
		Executable: opt.Executable,
		Arguments: func(role string) []string {
			return []string{"worker", role, "--state", first.State, "--origin", file}
		},
		State: first.State, Load: load, ConfigFile: file, Version: opt.Version,
		Notify: func(state string) {
			_, _ = daemon.SdNotify(false, state)
			if state == "READY=1" && opt.Ready != nil {
				opt.Ready()
				opt.Ready = nil
			}
		},
		Stderr: opt.Stderr, Log: opt.Log,
	})
	if err != nil {
		return err
	}
	return superviseSignals(ctx, s)
}

// superviseSignals runs the supervisor and tells it what the process is told.
func superviseSignals(ctx context.Context, s *supervisor.Supervisor) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for {
		select {
		case err := <-done:
			return err
		case <-hup:
			_ = s.Reload(ctx) // logged and shown in the status; the running configuration stays
		}
	}
}

// writeFile replaces a file in one step; only this user may read it.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

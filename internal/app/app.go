// Package app turns a configuration into running parts: the supervisor's plan, and inside each worker the parts of its
// role, plugged into one another, with their start order, reload and ordered stop. It is the only package that knows all
// the others; what they do is in them.
package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"gatehouse/internal/config"
	"gatehouse/internal/supervisor"
)

// The roles of workers.
const (
	Edge   = "edge"   // listeners, decide and forward
	Verify = "verify" // connectivity verifiers
	Watch  = "watch"  // memory watch and console
)

// Roles lists the roles in the order in which they are started and stopped: traffic first.
func Roles() []string { return []string{Edge, Verify, Watch} }

// Names of the sockets in a hand-over.
const (
	apiSocket     = "api"
	consoleSocket = "console"
	webSocket     = "web/" // followed by the web listener's name
)

// plan is what a configuration means to the supervisor.
func plan(cfg *config.Config, commit func() error) supervisor.Plan {
	socket := func(role string) supervisor.Socket {
		return supervisor.Socket{Name: apiSocket, Network: "unix", Address: supervisor.SocketPath(cfg.State, role)}
	}
	// verify and watch keep files that only one process may write.
	edge := supervisor.Role{Name: Edge, Sockets: []supervisor.Socket{socket(Edge)}}
	for _, name := range sortedKeys(cfg.WebListeners) {
		edge.Sockets = append(edge.Sockets, supervisor.Socket{
			Name: webSocket + name, Network: "tcp", Address: cfg.WebListeners[name].Address,
		})
	}
	verify := supervisor.Role{Name: Verify, Exclusive: true, Sockets: []supervisor.Socket{socket(Verify)}}
	watch := supervisor.Role{Name: Watch, Exclusive: true, Sockets: []supervisor.Socket{socket(Watch)}}
	if !cfg.Console.Off {
		watch.Sockets = append(watch.Sockets, supervisor.Socket{
			Name: consoleSocket, Network: "tcp", Address: cfg.Console.Listen,
		})
	}
	edge.Settings = fmt.Sprintf("%+v", logging(cfg.Log))
	verify.Settings = fmt.Sprintf("%+v %+v", logging(cfg.Log), cfg.Verification)
	memory := cfg.Memory
	memory.Processes = nil
	watch.Settings = fmt.Sprintf("%+v %+v %+v", logging(cfg.Log), cfg.Console, memory)
	return supervisor.Plan{
		Roles:  []supervisor.Role{edge, verify, watch},
		Commit: commit,
	}
}

// logging is what of the log's settings belongs to a worker's logger.
func logging(log config.Log) config.Log {
	log.Access = false // the edge takes that up by itself
	return log
}

// NewLog makes the logger that a configuration asks for, writing to standard error.
func NewLog(log config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	switch log.Level {
	case "debug":
		options.Level = slog.LevelDebug
	case "warn":
		options.Level = slog.LevelWarn
	case "error":
		options.Level = slog.LevelError
	}
	if log.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

// activeFile is the copy of the configuration that workers read: the last one that was found good. A worker that starts
// again after the operator has damaged the file still starts.
func activeFile(state string) string { return filepath.Join(state, "active.yaml") }

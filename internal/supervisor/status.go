package supervisor

import "time"

// Status is the supervisor and its workers at one moment.
type Status struct {
	PID          int            `json:"pid"`
	Version      string         `json:"version"`
	Started      time.Time      `json:"started"`
	ConfigFile   string         `json:"config_file"`
	ConfigLoaded time.Time      `json:"config_loaded"`          // when the running configuration was taken up
	ConfigError  string         `json:"config_error,omitempty"` // why the last reload was refused; empty when it was not
	Workers      []WorkerStatus `json:"workers"`
}

// WorkerStatus is one worker process.
type WorkerStatus struct {
	Role       string    `json:"role"`  // edge, verify or watch
	State      string    `json:"state"` // starting, ready, draining, waiting (before a restart)
	PID        int       `json:"pid,omitempty"`
	Started    time.Time `json:"started"`
	Restarts   int       `json:"restarts"`             // starts after a death, since the supervisor began
	LastExit   string    `json:"last_exit,omitempty"`  // how the process before this one ended
	RSSBytes   uint64    `json:"rss_bytes,omitempty"`  // resident memory now
	Generation int       `json:"generation,omitempty"` // counts every process started for the role
}

package procmem

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Query says which processes are meant. Exactly one field is set.
type Query struct {
	PID     int
	Process string // the program's name: comm, or the last part of its path (needed where comm is cut at 15 bytes)
	Command string // regular expression on the command line
	Unit    string // systemd unit; without a suffix it is a .service
	Cgroup  string // path of a control group, in either hierarchy; the groups below it are meant too
}

// Selector is a Query made ready to match.
type Selector struct {
	query   Query
	command *regexp.Regexp
	unit    string
	cgroup  string
}

// Compile makes a query ready to match.
func Compile(q Query) (*Selector, error) {
	s := &Selector{query: q}
	set := 0
	if q.PID != 0 {
		set++
		if q.PID < 0 {
			return nil, fmt.Errorf("compile selector: pid %d is negative", q.PID)
		}
	}
	for _, text := range []string{q.Process, q.Command, q.Unit, q.Cgroup} {
		if text != "" {
			set++
		}
	}
	if set != 1 {
		return nil, errors.New("compile selector: exactly one of pid, process, command, unit and cgroup must be given")
	}
	if q.Command != "" {
		re, err := regexp.Compile(q.Command)
		if err != nil {
			return nil, fmt.Errorf("compile selector: %w", err)
		}
		s.command = re
	}
	if q.Unit != "" {
		s.unit = q.Unit
		if ext := path.Ext(q.Unit); ext != ".service" && ext != ".scope" && ext != ".slice" {
			s.unit += ".service"
		}
	}
	if q.Cgroup != "" {
		s.cgroup = path.Clean("/" + q.Cgroup)
	}
	return s, nil
}

// PID is the one pid that the selector means, 0 when it selects otherwise. Such a selector needs no Scan.
func (s *Selector) PID() int { return s.query.PID }

// Match reports whether the selector means the process.
func (s *Selector) Match(p *Process) bool {
	switch {
	case s.query.PID != 0:
		return p.PID == s.query.PID
	case s.query.Process != "":
		return p.Comm == s.query.Process || exeBase(p.Exe) == s.query.Process
	case s.command != nil:
		return p.Command != "" && s.command.MatchString(p.Command)
	case s.unit != "":
		return inUnit(p.Cgroup.Unit, s.unit) || inUnit(p.Cgroup.Memory, s.unit)
	default:
		return below(p.Cgroup.Memory, s.cgroup) || below(p.Cgroup.Unit, s.cgroup)
	}
}

// exeBase is the last part of a program's path. Linux appends " (deleted)" when the file was replaced, as an update does.
func exeBase(exe string) string {
	if exe == "" {
		return ""
	}
	return filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
}

// inUnit reports whether one part of the cgroup path is the unit: a service may have groups of its own below it.
func inUnit(cgroup, unit string) bool {
	for part := range strings.SplitSeq(cgroup, "/") {
		if part == unit {
			return true
		}
	}
	return false
}

func below(cgroup, parent string) bool {
	if cgroup == "" {
		return false
	}
	return cgroup == parent || parent == "/" || strings.HasPrefix(cgroup, parent+"/")
}

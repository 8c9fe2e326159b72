package config

import (
	"fmt"
	"strings"
)

// collector gathers problems and remarks and knows where in the file each path stands.
type collector struct {
	file    string
	places  map[string]place // of values, by path
	keys    map[string]place // of keys, by path
	failed  map[string]bool  // paths that have a problem
	list    []*Problem
	remarks []*Problem
	more    bool // there were more problems than are collected
}

func newCollector(file string) *collector {
	return &collector{file: file, places: map[string]place{}, keys: map[string]place{}, failed: map[string]bool{}}
}

// add reports a problem at a place.
func (c *collector) add(at place, path, message string) {
	c.failed[path] = true
	c.addError(at, path, message, nil)
}

// addError reports a problem that says nothing against what else is found at its path.

func (c *collector) addError(at place, path, message string, err error) {
	if len(c.list) >= maxProblems {
		c.more = true
		return
	}
	c.list = append(c.list, &Problem{File: c.file, Line: at.line, Column: at.column, Path: path, Message: message, Err: err})
}

// refuse reports what is wrong with the value at a path, unless something below or at the path was wrong already: then
// the value is not what the file says.
func (c *collector) refuse(path, format string, args ...any) {
	if c.bad(path) {
		return
	}
	err := fmt.Errorf(format, args...)
	c.addError(c.place(path), path, err.Error(), err)
}

// problems returns everything that was reported, nil when that is nothing.
func (c *collector) problems() error {
	if len(c.list) == 0 {
		return nil
	}
	sortProblems(c.list)
	if c.more {
		c.list = append(c.list, &Problem{File: c.file, Message: fmt.Sprintf("there are more than %d problems; the rest is not shown", maxProblems)})
	}
	return &Problems{List: c.list}
}

// remark notes what is allowed but looks like a mistake.
func (c *collector) remark(path, format string, args ...any) {
	if c.bad(path) || len(c.remarks) >= maxProblems {
		return
	}
	at := c.place(path)
	c.remarks = append(c.remarks, &Problem{File: c.file, Line: at.line, Column: at.column, Path: path, Message: fmt.Sprintf(format, args...)})
}

// bad reports whether the value at a path, or one of the values that it stands in, has a problem.
func (c *collector) bad(path string) bool {
	for {
		if c.failed[path] {
			return true
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return false
		}
		path = path[:i]
	}
}

// written reports whether the file holds a value for a path.
func (c *collector) written(path string) bool {
	_, ok := c.places[path]
	return ok
}

// place finds the value of a path in the file, or of the nearest one around it.
func (c *collector) place(path string) place {
	for {
		if at, ok := c.places[path]; ok && at.line > 0 {
			return at
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return c.places[""]
		}
		path = path[:i]
	}
}

// keyPlace finds the key of a path in the file.
func (c *collector) keyPlace(path string) place {
	if at, ok := c.keys[path]; ok {
		return at
	}
	return c.place(path)
}

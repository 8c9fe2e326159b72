package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a configuration file, or one remark on it. Line and Column count from 1, columns in
// characters; both are 0 where the mistake has no place in the file, such as a file that cannot be read.
type Problem struct {
	File    string
	Line    int
	Column  int
	Path    string // of the value: "web_farms.shop.members[0].url"; empty for the file as a whole
	Message string
	Err     error // the cause, where there is one
}

// Error is "file:line:column: path: message", without the parts that are not known.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	b.WriteString(": " + p.Message)
	return b.String()
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Problems is everything that is wrong with a configuration file, in the order of the file. It is the error of [Load]
// and [Parse] and never empty there.
type Problems struct {
	List []*Problem
}

// Error is one problem a line.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, problem := range p.List {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems, so that errors.Is and errors.As look into each.
func (p *Problems) Unwrap() []error {
	errs := make([]error, len(p.List))
	for i, problem := range p.List {
		errs[i] = problem
	}
	return errs
}

// sortProblems puts problems in the order of the file.
func sortProblems(list []*Problem) {
	slices.SortStableFunc(list, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
}

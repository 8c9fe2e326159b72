package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
)

// show is a command that reads one document from a running process and shows it, for people or as JSON.
type show[T any] struct {
	use, short string
	part, path string                                // the process, and where it has the document
	keep       func(doc T, args []string) (T, error) // what arguments leave of it; nil takes no arguments
	print      func(w io.Writer, doc T, now time.Time) error
}

func (s show[T]) command(t *target) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: s.use, Short: s.short, Args: cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usageError(fmt.Errorf("no format %q: text or json", format))
			}
			var doc T
			err := t.ask(s.part, func(c *api.Client) error { return c.Get(cmd.Context(), s.path, &doc) })
			if err == nil && s.keep != nil {
				doc, err = s.keep(doc, args)
			}
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(t.env.Stdout, doc)
			}
			return s.print(t.env.Stdout, doc, time.Now())
		},
	}
	if s.keep != nil {
		cmd.Args = cobra.MaximumNArgs(1)
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

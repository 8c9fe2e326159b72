package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"gatehouse/internal/config"
	"gatehouse/internal/memory/analyze"
)

func analyzeCommand(env *Env) *cobra.Command {
	var format, limit string
	var opt analyze.Options
	cmd := &cobra.Command{
		Use:   "analyze [flags] FILE...",
		Short: "Say from Performance Monitor logs which processes leak, how fast, and when they reach their limit",
		Long: `Analyze reads Performance Monitor logs (CSV and TSV, as typeperf, relog and Performance Monitor write them) and gives the
memory verdict on every process in them: does it leak, how much a day, does it ever come down, when is the limit reached.
Logs of the same machine are taken as one.

Binary logs (.blg) must be turned into text first: relog FILE.blg -f CSV -o OUT.csv

Exit code 0 when the files were read and judged, whatever the verdicts; 2 when a file cannot be read or the call is wrong.`,
		Example: `  gatehouse analyze perflog.csv
  gatehouse analyze --limit 2GiB --process 'w3wp*' monday.csv tuesday.csv
  gatehouse analyze --format json perflog.csv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(errors.New("name at least one log file"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if limit != "" {
				bytes, err := parseLimit(limit)
				if err != nil {
					return err
				}
				opt.Limit = bytes
			}
			return runAnalyze(cmd.Context(), env, args, opt, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`text` for people or json for programs")
	cmd.Flags().StringVar(&limit, "limit", "", "`size` at which the process fails: 2147483648 or 2GiB")
	cmd.Flags().StringVar(&opt.Process, "process", "", "only processes whose name fits this `pattern` (* and ?)")
	cmd.Flags().StringArrayVar(&opt.Counters, "counter", nil, "judge the counters that fit this `path` (* and ?) in place of the usual ones; may be repeated")
	return cmd
}

func checkFormat(format string) error {
	switch format {
	case "text", "json":
		return nil
	case "html":
		return usageError(errors.New("analyze: --format html is not made yet; there are text and json"))
	}
	return usageError(fmt.Errorf("analyze: --format %q is neither text nor json", format))
}

// parseLimit reads a size of at least one byte.
func parseLimit(text string) (float64, error) {
	var size config.Size
	if err := size.UnmarshalText([]byte(text)); err != nil {
		return 0, usageError(fmt.Errorf("analyze: --limit: %w", err))
	}
	if size <= 0 {
		return 0, usageError(fmt.Errorf("analyze: --limit %s: a limit is more than nothing", text))
	}
	return float64(size), nil
}

func runAnalyze(ctx context.Context, env *Env, files []string, opt analyze.Options, format string) error {
	bar := newProgressBar(env)
	opt.Progress = bar.show
	report, err := analyze.Files(ctx, files, opt)
	bar.clear()
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return usageError(err)
	}
	for _, note := range report.Notes {
		_, _ = fmt.Fprintf(env.Stderr, "gatehouse: note: %s\n", note)
	}
	if format == "json" {
		return writeJSON(env.Stdout, report)
	}
	return newAnalysisText(env, report).write()
}

func writeJSON(w io.Writer, report *analyze.Report) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(report); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// progressBar shows how much of a long work is done, on a terminal only.
type progressBar struct {
	w     io.Writer // nil where there is no terminal
	shown int       // percent, or -1
}

func newProgressBar(env *Env) *progressBar {
	b := &progressBar{shown: -1}
	if isTerminal(env.Stderr) {
		b.w = env.Stderr
	}
	return b
}

func (b *progressBar) show(done, total int64) {
	if b.w == nil || total <= 0 {
		return
	}
	percent := int(math.Floor(100 * float64(done) / float64(total)))
	if percent == b.shown {
		return
	}
	b.shown = percent
	_, _ = fmt.Fprintf(b.w, "\ranalyzing: %3d %%", percent)
}

func (b *progressBar) clear() {
	if b.w != nil && b.shown >= 0 {
		_, _ = fmt.Fprint(b.w, "\r\x1b[K")
	}
}

package cli

import (
	"fmt"
	"gatehouse/internal/words"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"gatehouse/internal/memory/analyze"
	"gatehouse/internal/memory/trend"
)

const (
	defaultWidth = 100
	leastWidth   = 40
	// listAll is up to how many processes the table lists every one; of more it lists those that deserve it.
	listAll = 12
	// explainAll is up to how many processes each one gets a paragraph.
	explainAll = 3
)

// analysisText writes a report for people.
type analysisText struct {
	w      io.Writer
	report *analyze.Report
	width  int
	colour bool
	err    error
}

func newAnalysisText(env *Env, report *analyze.Report) *analysisText {
	return &analysisText{w: env.Stdout, report: report, width: textWidth(env), colour: isTerminal(env.Stdout) && env.Getenv("NO_COLOR") == ""}
}

// textWidth is how many columns a line may have: COLUMNS, else the terminal's, else a hundred.
func textWidth(env *Env) int {
	if n, err := strconv.Atoi(env.Getenv("COLUMNS")); err == nil && n > 0 {
		return max(n, leastWidth)
	}
	if f, ok := env.Stdout.(*os.File); ok && isTerminal(f) {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return max(n, leastWidth)
		}
	}
	return defaultWidth
}

func (a *analysisText) write() error {
	a.log()
	a.table()
	for i := range a.report.Findings {
		if a.deserves(&a.report.Findings[i]) {
			a.paragraph(&a.report.Findings[i], a.report.Curves[i])
		}
	}
	a.others()
	if a.err != nil {
		return fmt.Errorf("write report: %w", a.err)
	}
	return nil
}

func (a *analysisText) printf(format string, args ...any) {
	if a.err == nil {
		_, a.err = fmt.Fprintf(a.w, format, args...)
	}
}

// deserves reports whether a finding gets a paragraph.
func (a *analysisText) deserves(f *trend.Finding) bool {
	return f.Verdict != trend.Stable && f.Verdict != trend.Inconclusive || len(a.report.Findings) <= explainAll
}

// listed reports whether a finding gets a row of the table.
func (a *analysisText) listed(f *trend.Finding) bool {
	return a.deserves(f) || len(a.report.Findings) <= listAll
}

func (a *analysisText) log() {
	l := a.report.Log
	line := words.Plural(len(l.Files), "log")
	if len(l.Files) == 1 {
		line = l.Files[0]
	}
	if l.Start != nil && l.End != nil {
		line += fmt.Sprintf(": %s to %s, %s", l.Start.Format("2006-01-02 15:04"), l.End.Format("2006-01-02 15:04 -07:00"), words.Plural(l.Samples, "sample"))
	}
	if l.IntervalSeconds > 0 {
		line += fmt.Sprintf(", one every %s", span(time.Duration(l.IntervalSeconds*float64(time.Second))))
	}
	if l.RowsDropped > 0 {
		line += fmt.Sprintf(", %s left out", words.Plural(l.RowsDropped, "damaged row"))
	}
	a.wrap("", line)
}

// tableColumn is a column of the table; from is the width of the lines from which there is room for it.
type tableColumn struct {
	title string
	from  int
	cell  func(*trend.Finding) string
}

func (a *analysisText) columns() []tableColumn {
	wide := a.width >= 90
	all := []tableColumn{
		{"PROCESS", 0, func(f *trend.Finding) string { return cut(a.name(f), max(a.width/4, 12)) }},
		{"PID", 70, pid},
		{"VERDICT", 0, func(f *trend.Finding) string { return string(f.Verdict) }},
		{"GROWTH A DAY", 0, func(f *trend.Finding) string { return rateCell(f.Rate, wide) }},
		{"LIMIT REACHED", 60, func(f *trend.Finding) string { return limitCell(f.Limit, wide) }},
		{"CONFIDENCE", 80, func(f *trend.Finding) string { return percent(f.Confidence) }},
	}
	return slices.DeleteFunc(all, func(c tableColumn) bool { return a.width < c.from })
}

func (a *analysisText) table() {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	columns := a.columns()
	row := func(cell func(tableColumn) string) {
		var cells []string
		for _, c := range columns {
			cells = append(cells, cell(c))
		}
		_, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) // to a strings.Builder, which takes everything
	}
	row(func(c tableColumn) string { return c.title })
	rows := 0
	for i := range a.report.Findings {
		if f := &a.report.Findings[i]; a.listed(f) {
			rows++
			row(func(c tableColumn) string { return c.cell(f) })
		}
	}
	if rows == 0 {
		return
	}
	_ = t.Flush()
	a.printf("\n")
	for line := range strings.Lines(b.String()) {
		a.printf("%s\n", a.paint(strings.TrimRight(cut(strings.TrimRight(line, "\n"), a.width), " ")))
	}
}

// paint makes the rows of leaks stand out on a terminal.
func (a *analysisText) paint(line string) string {
	if a.colour && strings.Contains(line, "  "+string(trend.Leak)+"  ") {
		return "\x1b[1;31m" + line + "\x1b[0m"
	}
	return line
}

// name is the process with its host, where the logs are of several.
func (a *analysisText) name(f *trend.Finding) string {
	for i := range a.report.Findings {
		if other := a.report.Findings[i].Host; f.Host != "" && other != "" && other != f.Host {
			return f.Process + "@" + f.Host
		}
	}
	return f.Process
}

// paragraph says what there is to say of one process: the course of its memory, the three answers, and why.
func (a *analysisText) paragraph(f *trend.Finding, c trend.Curves) {
	title := a.name(f)
	if f.PID > 0 {
		title += fmt.Sprintf(" (pid %d)", f.PID)
	}
	a.printf("\n")
	a.wrap("", fmt.Sprintf("%s: %s, by %s", title, sentence(f), f.Counter))
	if line := sparkline(c.Floor, min(a.width-4, 60)); line != "" {
		low, high := bounds(c.Floor)
		a.printf("    %s\n", line)
		a.wrap("    ", fmt.Sprintf("floor from %s to %s over %s", words.Size(low), words.Size(high), span(c.Times[len(c.Times)-1].Sub(c.Times[0]))))
	}
	a.answer("How much does it grow a day?", growthAnswer(f))
	a.answer("Does it ever come down?", decreaseAnswer(f))
	a.answer("When is the limit reached?", limitAnswer(f))
	a.happened(f)
	for _, d := range f.Drivers {
		a.answer("Driven by", fmt.Sprintf("%s: %s an event (%s to %s), %s of the growth", d.Counter, words.Size(d.BytesPerEvent), words.Size(d.Low), words.Size(d.High), percent(d.Share)))
	}
	if f.DriversNote != "" {
		a.answer("Driver", f.DriversNote)
	}
	if f.DaysNeeded > 0 {
		a.answer("More log needed", fmt.Sprintf("%s to decide", days(f.DaysNeeded)))
	}
	for i, e := range f.Evidence {
		label := ""
		if i == 0 {
			label = "Why"
		}
		mark := "no:  "
		if e.Holds {
			mark = "yes: "
		}
		a.answer(label, fmt.Sprintf("%s%s (%s %s, threshold %s)", mark, e.Text, e.Rule, short(e.Value), short(e.Threshold)))
	}
}

// happened lists restarts and steps.
func (a *analysisText) happened(f *trend.Finding) {
	const most = 5
	if n := len(f.Restarts); n > 0 {
		var list []string
		for _, at := range f.Restarts[:min(n, most)] {
			list = append(list, moment(at))
		}
		if n > most {
			list = append(list, fmt.Sprintf("and %d more", n-most))
		}
		a.answer("Restarted", strings.Join(list, ", "))
	}
	for _, s := range f.Steps[:min(len(f.Steps), most)] {
		a.answer("Step", fmt.Sprintf("%s on %s", signed(s.Bytes), moment(s.At)))
	}
}

func (a *analysisText) answer(label, text string) {
	if text == "" {
		return
	}
	const column = 33
	if a.width < 2*column {
		a.wrap("    ", strings.TrimSpace(label+"  "+text))
		return
	}
	a.wrapAfter(fmt.Sprintf("    %-*s", column-4, label), column, text)
}

// others counts what the table does not list.
func (a *analysisText) others() {
	stable, undecided, shown := 0, 0, 0
	var need float64
	for i := range a.report.Findings {
		f := &a.report.Findings[i]
		switch {
		case a.listed(f):
			shown++
		case f.Verdict == trend.Stable:
			stable++
		default:
			undecided++
			need = max(need, f.DaysNeeded)
		}
	}
	if stable+undecided == 0 {
		return
	}
	others := "processes"
	if shown > 0 {
		others = "others"
	}
	var parts []string
	switch {
	case stable == 1:
		parts = append(parts, "1 "+map[bool]string{true: "other", false: "process"}[shown > 0]+" is stable")
	case stable > 1:
		parts = append(parts, fmt.Sprintf("%d %s are stable", stable, others))
	}
	if undecided > 0 {
		if undecided == 1 {
			others = strings.TrimSuffix(strings.TrimSuffix(others, "es"), "s")
		}
		text := fmt.Sprintf("of %d %s the log is too short to tell", undecided, others)
		if need > 0 {
			text += fmt.Sprintf(" (up to %s more would do)", days(need))
		}
		parts = append(parts, text)
	}
	a.printf("\n")
	a.wrap("", strings.Join(parts, "; ")+".")
}

// wrap writes text in lines of at most the width, each after the indent.
func (a *analysisText) wrap(indent, text string) { a.wrapAfter(indent, len(indent), text) }

// wrapAfter writes a first part and text beside it; further lines are indented.
func (a *analysisText) wrapAfter(first string, indent int, text string) {
	line, used := first, utf8.RuneCountInString(first)
	start := used
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		if used > start && used+1+n > a.width {
			a.printf("%s\n", line)
			line, used, start = strings.Repeat(" ", indent), indent, indent
		}
		if used > start {
			line += " "
			used++
		}
		line += word
		used += n
	}
	a.printf("%s\n", strings.TrimRight(line, " "))
}

func sentence(f *trend.Finding) string {
	switch f.Verdict {
	case trend.Leak:
		return "leak"
	case trend.Fragmentation:
		return "fragmentation: it holds more and more, but its program does not use more"
	case trend.Retention:
		return "retention: it keeps what it does not use, but not more and more"
	case trend.WarmUp:
		return "warm-up: it grew at first and has slowed down"
	case trend.Load:
		return "load: it follows what it has to do"
	case trend.Step:
		return "step: it grew at once and stayed there"
	case trend.Stable:
		return "stable"
	}
	return "inconclusive: the log does not decide it"
}

func growthAnswer(f *trend.Finding) string {
	if f.Rate == nil {
		if f.Verdict == trend.Inconclusive || f.DetectableRate == nil {
			return ""
		}
		return fmt.Sprintf("not that this log shows; growth of %s or more would have been seen", words.Size(*f.DetectableRate))
	}
	text := fmt.Sprintf("%s (95 %%: %s to %s)", words.Size(f.Rate.BytesPerDay), words.Size(f.Rate.Low), words.Size(f.Rate.High))
	if f.Since != nil {
		text += ", since " + moment(*f.Since)
	}
	return text
}

func decreaseAnswer(f *trend.Finding) string {
	if f.Decreases == nil || f.Verdict == trend.Inconclusive && !f.Decreases.Ever {
		return ""
	}
	if !f.Decreases.Ever {
		return fmt.Sprintf("no, apart from restarts: it gave back %s of what it grew", percent(f.Decreases.GivenBack))
	}
	return fmt.Sprintf("yes: it gave back %s of what it grew", percent(f.Decreases.GivenBack))
}

func limitAnswer(f *trend.Finding) string {
	l := f.Limit
	if l == nil {
		if f.Verdict != trend.Leak && f.Verdict != trend.Fragmentation {
			return ""
		}
		return "the limit is not known (--limit tells it)"
	}
	if l.Reached == nil {
		return fmt.Sprintf("never, as far as this log shows (%s reaching %s)", l.Of, words.LimitSize(l.Bytes))
	}
	text := "on " + moment(*l.Reached)
	switch {
	case l.Low != nil && l.High != nil:
		text += fmt.Sprintf(" (95 %%: %s to %s)", day(*l.Low), day(*l.High))
	case l.Low != nil:
		text += fmt.Sprintf(" (95 %%: not before %s)", day(*l.Low))
	}
	return text + fmt.Sprintf(", when %s reaches %s", l.Of, words.LimitSize(l.Bytes))
}

func pid(f *trend.Finding) string {
	if f.PID == 0 {
		return "-"
	}
	return strconv.Itoa(f.PID)
}

func rateCell(r *trend.Rate, interval bool) string {
	if r == nil {
		return "-"
	}
	if !interval {
		return words.Size(r.BytesPerDay)
	}
	return fmt.Sprintf("%s (%s to %s)", words.Size(r.BytesPerDay), words.Size(r.Low), words.Size(r.High))
}

func limitCell(l *trend.Limit, interval bool) string {
	if l == nil || l.Reached == nil {
		return "-"
	}
	text := day(*l.Reached)
	if interval && l.Low != nil && l.High != nil {
		text += fmt.Sprintf(" (%s to %s)", l.Low.Format("01-02"), l.High.Format("01-02"))
		if l.High.Year() != l.Low.Year() {
			text = day(*l.Reached) + fmt.Sprintf(" (%s to %s)", day(*l.Low), day(*l.High))
		}
	}
	return text
}

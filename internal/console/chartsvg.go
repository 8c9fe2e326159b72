package console

import (
	"bytes"
	"errors"
	"fmt"
	"gatehouse/internal/words"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/memory/watch"
)

const (
	svgWidth, svgHeight         = 720, 200 // of the image
	svgLeft, svgRight           = 64, 8    // margins
	svgTop, svgBottom           = 10, 24
	svgPlotWidth                = svgWidth - svgLeft - svgRight
	svgPlotHeight               = svgHeight - svgTop - svgBottom
	limitShown          float64 = 3 // the limit is drawn when it is no higher than this many times the memory
)

// chartImage is a chart as a picture, for pages without scripts.
type chartImage struct {
	Title               string
	Memory, Floor, Line string // paths
	Limit               string // y of the limit, empty when it is not shown
	LimitName           string
	Marks               []chartMark
	From, To            string
}

type chartMark struct{ Y, Name string }

func (c *Console) serveChartSVG(w http.ResponseWriter, r *http.Request) {
	chart, status, err := c.chart(r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	var b bytes.Buffer
	if err := c.templates.ExecuteTemplate(&b, "chart.svg", drawChart(words.Clock{Now: c.now()}, chart)); err != nil {
		c.log.Error("render chart", "process", chart.Process, "error", err)
		http.Error(w, "the chart could not be drawn", http.StatusInternalServerError)
		return
	}
	// The picture carries its own style; it can load nothing and run nothing.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = b.WriteTo(w) // an error means that the browser has gone
}

// chart asks for the chart that the request names; on an error the status is the one to answer with.
func (c *Console) chart(r *http.Request) (watch.Chart, int, error) {
	length, err := parseSpan(r.FormValue("span"))
	if err != nil {
		return watch.Chart{}, http.StatusBadRequest, err
	}
	if c.options.Chart == nil {
		return watch.Chart{}, http.StatusBadGateway, errNotConnected
	}
	chart, err := c.options.Chart(r.Context(), r.PathValue("id"), length)
	switch {
	case errors.Is(err, ErrNotFound):
		return chart, http.StatusNotFound, err
	case err != nil:
		return chart, http.StatusBadGateway, err
	}
	return chart, http.StatusOK, nil
}

func drawChart(c words.Clock, chart watch.Chart) chartImage {
	img := chartImage{Title: chart.Process + ", " + counterName(chart.Counter)}
	if len(chart.Times) == 0 {
		return img
	}
	low, top := chartRange(chart)
	step := niceStep((top - low) / 4)
	y := func(v float64) float64 { return svgTop + svgPlotHeight*(1-(v-low)/(top-low)) }
	if l := chart.Limit; l != nil && *l <= top {
		img.Limit, img.LimitName = coordinate(y(*l)), words.LimitSize(*l)
	}
	for v := math.Ceil(low/step) * step; v <= top; v += step {
		img.Marks = append(img.Marks, chartMark{coordinate(y(v)), words.Size(v)})
	}
	first, last := chart.Times[0], chart.Times[len(chart.Times)-1]
	x := func(t float64) float64 { return svgLeft + svgPlotWidth*(t-first)/math.Max(last-first, 1) }
	img.Memory, img.Floor, img.Line = svgPath(chart.Times, chart.Memory, x, y), svgPath(chart.Times, chart.Floor, x, y), svgPath(chart.Times, chart.Trend, x, y)
	img.From, img.To = c.Exact(unix(first)), c.Exact(unix(last))
	return img
}

// chartRange is what the axis shows: from zero when the memory varies much, else the part in which it varies, and never
// so little that noise looks like growth. The limit is in it when it is near. The console's script does the same.
func chartRange(chart watch.Chart) (low, high float64) {
	low = math.Inf(1)
	for _, values := range [][]*float64{chart.Memory, chart.Floor, chart.Trend} {
		for _, v := range values {
			if v != nil {
				low, high = math.Min(low, *v), math.Max(high, *v)
			}
		}
	}
	if high <= 0 {
		return 0, 1
	}
	if high-low > high/2 {
		low = 0
	} else {
		low = math.Max(0, math.Min(low, high-high/5)-(high-low)*0.1)
	}
	span := high - low
	if l := chart.Limit; l != nil && *l <= high+span {
		high = math.Max(high, *l)
	}
	return low, high + span*0.08
}

func unix(seconds float64) time.Time { return time.Unix(int64(seconds), 0) }

// niceStep rounds up to 1, 2 or 5 times a power of ten, never below one byte.
func niceStep(v float64) float64 {
	if v <= 1 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

// svgPath is SVG path data through the values; a missing value interrupts the line.
func svgPath(times []float64, values []*float64, x, y func(float64) float64) string {
	var b strings.Builder
	draw := false
	for i, v := range values {
		if v == nil || i >= len(times) {
			draw = false
			continue
		}
		command := "M"
		if draw {
			command = "L"
		}
		fmt.Fprintf(&b, "%s%s %s", command, coordinate(x(times[i])), coordinate(y(*v)))
		draw = true
	}
	return b.String()
}

func coordinate(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

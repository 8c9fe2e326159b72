package series

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// Bounds of the HTTP API. The number of steps is Prometheus' own.
const (
	maxSteps     = 11_000
	maxFormBytes = 1 << 20
	maxNames     = 10_000 // series, label names or values in one answer
)

// call answers one request with what stands under "data".
type call func(context.Context, *http.Request) (any, error)

// Handler serves the part of Prometheus' HTTP API (/api/v1/) that Grafana's Prometheus data source needs: query,
// query_range, series, labels, label values, metadata, and build information, by which Grafana knows what it talks to.
// It only reads. Queries are bounded by Options in number, samples and time.
func (s *Store) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, answer := range map[string]call{
		"query":               s.apiQuery,
		"query_range":         s.apiQueryRange,
		"series":              s.apiSeries,
		"labels":              s.apiLabels,
		"label/{name}/values": s.apiLabelValues,
		"metadata":            s.apiMetadata,
		"query_exemplars":     func(context.Context, *http.Request) (any, error) { return []any{}, nil },
		"status/buildinfo": func(context.Context, *http.Request) (any, error) {
			return map[string]string{"version": "3.13.5", "application": "gatehouse"}, nil
		},
	} {
		h := s.bound(answer)
		mux.Handle("GET /api/v1/"+path, h)
		mux.Handle("POST /api/v1/"+path, h)
	}
	return mux
}

// apiError is an error with the type that the API names and its status.
type apiError struct {
	kind   string
	status int
	err    error
}

func (e *apiError) Error() string { return e.err.Error() }
func (e *apiError) Unwrap() error { return e.err }

func badData(err error) error { return &apiError{"bad_data", http.StatusBadRequest, err} }

func badParameter(name string, err error) error {
	return badData(fmt.Errorf("invalid parameter %q: %w", name, err))
}

// asAPIError finds the type and status of any error.
func asAPIError(err error) *apiError {
	var known *apiError
	var timeout promql.ErrQueryTimeout
	var canceled promql.ErrQueryCanceled
	var internal promql.ErrStorage
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return &apiError{"timeout", http.StatusServiceUnavailable, err}
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return &apiError{"canceled", 499, err}
	case errors.As(err, &internal):
		return &apiError{"internal", http.StatusInternalServerError, err}
	}
	return &apiError{"execution", http.StatusUnprocessableEntity, err}
}

type envelope struct {
	Status    string   `json:"status"`
	Data      any      `json:"data,omitempty"`
	ErrorType string   `json:"errorType,omitempty"`
	Error     string   `json:"error,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

// bound runs a call when there is room for it, with the time a query may take, and writes the envelope.
func (s *Store) bound(answer call) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.options.Timeout)
		defer cancel()
		var data any
		var err error
		select {
		case s.queries <- struct{}{}:
			r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
			if err = r.ParseForm(); err != nil {
				err = badData(err)
			} else {
				data, err = answer(ctx, r)
			}
			<-s.queries
		case <-ctx.Done():
			err = fmt.Errorf("wait for other queries: %w", ctx.Err())
		}
		s.write(w, data, err)
	})
}

func (s *Store) write(w http.ResponseWriter, data any, err error) {
	status, out := http.StatusOK, envelope{Status: "success", Data: data}
	if err != nil {
		failure := asAPIError(err)
		status, out = failure.status, envelope{Status: "error", ErrorType: failure.kind, Error: err.Error()}
	}
	text, err := json.Marshal(out)
	if err != nil {
		s.options.Log.Error("write answer", "err", err)
		status, text = http.StatusInternalServerError, []byte(`{"status":"error","errorType":"internal","error":"write answer"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone away needs no answer
}

// parseTime reads Unix seconds with a fraction, or RFC 3339.
func parseTime(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	text := r.Form.Get(name)
	if text == "" {
		return otherwise, nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(seconds) || math.Abs(seconds) > 1e11 {
			return time.Time{}, badParameter(name, fmt.Errorf("%q is no time", text))
		}
		whole, fraction := math.Modf(seconds)
		return time.Unix(int64(whole), int64(math.Round(fraction*1000))*int64(time.Millisecond)).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, badParameter(name, fmt.Errorf("%q is neither Unix seconds nor RFC 3339", text))
	}
	return t, nil
}

// parseStep reads seconds with a fraction, or a duration as PromQL writes it.
func parseStep(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds > 0 && seconds < 1e9) {
			return 0, badParameter("step", fmt.Errorf("%q is no step", text))
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0, badParameter("step", err)
	}
	if d <= 0 {
		return 0, badParameter("step", errors.New("it must be more than nothing"))
	}
	return time.Duration(d), nil
}

type queryData struct {
	ResultType string `json:"resultType"`
	Result     any    `json:"result"`
}

func (s *Store) apiQuery(ctx context.Context, r *http.Request) (any, error) {
	at, err := parseTime(r, "time", s.options.Now())
	if err != nil {
		return nil, err
	}
	q, err := s.engine.NewInstantQuery(ctx, s.db, nil, r.Form.Get("query"), at)
	if err != nil {
		return nil, badParameter("query", err)
	}
	return s.run(ctx, q)
}

func (s *Store) apiQueryRange(ctx context.Context, r *http.Request) (any, error) {
	from, to, err := s.interval(r)
	if err != nil {
		return nil, err
	}
	step, err := parseStep(r.Form.Get("step"))
	if err != nil {
		return nil, err
	}
	if to.Sub(from)/step > maxSteps {
		return nil, badData(fmt.Errorf("more than %d steps a series: make the step longer or the range shorter", maxSteps))
	}
	q, err := s.engine.NewRangeQuery(ctx, s.db, nil, r.Form.Get("query"), from, to, step)
	if err != nil {
		return nil, badParameter("query", err)
	}
	return s.run(ctx, q)
}

// run evaluates and encodes at once: the result is in the engine's memory only until the query is closed.
func (s *Store) run(ctx context.Context, q promql.Query) (any, error) {
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, res.Err
	}
	var result any = res.Value
	switch v := res.Value.(type) { // an empty list must not become null
	case promql.Vector:
		if len(v) == 0 {
			result = []any{}
		}
	case promql.Matrix:
		if len(v) == 0 {
			result = []any{}
		}
	}
	text, err := json.Marshal(queryData{string(res.Value.Type()), result})
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	return json.RawMessage(text), nil
}

// interval is the time from start to end; a call that gives none means all of the retention.
func (s *Store) interval(r *http.Request) (from, to time.Time, err error) {
	now := s.options.Now()
	if from, err = parseTime(r, "start", now.Add(-s.options.Retention)); err != nil {
		return from, to, err
	}
	if to, err = parseTime(r, "end", now); err != nil {
		return from, to, err
	}
	if to.Before(from) {
		return from, to, badParameter("end", errors.New("it lies before the start"))
	}
	return from, to, nil
}

// selectors reads every match[] parameter.
func (s *Store) selectors(r *http.Request) ([][]*labels.Matcher, error) {
	all, err := s.parser.ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		return nil, badParameter("match[]", err)
	}
	return all, nil
}

// querier opens the stored interval that the request asks for, with its selectors, and hands both to use.
func (s *Store) querier(r *http.Request, use func(storage.Querier, [][]*labels.Matcher) error) (err error) {
	from, to, err := s.interval(r)
	if err != nil {
		return err
	}
	matchers, err := s.selectors(r)
	if err != nil {
		return err
	}
	q, err := s.db.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	return use(q, matchers)
}

func (s *Store) apiSeries(ctx context.Context, r *http.Request) (any, error) {
	if len(r.Form["match[]"]) == 0 {
		return nil, badData(errors.New("no match[] parameter given"))
	}
	found := make(map[string]map[string]string)
	err := s.querier(r, func(q storage.Querier, selectors [][]*labels.Matcher) error {
		for _, matchers := range selectors {
			set := q.Select(ctx, false, nil, matchers...)
			for set.Next() && len(found) < maxNames {
				l := set.At().Labels()
				m := without(l)
				m[model.MetricNameLabel] = l.Get(model.MetricNameLabel)
				found[l.String()] = m
			}
			if err := set.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	data := make([]map[string]string, 0, len(found))
	for _, key := range slices.Sorted(maps.Keys(found)) {
		data = append(data, found[key])
	}
	return data, err
}

func (s *Store) apiLabels(ctx context.Context, r *http.Request) (any, error) {
	return s.names(r, func(q storage.Querier, m []*labels.Matcher) ([]string, error) {
		names, _, err := q.LabelNames(ctx, nil, m...)
		return names, err
	})
}

func (s *Store) apiLabelValues(ctx context.Context, r *http.Request) (any, error) {
	name := r.PathValue("name")
	if !model.UTF8Validation.IsValidLabelName(name) {
		return nil, badData(fmt.Errorf("%q is no name of a label", name))
	}
	return s.names(r, func(q storage.Querier, m []*labels.Matcher) ([]string, error) {
		values, _, err := q.LabelValues(ctx, name, nil, m...)
		return values, err
	})
}

// names joins what get finds for each selector, or for all series when there is none.
func (s *Store) names(r *http.Request, get func(storage.Querier, []*labels.Matcher) ([]string, error)) (any, error) {
	found := make(map[string]bool)
	err := s.querier(r, func(q storage.Querier, selectors [][]*labels.Matcher) error {
		if len(selectors) == 0 {
			selectors = [][]*labels.Matcher{nil}
		}
		for _, matchers := range selectors {
			names, err := get(q, matchers)
			if err != nil {
				return err
			}
			for _, name := range names {
				// The engine's strings may lie in mapped files that go when the querier is closed.
				found[string([]byte(name))] = true
			}
		}
		return nil
	})
	all := slices.AppendSeq(make([]string, 0, len(found)), maps.Keys(found))
	slices.Sort(all)
	return all[:min(len(all), maxNames)], err
}

type metadataItem struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

func (s *Store) apiMetadata(_ context.Context, r *http.Request) (any, error) {
	data := make(map[string][]metadataItem)
	for metric, m := range s.options.Metadata {
		if only := r.Form.Get("metric"); only == "" || only == metric {
			data[metric] = []metadataItem{{m.Type, m.Help, m.Unit}}
		}
	}
	return data, nil
}

package series

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// ErrTooMany says that an answer would hold more samples than Options.MaxSamples.
var ErrTooMany = errors.New("too many samples")

// Series is one series as it was read. Times ascend strictly and have the length of Values; no value is NaN.
type Series struct {
	Labels map[string]string // without the metric's name
	Times  []time.Time
	Values []float64
}

// Match asks for series whose label has one of the values.
type Match struct {
	Label  string
	Values []string
}

func (m Match) matcher() (*labels.Matcher, error) {
	if len(m.Values) == 1 {
		return labels.NewMatcher(labels.MatchEqual, m.Label, m.Values[0])
	}
	quoted := make([]string, len(m.Values))
	for i, v := range m.Values {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return labels.NewMatcher(labels.MatchRegexp, m.Label, strings.Join(quoted, "|"))
}

// Range reads the series of a metric that satisfy every Match, from and to included. Of the samples in each step, which
// is counted from the epoch, the last stays; a step of 0 keeps all.
func (s *Store) Range(ctx context.Context, metric string, matches []Match, from, to time.Time, step time.Duration) ([]Series, error) {
	matchers := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, metric)}
	for _, m := range matches {
		matcher, err := m.matcher()
		if err != nil {
			return nil, fmt.Errorf("read series %s: %w", metric, err)
		}
		matchers = append(matchers, matcher)
	}
	all, err := s.selectSeries(ctx, matchers, from, to, step)
	if err != nil {
		return nil, fmt.Errorf("read series %s: %w", metric, err)
	}
	return all, nil
}

func (s *Store) selectSeries(ctx context.Context, matchers []*labels.Matcher, from, to time.Time, step time.Duration) (all []Series, err error) {
	q, err := s.db.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	set := q.Select(ctx, true, nil, matchers...)
	left := s.options.MaxSamples
	var it chunkenc.Iterator
	for set.Next() {
		it = set.At().Iterator(it)
		one := Series{Labels: without(set.At().Labels())}
		if err := one.read(it, step.Milliseconds(), &left); err != nil {
			return nil, err
		}
		if len(one.Times) > 0 {
			all = append(all, one)
		}
	}
	return all, set.Err()
}

// read takes the samples over, thinned; left is how many may still be kept.
func (s *Series) read(it chunkenc.Iterator, step int64, left *int) error {
	var last int64 = math.MinInt64 // the step of the newest sample kept
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		if kind != chunkenc.ValFloat {
			continue
		}
		t, v := it.At()
		if math.IsNaN(v) {
			continue
		}
		if step > 0 && t/step == last {
			s.Times[len(s.Times)-1], s.Values[len(s.Values)-1] = time.UnixMilli(t).UTC(), v
			continue
		}
		if step > 0 {
			last = t / step
		}
		if *left--; *left < 0 {
			return ErrTooMany
		}
		s.Times = append(s.Times, time.UnixMilli(t).UTC())
		s.Values = append(s.Values, v)
	}
	return it.Err()
}

// without gives the labels as a map that outlives the engine's memory, without the metric's name.
func without(l labels.Labels) map[string]string {
	m := make(map[string]string, l.Len())
	l.Range(func(one labels.Label) {
		if one.Name != model.MetricNameLabel {
			m[strings.Clone(one.Name)] = strings.Clone(one.Value)
		}
	})
	return m
}

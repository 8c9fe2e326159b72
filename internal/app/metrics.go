package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gatehouse/internal/api"
)

// allMetrics serves the metrics of every worker on one page, each with the label worker. A worker that does not answer
// is missing from it, and gatehouse_worker_up says so.
func (p *watchPart) allMetrics() http.Handler {
	own := gathererOf(Watch, p.metrics.Gather)
	others := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		up := prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gatehouse_worker_up", Help: "Whether the worker answered when its metrics were read.",
		}, []string{"worker"})
		all := prometheus.Gatherers{own}
		var mu sync.Mutex
		var asked sync.WaitGroup
		for _, role := range []string{Edge, Verify} {
			asked.Go(func() {
				families, err := scrape(p.others[role])
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					p.log.Debug("metrics are missing", "error", err)
					up.WithLabelValues(role).Set(0)
					return
				}
				up.WithLabelValues(role).Set(1)
				all = append(all, gathererOf(role, func() ([]*dto.MetricFamily, error) { return families, nil }))
			})
		}
		asked.Wait()
		registry := prometheus.NewRegistry()
		if err := registry.Register(up); err != nil {
			return nil, fmt.Errorf("gather metrics: %w", err)
		}
		return append(all, registry).Gather()
	})
	return promhttp.HandlerFor(others, promhttp.HandlerOpts{})
}

// scrape reads a worker's metrics page.
func scrape(client *api.Client) ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	resp, err := client.Do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	byName, err := parser.TextToMetricFamilies(http.MaxBytesReader(nil, resp.Body, api.MaxDocument))
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	families := make([]*dto.MetricFamily, 0, len(byName))
	for _, name := range sortedKeys(byName) {
		families = append(families, byName[name])
	}
	return families, nil
}

// gathererOf adds the label worker to every metric.
func gathererOf(role string, gather func() ([]*dto.MetricFamily, error)) prometheus.Gatherer {
	name := "worker"
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := gather()
		for _, family := range families {
			for _, m := range family.Metric {
				m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &role})
			}
		}
		return families, err
	})
}

package series

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAPI(t *testing.T) {
	s := open(t, Options{
		MaxSamples: 60,
		Now:        func() time.Time { return start.Add(4 * time.Minute) },
		Metadata:   map[string]Metadata{"m": {Type: "gauge", Help: "A thing."}, "n": {Type: "counter", Help: "Other."}},
	})
	fill(t, s, 5)
	h := s.Handler()
	for _, row := range []struct {
		name, path string
		form       url.Values
		status     int
		want       string
	}{
		{"query now", "query", url.Values{"query": {`m{process="a"}`}}, 200,
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","process":"a"},"value":[1772323440,"4"]}]}}`},
		{"query then", "query", url.Values{"query": {"sum(m)"}, "time": {"1772323260.5"}}, 200,
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1772323260.5,"11"]}]}}`},
		{"query by RFC 3339", "query", url.Values{"query": {"1"}, "time": {"2026-03-01T00:00:00Z"}}, 200,
			`{"status":"success","data":{"resultType":"scalar","result":[1772323200,"1"]}}`},
		{"query of nothing", "query", url.Values{"query": {"absent_metric"}}, 200,
			`{"status":"success","data":{"resultType":"vector","result":[]}}`},
		{"range", "query_range", url.Values{"query": {`m{process="a"}`}, "start": {"1772323200"}, "end": {"1772323320"}, "step": {"60"}}, 200,
			`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"m","process":"a"},"values":[[1772323200,"0"],[1772323260,"1"],[1772323320,"2"]]}]}}`},
		{"range of nothing", "query_range", url.Values{"query": {"none"}, "start": {"1772323200"}, "end": {"1772323320"}, "step": {"1m"}}, 200,
			`{"status":"success","data":{"resultType":"matrix","result":[]}}`},
		{"series", "series", url.Values{"match[]": {`m{process="a"}`, `{process=~"a|c"}`}}, 200,
			`{"status":"success","data":[{"__name__":"m","process":"a"}]}`},
		{"labels", "labels", nil, 200, `{"status":"success","data":["__name__","process"]}`},
		{"label values", "label/process/values", url.Values{"match[]": {`m`}}, 200, `{"status":"success","data":["a","b.*"]}`},
		{"metric names", "label/__name__/values", nil, 200, `{"status":"success","data":["m"]}`},
		{"values of no label", "label/other/values", nil, 200, `{"status":"success","data":[]}`},
		{"metadata", "metadata", url.Values{"metric": {"m"}}, 200, `{"status":"success","data":{"m":[{"type":"gauge","help":"A thing.","unit":""}]}}`},
		{"what Grafana asks first", "status/buildinfo", nil, 200, `{"status":"success","data":{"application":"gatehouse","version":"3.13.5"}}`},
		{"exemplars", "query_exemplars", nil, 200, `{"status":"success","data":[]}`},

		{"bad query", "query", url.Values{"query": {"m{"}}, 400, `"errorType":"bad_data"`},
		{"bad time", "query", url.Values{"query": {"m"}, "time": {"soon"}}, 400, `invalid parameter \"time\"`},
		{"time out of bounds", "query", url.Values{"query": {"m"}, "time": {"1e300"}}, 400, `invalid parameter \"time\"`},
		{"no step", "query_range", url.Values{"query": {"m"}, "start": {"1"}, "end": {"2"}}, 400, `invalid parameter \"step\"`},
		{"step of nothing", "query_range", url.Values{"query": {"m"}, "start": {"1"}, "end": {"2"}, "step": {"0"}}, 400, `invalid parameter \"step\"`},
		{"end before start", "query_range", url.Values{"query": {"m"}, "start": {"2"}, "end": {"1"}, "step": {"1"}}, 400, `invalid parameter \"end\"`},
		{"too many steps", "query_range", url.Values{"query": {"m"}, "start": {"0"}, "end": {"1772323320"}, "step": {"1"}}, 400, `11000 steps`},
		{"too many samples", "query_range", url.Values{"query": {"m"}, "start": {"1772323200"}, "end": {"1772323440"}, "step": {"1"}}, 422, `"errorType":"execution"`},
		{"series of everything", "series", nil, 400, `no match[] parameter`},
		{"bad selector", "labels", url.Values{"match[]": {"{"}}, 400, `invalid parameter \"match[]\"`},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			req := httptest.NewRequest(method, "/api/v1/"+row.path+"?"+row.form.Encode(), nil)
			if method == http.MethodPost {
				req = httptest.NewRequest(method, "/api/v1/"+row.path, strings.NewReader(row.form.Encode()))
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			got := w.Body.String()
			if w.Code != row.status || (row.status == 200 && got != row.want) || !strings.Contains(got, row.want) {
				t.Errorf("%s (%s): %d %s\nwant %d %s", row.name, method, w.Code, got, row.status, row.want)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s: not JSON: %s", row.name, got)
			}
		}
	}
}

func TestAPIQueriesAreBounded(t *testing.T) {
	s := open(t, Options{Queries: 1, Timeout: time.Millisecond})
	s.queries <- struct{}{} // another query is running
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/query?query=1", nil))
	<-s.queries
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"errorType":"timeout"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func FuzzAPIParameters(f *testing.F) {
	f.Add("1772323200.5", "15s", "15")
	f.Add("2026-03-01T00:00:00Z", "1e300", "NaN")
	f.Fuzz(func(t *testing.T, at, step, step2 string) {
		r := &http.Request{Form: url.Values{"time": {at}}}
		if got, err := parseTime(r, "time", start); err == nil && got.UnixMilli() == 0 && got.Unix() != 0 {
			t.Errorf("%q: %v", at, got)
		}
		for _, text := range []string{step, step2} {
			if d, err := parseStep(text); err == nil && d < 0 {
				t.Errorf("%q: %v", text, d)
			}
		}
	})
}

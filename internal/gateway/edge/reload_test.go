package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"gatehouse/internal/gateway/farm"
)

func TestReplaceSwitchesFarm(t *testing.T) {
	say := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	release := make(chan struct{})
	slow := make(chan struct{})
	old := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(slow)
			<-release
		}
		fmt.Fprint(w, "old")
	})
	fresh := memberServer(t, say("new"))
	r := newRig(t, []string{old.URL})
	conn := r.dial() // one client connection lives through the reload
	br := bufio.NewReader(conn)
	ask := func() string {
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		return body(t, res)
	}
	if got := ask(); got != "old" {
		t.Fatalf("got %q", got)
	}
	answer := make(chan string)
	client := r.client()
	go func() { answer <- body(t, do(t, client, "GET", r.url("/slow"), nil)) }()
	<-slow
	next := r.options.Config
	next.Listeners = []Listener{{Name: "web"}}
	next.Farms = map[string]*Farm{"shop": {Farm: newFarm(t, farm.Options{Members: members(t, fresh.URL)})}}
	if err := r.edge.Replace(next); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != "new" {
		t.Errorf("after the reload: %q", got)
	}
	close(release)
	if got := <-answer; got != "old" {
		t.Errorf("the request under way got %q", got)
	}
}

// Connections whose server has new limits end with their next response, and new ones have the new limits.
func TestReplaceLimits(t *testing.T) {
	m := memberServer(t, func(http.ResponseWriter, *http.Request) {})
	r := newRig(t, []string{m.URL})
	conn := r.dial()
	br := bufio.NewReader(conn)
	ask := func() *http.Response {
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = body(t, res)
		return res
	}
	if ask().Close {
		t.Fatal("closed too early")
	}
	next := r.options.Config
	next.Listeners = []Listener{{Name: "web", Limits: Limits{HeaderTimeout: short}}}
	if err := r.edge.Replace(next); err != nil {
		t.Fatal(err)
	}
	if !ask().Close {
		t.Error("the old connection stays")
	}
	if got := untilClosed(t, r.dial()); got != "" {
		t.Errorf("got %q", got)
	}
	eventually(t, "the old server is forgotten", func() bool {
		r.edge.run.mu.Lock()
		defer r.edge.run.mu.Unlock()
		return len(r.edge.run.servers) == 1
	})
}

func TestReplaceListeners(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	r := newRig(t, []string{m.URL})
	added := listen(t)
	next := r.options.Config
	next.Listeners = []Listener{{Name: "second", Net: added}}
	if err := r.edge.Replace(next); err != nil {
		t.Fatal(err)
	}
	if got := body(t, do(t, r.client(), "GET", "http://"+added.Addr().String()+"/", nil)); got != "ok" {
		t.Errorf("got %q", got)
	}
	if c, err := net.Dial("tcp", r.addr); err == nil {
		_ = c.Close()
		t.Error("the missing listener still accepts")
	}
}

func TestReplaceRefuses(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	r := newRig(t, []string{m.URL})
	err := r.edge.Replace(Config{
		Listeners: []Listener{{Name: ""}, {Name: "other"}, {Name: "web"}, {Name: "web"}}, Farms: map[string]*Farm{"x": nil},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	has(t, err.Error(), "no name", `listener "other": it has no socket`, `listener "web": the name is taken`, `farm "x"`)
	if got := body(t, do(t, r.client(), "GET", r.url("/"), nil)); got != "ok" {
		t.Errorf("the running configuration is gone: %q", got)
	}
}

// Reloads under load cost no request.
func TestReplaceUnderLoad(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	r := newRig(t, []string{m.URL}, edged(func(o *Options) { o.AccessLog = false }))
	var wg sync.WaitGroup
	var stop atomic.Bool
	var asked atomic.Int64
	for range 4 {
		c := r.client()
		wg.Go(func() {
			for !stop.Load() {
				res, err := c.Get(r.url("/"))
				if err != nil {
					t.Error(err)
					return
				}
				if got := body(t, res); got != "ok" {
					t.Errorf("got %d %q", res.StatusCode, got)
				}
				asked.Add(1)
			}
		})
	}
	for i := range 30 {
		next := r.options.Config
		next.Listeners = []Listener{{Name: "web", Limits: Limits{IdleTimeout: time.Minute + time.Duration(i)*time.Second}}}
		next.Farms = map[string]*Farm{"shop": {Farm: r.farm, ConnectTimeout: time.Second + time.Duration(i)*time.Second}}
		before := asked.Load()
		if err := r.edge.Replace(next); err != nil {
			t.Error(err)
		}
		eventually(t, "requests go on", func() bool { return t.Failed() || asked.Load() > before+10 })
	}
	stop.Store(true)
	wg.Wait()
}

// A drain lets a request end that is under way, and refuses new connections at once.
func TestDrain(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-release
		fmt.Fprint(w, "done")
	})
	a := newAuthority(t)
	for _, c := range []struct {
		name   string
		setups []setup
		ask    func(*rig) *http.Response
	}{
		{"http/1.1", nil, func(r *rig) *http.Response { return do(t, r.client(), "GET", r.url("/"), nil) }},
		{"h2", []setup{secure(t, a, "shop.example")}, func(r *rig) *http.Response {
			return do(t, r.tlsClient(a, "shop.example", true), "GET", "https://"+r.addr+"/", nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) { testDrain(t, newRig(t, []string{m.URL}, c.setups...), c.ask, asked, release) })
	}
}

func testDrain(t *testing.T, r *rig, ask func(*rig) *http.Response, asked, release chan struct{}) {
	answer := make(chan *http.Response)
	go func() { answer <- ask(r) }()
	<-asked
	stopped := make(chan struct{})
	go func() {
		r.stop()
		close(stopped)
	}()
	eventually(t, "the listener is closed", func() bool {
		c, err := net.Dial("tcp", r.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	release <- struct{}{}
	if res := <-answer; body(t, res) != "done" || !res.Close && res.ProtoMajor == 1 {
		t.Errorf("got %d, close %v", res.StatusCode, res.Close)
	}
	<-stopped
}

// What does not end in time is closed.
// taken is how many connections are inside, and the accept loop while it waits for the next.
func (g *gate) taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}

// TestDrainAnswersQuietConnections: a client that was connected before the drain and asks while it is under way gets its
// answer, and is told that the connection ends; one that never asked before, too.
func TestDrainAnswersQuietConnections(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "done") })
	r := newRig(t, []string{m.URL}, edged(func(o *Options) { o.DrainTimeout = time.Minute }))
	const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	kept, fresh := r.dial(), r.dial()
	_, _ = io.WriteString(kept, request)
	first, err := http.ReadResponse(bufio.NewReader(kept), nil)
	if err != nil || first.Close {
		t.Fatalf("before the drain: %v, %+v", err, first)
	}
	eventually(t, "both connections are inside, and the accept loop waits", func() bool { return r.edge.listeners["web"].gate.taken() >= 3 })
	stopped := make(chan struct{})
	go func() {
		r.stop()
		close(stopped)
	}()
	eventually(t, "the listener is closed", func() bool {
		c, err := net.Dial("tcp", r.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	for name, conn := range map[string]net.Conn{"kept": kept, "fresh": fresh} {
		_, _ = io.WriteString(conn, request)
		has(t, untilClosed(t, conn), "HTTP/1.1 200", "Connection: close", "done")
		if t.Failed() {
			t.Fatalf("the %s connection", name)
		}
	}
	<-stopped
}

func TestDrainTimeout(t *testing.T) {
	asked := make(chan struct{})
	m := memberServer(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	r := newRig(t, []string{m.URL}, edged(func(o *Options) { o.DrainTimeout = short }))
	conn := r.dial()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-asked
	r.stop()
	has(t, untilClosed(t, conn), "HTTP/1.1 503", "stopping")
	if err := r.edge.Replace(r.options.Config); err == nil {
		t.Error("an edge that has ended took another configuration")
	}
}

func TestRunOnce(t *testing.T) {
	r := newRig(t, []string{refusing(t)})
	eventually(t, "it runs", func() bool { c, err := net.Dial("tcp", r.addr); return err == nil && c.Close() == nil })
	if err := r.edge.Run(context.Background()); err == nil {
		t.Error("it ran twice")
	}
}

// Two edges live in one process, and an edge that never ran leaves nothing.
func TestTwoEdges(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	one, two := newRig(t, []string{m.URL}), newRig(t, []string{m.URL})
	for _, r := range []*rig{one, two} {
		if got := body(t, do(t, r.client(), "GET", r.url("/"), nil)); got != "ok" {
			t.Errorf("got %q", got)
		}
	}
}

func TestMetrics(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "four")
	})
	r := newRig(t, []string{m.URL})
	c := r.client()
	_ = body(t, do(t, c, "POST", r.url("/"), strings.NewReader("three")))
	_ = body(t, do(t, c, "TRACE", r.url("/"), nil))
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(r.edge); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		`gatehouse_edge_requests_total{code="2xx",farm="shop",member="a"}`: 1,
		`gatehouse_edge_requests_total{code="4xx",farm="",member=""}`:      1,
		`gatehouse_edge_refusals_total{reason="method"}`:                   1,
		`gatehouse_edge_body_bytes_total{direction="in",farm="shop"}`:      5,
		`gatehouse_edge_body_bytes_total{direction="out",farm="shop"}`:     4,
		`gatehouse_edge_requests_active{farm="shop"}`:                      0,
		`gatehouse_edge_connections{listener="web"}`:                       1,
		`gatehouse_edge_connections_accepted_total{listener="web"}`:        1,
	}
	for name, value := range want {
		eventually(t, fmt.Sprintf("%s is %v (have %v)", name, value, gather(t, reg)[name]), func() bool {
			got, ok := gather(t, reg)[name]
			return ok && got == value
		})
	}
}

// gather returns every counter and gauge by its name with labels.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			all[f.GetName()+labels(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

func labels(m *dto.Metric) string {
	var list []string
	for _, l := range m.Label {
		list = append(list, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	return "{" + strings.Join(list, ",") + "}"
}

package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/gateway/edge"
	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/gateway/policy"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

// edgePart is the role edge: listeners, rules and farms, with the members' health as the role verify tells it.
type edgePart struct {
	*worker
	edge   *edge.Edge
	verify *api.Client

	mu    sync.Mutex
	farms map[string]*farm.Farm
}

// edgeFile keeps what operators have said of members, so that a member being drained is not used again because edge
// started anew.
func (w *worker) edgeFile() string { return filepath.Join(w.State, "edge.json") }

func newEdge(w *worker) (part, error) {
	p := &edgePart{worker: w, verify: api.NewClient("verify", supervisor.SocketPath(w.State, Verify))}
	cfg, farms, err := p.configure(w.cfg)
	if err != nil {
		return nil, err
	}
	p.applyOrders(farms)
	p.farms = farms
	p.edge, err = edge.New(edge.Options{Config: cfg, Name: "gatehouse", Log: w.log, DrainTimeout: 25 * time.Second})
	if err != nil {
		return nil, err
	}
	return p, w.metrics.Register(p.edge)
}

func (p *edgePart) run(ctx context.Context, ready func()) error {
	var follow sync.WaitGroup
	defer follow.Wait()
	defer p.verify.Close()
	following, stop := context.WithCancel(context.WithoutCancel(ctx)) // health is wanted while requests drain
	defer stop()
	follow.Go(func() { p.followVerify(following) })
	ready()
	return p.edge.Run(ctx)
}

// followVerify takes over what the verifiers say for as long as it can be heard; when it cannot, the last word stands.
func (p *edgePart) followVerify(ctx context.Context) {
	const again = 200 * time.Millisecond
	for ctx.Err() == nil {
		err := p.verify.Follow(ctx, "/events", func(_ string, data []byte) error {
			var s state.Status
			if err := json.Unmarshal(data, &s); err != nil {
				return fmt.Errorf("follow verifiers: %w", err)
			}
			p.mu.Lock()
			f := p.farms[s.Farm]
			p.mu.Unlock()
			if f != nil {
				f.SetHealth(s.Member, farm.Health{State: s.State, Usable: s.Usable, Reason: s.Reason, Since: s.Since})
			}
			return nil
		})
		p.log.Debug("verifiers are not heard", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

func (p *edgePart) reload(cfg *config.Config) error {
	next, farms, err := p.configure(cfg)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, f := range farms {
		if old := p.farms[name]; old != nil {
			f.Restore(old)
		}
	}
	if err := p.edge.Replace(next); err != nil {
		return err
	}
	p.farms = farms
	return nil
}

func (p *edgePart) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /farms", func(w http.ResponseWriter, _ *http.Request) { api.Reply(w, p.snapshots()) })
	mux.HandleFunc("POST /farms/{farm}/members/{member}/{action}", p.memberAction)
	mux.HandleFunc("GET /explain", p.explain)
}

func (p *edgePart) snapshots() []farm.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := []farm.Snapshot{}
	for _, name := range sortedKeys(p.farms) {
		all = append(all, p.farms[name].Snapshot())
	}
	return all
}

// memberAction drains, resumes or removes a member, and answers with the farm as it is then.
func (p *edgePart) memberAction(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	f := p.farms[r.PathValue("farm")]
	p.mu.Unlock()
	if f == nil {
		api.Fail(w, http.StatusNotFound, fmt.Errorf("no web farm %q", r.PathValue("farm")))
		return
	}
	var deadline time.Duration
	if text := r.URL.Query().Get("deadline"); text != "" {
		var err error
		if deadline, err = time.ParseDuration(text); err != nil || deadline < 0 {
			api.Fail(w, http.StatusBadRequest, fmt.Errorf("deadline %q is not a duration like 90s or 10m", text))
			return
		}
	}
	member, action := r.PathValue("member"), r.PathValue("action")
	var err error
	switch action {
	case "drain":
		err = f.Drain(member, deadline)
	case "resume":
		err = f.Resume(member)
	case "remove":
		err = f.Remove(member)
	default:
		api.Fail(w, http.StatusNotFound, fmt.Errorf("no action %q: drain, resume or remove", action))
		return
	}
	if err != nil {
		api.Fail(w, http.StatusNotFound, err)
		return
	}
	p.log.Info("member "+action, "farm", r.PathValue("farm"), "member", member, "deadline", deadline)
	if err := p.saveOrders(); err != nil {
		p.log.Error("member's mode will not survive a restart", "error", err)
	}
	api.Reply(w, f.Snapshot())
}

// explain tells which rule takes a request, and why.
func (p *edgePart) explain(w http.ResponseWriter, r *http.Request) {
	cfg, err := p.active()
	if err != nil {
		api.Fail(w, http.StatusInternalServerError, err)
		return
	}
	table, err := policy.Compile(rules(cfg))
	if err != nil {
		api.Fail(w, http.StatusInternalServerError, err)
		return
	}
	q := r.URL.Query()
	api.Reply(w, table.Explain(policy.Head{
		Listener: q.Get("listener"), Method: http.MethodGet, Host: q.Get("host"), Path: q.Get("path"),
	}))
}

// configure makes everything that the edge needs from a configuration; sockets come from the hand-over.
func (p *edgePart) configure(cfg *config.Config) (edge.Config, map[string]*farm.Farm, error) {
	table, err := policy.Compile(rules(cfg))
	if err != nil {
		return edge.Config{}, nil, fmt.Errorf("compile publishing rules: %w", err)
	}
	made := edge.Config{Table: table, Farms: map[string]*edge.Farm{}, AccessLog: cfg.Log.Access}
	for _, name := range sortedKeys(cfg.WebListeners) {
		l, err := p.listener(name, cfg.WebListeners[name])
		if err != nil {
			return edge.Config{}, nil, fmt.Errorf("web listener %s: %w", name, err)
		}
		made.Listeners = append(made.Listeners, l)
	}
	farms := map[string]*farm.Farm{}
	for _, name := range sortedKeys(cfg.WebFarms) {
		f, err := p.farm(name, cfg.WebFarms[name])
		if err != nil {
			return edge.Config{}, nil, fmt.Errorf("web farm %s: %w", name, err)
		}
		made.Farms[name], farms[name] = f, f.Farm
	}
	return made, farms, nil
}

func rules(cfg *config.Config) []policy.Rule {
	var rules []policy.Rule
	for _, name := range sortedKeys(cfg.PublishingRules) {
		r := cfg.PublishingRules[name]
		rules = append(rules, policy.Rule{
			Name: name, Listeners: r.Listeners, Hosts: r.Hosts, Paths: r.Paths, Farm: r.Farm, PreserveHost: r.PreserveHost,
		})
	}
	return rules
}

func (p *edgePart) listener(name string, cfg config.WebListener) (edge.Listener, error) {
	l := edge.Listener{Name: name, Net: p.listeners[webSocket+name], Limits: edge.Limits{
		HeaderBytes: int64(cfg.Limits.HeaderBytes), BodyBytes: int64(cfg.Limits.BodyBytes),
		HeaderTimeout: time.Duration(cfg.Limits.HeaderTimeout), BodyTimeout: time.Duration(cfg.Limits.BodyTimeout),
		IdleTimeout: time.Duration(cfg.Limits.IdleTimeout), TunnelTimeout: time.Duration(cfg.Limits.TunnelTimeout),
		Connections: cfg.Limits.Connections,
	}}
	for _, text := range cfg.TrustedProxies {
		network, err := parseNetwork(text)
		if err != nil {
			return edge.Listener{}, err
		}
		l.TrustedProxies = append(l.TrustedProxies, network)
	}
	if cfg.TLS == nil {
		return l, nil
	}
	var certificates []tls.Certificate
	for _, c := range cfg.TLS.Certificates {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return edge.Listener{}, fmt.Errorf("load certificate: %w", err)
		}
		certificates = append(certificates, pair)
	}
	minimum := uint16(tls.VersionTLS12)
	if cfg.TLS.MinVersion == "1.3" {
		minimum = tls.VersionTLS13
	}
	var err error
	l.TLS, err = edge.TLSConfig(certificates, minimum)
	return l, err
}

// parseNetwork reads a network or a single address.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("read network: %w", err)
	}
	return network, nil
}

func (p *edgePart) farm(name string, cfg config.WebFarm) (*edge.Farm, error) {
	key, err := p.affinityKey(cfg)
	if err != nil {
		return nil, err
	}
	options := farm.Options{
		Name: name, Balance: cfg.Balance, Affinity: cfg.Affinity, AffinityLifetime: time.Duration(cfg.AffinityLifetime),
		AffinityKey: key, FailOpen: cfg.FailOpen, SlowStart: time.Duration(cfg.SlowStart),
		Retry:        farm.Retry{Attempts: cfg.Retry.Attempts, Budget: cfg.Retry.Budget},
		DrainTimeout: time.Duration(cfg.DrainTimeout),
	}
	for _, m := range cfg.Members {
		u, err := url.Parse(m.URL)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", m.Name, err)
		}
		options.Members = append(options.Members, farm.Member{Name: m.Name, URL: u, Weight: m.Weight})
	}
	f, err := farm.New(options)
	if err != nil {
		return nil, err
	}
	made := &edge.Farm{
		Farm: f, ConnectTimeout: time.Duration(cfg.ConnectTimeout), ResponseTimeout: time.Duration(cfg.ResponseTimeout),
	}
	if cfg.TLS != nil {
		made.TLS, err = memberTLS(cfg.TLS)
	}
	return made, err
}

// memberTLS is how a farm's members, and their verifiers, are trusted.
func memberTLS(cfg *config.MemberTLS) (*tls.Config, error) {
	made := &tls.Config{
		ServerName: cfg.ServerName, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: cfg.InsecureSkipVerify, // the operator's explicit choice
	}
	if cfg.CA != "" {
		pem, err := os.ReadFile(cfg.CA)
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		made.RootCAs = x509.NewCertPool()
		if !made.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read authorities: %s holds no certificate", cfg.CA)
		}
	}
	return made, nil
}

// affinityKey is the farm's own key, or the one that this node makes once and keeps.
func (p *edgePart) affinityKey(cfg config.WebFarm) ([]byte, error) {
	if cfg.AffinityKey != nil {
		return cfg.AffinityKey.Bytes(), nil
	}
	path := filepath.Join(p.State, "affinity.key")
	key, err := os.ReadFile(path)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read affinity key: %w", err)
	}
	key = make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return key, writeFile(path, key)
}

// order is what an operator has said of a member.
type order struct {
	Mode     farm.Mode  `json:"mode"`
	Deadline *time.Time `json:"deadline,omitempty"` // of a drain
}

// loadOrders reads what saveOrders wrote, by farm and member; without the file, or with a damaged one, there are none.
func (p *edgePart) loadOrders() map[string]map[string]order {
	var orders map[string]map[string]order
	data, err := os.ReadFile(p.edgeFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &orders)
	}
	if err != nil {
		p.log.Error("members' modes are lost, all are active", "error", err)
		return nil
	}
	return orders
}

func (p *edgePart) saveOrders() error {
	orders := map[string]map[string]order{}
	for _, f := range p.snapshots() {
		for _, m := range f.Members {
			if m.Mode == farm.Active {
				continue
			}
			if orders[f.Name] == nil {
				orders[f.Name] = map[string]order{}
			}
			orders[f.Name][m.Name] = order{Mode: m.Mode, Deadline: m.Deadline}
		}
	}
	data, err := json.Marshal(orders)
	if err != nil {
		return fmt.Errorf("save members' modes: %w", err)
	}
	return writeFile(p.edgeFile(), data)
}

// applyOrders puts members where the operators had them before this process began. A drain keeps its deadline; one that
// has passed meanwhile removes the member.
func (p *edgePart) applyOrders(farms map[string]*farm.Farm) {
	for name, members := range p.loadOrders() {
		f := farms[name]
		if f == nil {
			continue
		}
		for member, o := range members {
			left := time.Duration(0)
			if o.Deadline != nil {
				left = time.Until(*o.Deadline)
			}
			if o.Mode == farm.Draining && left > 0 {
				_ = f.Drain(member, left) // a member that is gone has no mode
				continue
			}
			_ = f.Remove(member)
		}
	}
}

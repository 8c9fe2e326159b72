package edge

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/gateway/policy"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// rig is an Edge that runs over loopback, with one rule for everything and one farm.
type rig struct {
	t       testing.TB
	edge    *Edge
	farm    *farm.Farm
	options Options
	members []farm.Member
	addr    string
	log     *logBuffer
	stop    func() // ends Run and waits for it
	done    chan error
}

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// setup changes a rig before it starts.
type setup func(*Options, *farm.Options)

func limits(f func(*Limits)) setup {
	return func(o *Options, _ *farm.Options) { f(&o.Listeners[0].Limits) }
}

func farmed(f func(*farm.Options)) setup {
	return func(_ *Options, fo *farm.Options) { f(fo) }
}

func edged(f func(*Options)) setup {
	return func(o *Options, _ *farm.Options) { f(o) }
}

func trusting(o *Options, _ *farm.Options) {
	o.Listeners[0].TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// members names the members a, b, c, …
func members(t testing.TB, urls ...string) []farm.Member {
	t.Helper()
	var list []farm.Member
	for i, s := range urls {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, farm.Member{Name: string(rune('a' + i)), URL: u, Weight: 1})
	}
	return list
}

func newFarm(t testing.TB, o farm.Options) *farm.Farm {
	t.Helper()
	if o.Name == "" {
		o.Name = "shop"
	}
	if o.Balance == "" {
		o.Balance = "round-robin"
	}
	if o.Affinity == "" {
		o.Affinity = "none"
	}
	if o.AffinityLifetime == 0 {
		o.AffinityLifetime = time.Hour
	}
	if o.AffinityKey == nil {
		o.AffinityKey = bytes.Repeat([]byte("k"), 32)
	}
	if o.Retry.Attempts == 0 {
		o.Retry.Attempts, o.Retry.Budget = 3, 100
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = time.Minute
	}
	o.FailOpen = true
	f, err := farm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func table(t testing.TB, rules ...policy.Rule) *policy.Table {
	t.Helper()
	if len(rules) == 0 {
		rules = []policy.Rule{{Name: "all", Farm: "shop", PreserveHost: true}}
	}
	tab, err := policy.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newRig(t testing.TB, urls []string, setups ...setup) *rig {
	t.Helper()
	r := &rig{t: t, log: &logBuffer{}, done: make(chan error, 1)}
	fo := farm.Options{Members: members(t, urls...)}
	l := listen(t)
	r.options = Options{
		Config: Config{
			Listeners: []Listener{{Name: "web", Net: l}}, Table: table(t), AccessLog: true,
			Farms: map[string]*Farm{"shop": {}},
		},
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})), DrainTimeout: 5 * time.Second,
	}
	for _, s := range setups {
		s(&r.options, &fo)
	}
	r.farm, r.members = newFarm(t, fo), fo.Members
	r.options.Farms["shop"].Farm = r.farm
	e, err := New(r.options)
	if err != nil {
		t.Fatal(err)
	}
	r.edge, r.addr = e, l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.done <- e.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-r.done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// replaceFarm reloads with another farm in the place of the rig's.
func (r *rig) replaceFarm(f *farm.Farm) error {
	next := r.options.Config
	next.Listeners = []Listener{{Name: "web"}}
	next.Farms = map[string]*Farm{"shop": {Farm: f}}
	return r.edge.Replace(next)
}

// client is an HTTP/1.1 client of the rig whose connections end with the test.
func (r *rig) client() *http.Client {
	tr := &http.Transport{DisableCompression: true}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

func (r *rig) url(path string) string { return "http://" + r.addr + path }

// dial opens a connection to the rig that ends with the test.
func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// memberServer is a member that ends with the test.
func memberServer(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// refusing is the URL of a port where nobody listens.
func refusing(t testing.TB) string {
	l := listen(t)
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

func body(t testing.TB, res *http.Response) string {
	t.Helper()
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("read body: %v", err)
	}
	return string(b)
}

func do(t testing.TB, c *http.Client, method, target string, content io.Reader, head ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, target, content)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(head); i += 2 {
		if head[i] == "Host" {
			req.Host = head[i+1]
		} else {
			req.Header.Add(head[i], head[i+1])
		}
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// authority makes certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t), pool: x509.NewCertPool()}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (a *authority) issue(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secure makes the rig's listener serve TLS with certificates for the names.
func secure(t testing.TB, a *authority, names ...string) setup {
	return func(o *Options, _ *farm.Options) {
		var list []tls.Certificate
		for _, n := range names {
			list = append(list, a.issue(t, n))
		}
		cfg, err := TLSConfig(list, 0)
		if err != nil {
			t.Fatal(err)
		}
		o.Listeners[0].TLS = cfg
	}
}

// tlsClient speaks HTTP/2 or, without h2, HTTP/1.1 over TLS to the rig under the name.
func (r *rig) tlsClient(a *authority, name string, h2 bool) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!h2)
	p.SetHTTP2(h2)
	tr := &http.Transport{
		Protocols: p, TLSClientConfig: &tls.Config{RootCAs: a.pool, ServerName: name}, DisableCompression: true,
	}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func has(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q not found in:\n%s", p, text)
		}
	}
}

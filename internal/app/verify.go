package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/state"
	"gatehouse/internal/verify/httpcheck"
	"gatehouse/internal/verify/icmpcheck"
	"gatehouse/internal/verify/schedule"
	"gatehouse/internal/verify/tcpcheck"
)

// verifyPart is the role verify: connectivity verifiers over time.
type verifyPart struct {
	*worker
	schedule *schedule.Schedule
	pinger   *icmpcheck.Pinger
}

func newVerify(w *worker) (part, error) {
	p := &verifyPart{worker: w, pinger: icmpcheck.NewPinger()}
	var err error
	p.schedule, err = schedule.New(schedule.Options{
		Concurrency: w.cfg.Verification.Concurrency,
		History:     w.cfg.Verification.History,
		Store:       &schedule.FileStore{Path: filepath.Join(w.State, "verify.json")},
		Log:         w.log,
		OnTransition: func(t state.Transition) {
			w.log.Info("verifier changed", "verifier", t.Verifier, "from", t.From, "to", t.To, "reason", t.Reason)
		},
	})
	if err != nil {
		return nil, err
	}
	if err := p.reload(w.cfg); err != nil {
		return nil, err
	}
	return p, w.metrics.Register(p.schedule)
}

func (p *verifyPart) run(ctx context.Context, ready func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	var pingErr, err error
	parts.Go(func() {
		pingErr = p.pinger.Run(ctx)
		stop()
	})
	parts.Go(func() {
		err = p.schedule.Run(ctx)
		stop()
	})
	ready()
	parts.Wait()
	return errors.Join(err, pingErr)
}

func (p *verifyPart) reload(cfg *config.Config) error {
	verifiers, err := p.verifiers(cfg)
	if err != nil {
		return err
	}
	return p.schedule.Replace(verifiers)
}

func (p *verifyPart) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /verifiers", func(w http.ResponseWriter, _ *http.Request) { api.Reply(w, p.schedule.Snapshot()) })
	mux.HandleFunc("GET /results", func(w http.ResponseWriter, r *http.Request) {
		results, ok := p.schedule.History(r.URL.Query().Get("verifier"))
		if !ok {
			api.Fail(w, http.StatusNotFound, fmt.Errorf("no verifier %q", r.URL.Query().Get("verifier")))
			return
		}
		api.Reply(w, results)
	})
	mux.HandleFunc("POST /check", func(w http.ResponseWriter, r *http.Request) {
		result, err := p.schedule.CheckNow(r.Context(), r.URL.Query().Get("verifier"))
		if err != nil {
			api.Fail(w, http.StatusNotFound, err)
			return
		}
		api.Reply(w, result)
	})
	mux.HandleFunc("GET /events", p.events)
}

// events sends the status of every verifier, then each that changes.
func (p *verifyPart) events(w http.ResponseWriter, r *http.Request) {
	changes := p.schedule.Subscribe(r.Context()) // before the snapshot, so that nothing falls between
	events, err := api.NewEvents(w)
	if err != nil {
		return
	}
	for _, s := range p.schedule.Snapshot() {
		if events.Send("status", s) != nil {
			return
		}
	}
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	for {
		select {
		case s, ok := <-changes:
			if !ok || events.Send("status", s) != nil {
				return
			}
		case <-beat.C:
			if events.Beat() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// verifiers makes every verifier of a configuration: the farms' own and the others.
func (p *verifyPart) verifiers(cfg *config.Config) ([]schedule.Verifier, error) {
	var all []schedule.Verifier
	for _, name := range sortedKeys(cfg.ConnectivityVerifiers) {
		v := cfg.ConnectivityVerifiers[name]
		made, err := p.verifier(target{http: v.HTTP, tcp: v.TCP, icmp: v.ICMP}, v.Schedule, nil)
		if err != nil {
			return nil, fmt.Errorf("connectivity verifier %s: %w", name, err)
		}
		made.Name, made.Group, made.AuthenticationUp = name, state.Group(v.Group), true
		all = append(all, made)
	}
	for _, name := range sortedKeys(cfg.WebFarms) {
		f := cfg.WebFarms[name]
		for _, m := range f.Members {
			made, err := p.memberVerifier(f, m)
			if err != nil {
				return nil, fmt.Errorf("web farm %s: member %s: %w", name, m.Name, err)
			}
			made.Name, made.Farm, made.Member, made.Group = name+"/"+m.Name, name, m.Name, state.PublishedServers
			all = append(all, made)
		}
	}
	return all, nil
}

// memberVerifier makes the verifier of one member from the farm's one definition.
func (p *verifyPart) memberVerifier(f config.WebFarm, m config.Member) (schedule.Verifier, error) {
	definition := f.MemberVerifier()
	var trust *tls.Config
	if f.TLS != nil {
		var err error
		if trust, err = memberTLS(f.TLS); err != nil {
			return schedule.Verifier{}, err
		}
	}
	made, err := p.verifier(forMember(definition, m), definition.Schedule, trust)
	made.AuthenticationUp = definition.AuthenticationRequired == "up"
	return made, err
}

// target is what a verifier checks: one of the three is set.
type target struct{ http, tcp, icmp string }

// forMember puts the member in the place of the star. A star with a port of its own takes the member's host alone.
func forMember(v config.FarmVerifier, m config.Member) target {
	address := m.HostPort()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	bracketed := host
	if strings.Contains(host, ":") {
		bracketed = "[" + host + "]"
	}
	put := func(pattern, whole string) string {
		return strings.ReplaceAll(strings.ReplaceAll(pattern, "*:", bracketed+":"), "*", whole)
	}
	return target{http: put(v.HTTP, address), tcp: put(v.TCP, address), icmp: put(v.ICMP, host)}
}

// verifier makes a verifier of what is to be checked; the caller names it.
func (p *verifyPart) verifier(t target, s config.Schedule, trust *tls.Config) (schedule.Verifier, error) {
	made := schedule.Verifier{
		Period: time.Duration(s.Period), Threshold: time.Duration(s.Threshold), Timeout: time.Duration(s.Timeout),
		Rise: s.Rise, Fall: s.Fall,
	}
	var err error
	switch {
	case t.http != "":
		if trust == nil {
			trust = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		trust.InsecureSkipVerify = trust.InsecureSkipVerify || s.InsecureSkipVerify // the operator's explicit choice
		made.Kind, made.Target = "http", t.http
		made.Check, err = httpcheck.New(httpcheck.Options{
			URL: t.http, Host: s.Host, FollowRedirects: s.FollowRedirects, BodyBytes: int64(s.BodyBytes), TLS: trust,
		})
	case t.tcp != "":
		made.Kind, made.Target = "tcp", t.tcp
		made.Check, err = tcpcheck.New(tcpcheck.Options{Address: t.tcp})
	default:
		made.Kind, made.Target = "icmp", t.icmp
		made.Check, err = p.pinger.Check(t.icmp)
	}
	return made, err
}

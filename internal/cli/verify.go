package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/state"
	"gatehouse/internal/verify/httpcheck"
	"gatehouse/internal/verify/icmpcheck"
	"gatehouse/internal/verify/tcpcheck"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	timeout, threshold time.Duration
	follow, insecure   bool
	host, format       string
}

// verifyReport is what verify found; its JSON is what --format json prints.
type verifyReport struct {
	Kind   string       `json:"kind"`
	Target string       `json:"target"`
	Result state.Result `json:"result"`
	Next   string       `json:"next"` // what to do about it
}

func verifyCommand(env *Env) *cobra.Command {
	var opt verifyOptions
	cmd := &cobra.Command{
		Use:   "verify TARGET",
		Short: "Check one target now and explain the result",
		Long: "Makes one check as a connectivity verifier would, and explains it: how far it got, how long each phase took, on\n" +
			"what the result rests, and what to do next. TARGET is http://…, https://…, tcp://host:port, icmp://host, or\n" +
			"host:port for TCP. Nothing is changed and no configuration is read.\n\n" +
			"The exit code is 0 when the target answered (good, slow, or authentication required), 1 when it did not or when\n" +
			"it could not be told, 2 when the call is wrong.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(errors.New("name one target: gatehouse verify https://shop.example/health"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return verify(cmd.Context(), env, args[0], opt) },
	}
	flags := cmd.Flags()
	flags.DurationVar(&opt.timeout, "timeout", 10*time.Second, "how long the check may take")
	flags.DurationVar(&opt.threshold, "threshold", 5*time.Second, "the round trip above which a good answer is slow")
	flags.BoolVar(&opt.follow, "follow-redirects", false, "follow up to five redirects (HTTP)")
	flags.BoolVar(&opt.insecure, "insecure", false, "take any certificate (HTTPS)")
	flags.StringVar(&opt.host, "host", "", "Host header, and with HTTPS the name that is asked for and verified")
	flags.StringVar(&opt.format, "format", "text", "text or json")
	return cmd
}

// verify makes the check and prints what it found.
func verify(ctx context.Context, env *Env, target string, opt verifyOptions) error {
	switch {
	case opt.format != "text" && opt.format != "json":
		return usageError(fmt.Errorf("--format is text or json, not %q", opt.format))
	case opt.timeout <= 0 || opt.threshold <= 0:
		return usageError(errors.New("--timeout and --threshold must be more than nothing"))
	}
	pinger := icmpcheck.NewPinger()
	kind, check, err := verifyCheck(target, opt, pinger)
	if err != nil {
		return usageError(err)
	}
	result, err := verifyOnce(ctx, check, kind, pinger, opt.timeout)
	if err != nil {
		return err
	}
	result = result.Graded(opt.threshold)
	report := verifyReport{Kind: kind, Target: target, Result: result, Next: verifyAdvice(kind, target, result)}
	if opt.format == "json" {
		out := json.NewEncoder(env.Stdout)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		err = out.Encode(report)
	} else {
		err = report.print(env.Stdout)
	}
	if err == nil && !result.State.Answered() {
		err = &exitError{code: 1}
	}
	return err
}

// verifyCheck makes the check that a target asks for.
func verifyCheck(target string, opt verifyOptions, pinger *icmpcheck.Pinger) (kind string, check func(context.Context) state.Result, err error) {
	scheme, rest, found := strings.Cut(target, "://")
	if !found {
		if _, _, err := net.SplitHostPort(target); err != nil {
			return "", nil, fmt.Errorf("what is to be checked on %q? Name a URL (https://%[1]s/), a port (%[1]s:443) or icmp://%[1]s", target)
		}
		scheme, rest = "tcp", target
	}
	scheme = strings.ToLower(scheme)
	if web := scheme == "http" || scheme == "https"; !web && (opt.follow || opt.insecure || opt.host != "") {
		return "", nil, errors.New("--follow-redirects, --insecure and --host are for http and https alone")
	}
	switch scheme {
	case "http", "https":
		c, err := httpcheck.New(httpcheck.Options{
			URL: target, Host: opt.host, FollowRedirects: opt.follow,
			TLS: &tls.Config{InsecureSkipVerify: opt.insecure},
		})
		if err != nil {
			return "", nil, err
		}
		return "http", c.Check, nil
	case "tcp":
		c, err := tcpcheck.New(tcpcheck.Options{Address: strings.TrimSuffix(rest, "/")})
		if err != nil {
			return "", nil, err
		}
		return "tcp", c.Check, nil
	case "icmp":
		c, err := pinger.Check(strings.TrimSuffix(rest, "/"))
		if err != nil {
			return "", nil, err
		}
		return "icmp", c.Check, nil
	}
	return "", nil, fmt.Errorf("%q is not http, https, tcp or icmp", scheme)
}

// verifyOnce makes the check, with the pinger running for as long as it takes where it is needed.
func verifyOnce(ctx context.Context, check func(context.Context) state.Result, kind string, pinger *icmpcheck.Pinger, timeout time.Duration) (state.Result, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if kind != "icmp" {
		return check(limited), nil
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- pinger.Run(running) }()
	result := check(limited)
	stop()
	return result, <-ended
}

// barWidth is how many cells the longest phase gets.
const barWidth = 32

// print writes the report for people.
func (r verifyReport) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Target)
	fmt.Fprintf(&b, "  state    %s\n", r.Result.State)
	fmt.Fprintf(&b, "  why      %s\n", r.Result.Reason)
	if r.Result.Phase != "" {
		fmt.Fprintf(&b, "  failed   in the phase %q\n", string(r.Result.Phase))
	}
	if r.Result.Address != "" {
		fmt.Fprintf(&b, "  reached  %s\n", r.Result.Address)
	}
	b.WriteString("\n")
	verifyBars(&b, r.Result)
	if len(r.Result.Evidence) > 0 {
		b.WriteString("\n  evidence\n")
		for _, e := range r.Result.Evidence {
			fmt.Fprintf(&b, "    - %s\n", e)
		}
	}
	if r.Next != "" {
		fmt.Fprintf(&b, "\n  next     %s\n", r.Next)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verifyBars draws how long each phase took, to one scale. The phase that failed is marked.
func verifyBars(b *strings.Builder, r state.Result) {
	t := r.Timings
	phases := []struct {
		phase state.Phase
		took  time.Duration
	}{{state.Resolve, t.Resolve}, {state.Connect, t.Connect}, {state.TLS, t.TLS}, {state.Request, t.Request}, {state.FirstByte, t.FirstByte}, {state.Body, t.Body}}
	longest := time.Nanosecond
	for _, p := range phases {
		longest = max(longest, p.took)
	}
	for _, p := range phases {
		if p.took == 0 && p.phase != r.Phase {
			continue
		}
		bar := strings.Repeat("█", int(p.took*barWidth/longest))
		if bar == "" {
			bar = "▏"
		}
		if p.phase == r.Phase {
			bar += " failed here"
		}
		fmt.Fprintf(b, "  %-10s %9s  %s\n", p.phase, verifyMillis(p.took), bar)
	}
	fmt.Fprintf(b, "  %-10s %9s\n", "total", verifyMillis(t.Total))
}

func verifyMillis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// verifyAdvice says what to do about a result; empty when there is nothing to do.
func verifyAdvice(kind, target string, r state.Result) string {
	switch r.State {
	case state.Good:
		if kind == "icmp" {
			return "to learn whether a service works, verify the service: a URL or a port."
		}
		return ""
	case state.Slow:
		return verifySlow(r.Timings)
	case state.AuthenticationRequired:
		return "the server is alive; a farm takes such a member as up unless authentication_required is set to down. A check of an address that needs no logon says more."
	case state.UnresolvedName:
		return fmt.Sprintf("look %s up on this machine (getent hosts), check the spelling, the search domains and the name servers in /etc/resolv.conf.", verifyHost(target))
	case state.TLSError:
		return verifyTLSAdvice(r.Reason)
	case state.Refused:
		return "see on the server whether the service runs and listens on that address and port (ss -ltn), and whether a firewall rejects it."
	case state.Timeout:
		return verifyTimeoutAdvice(kind, r.Phase)
	case state.Unknown:
		return "nothing was learnt of the server: mend what is missing on this machine, and try again."
	}
	return verifyErrorAdvice(kind, r)
}

func verifyTLSAdvice(reason string) string {
	switch {
	case strings.Contains(reason, "is for "):
		return "give --host (in the configuration: host) the name that the certificate is for, or have it issued for this one."
	case strings.Contains(reason, "expired"):
		return "renew the certificate on the server, and load it there: a renewed file that nobody reloaded looks the same."
	case strings.Contains(reason, "not valid before"):
		return "compare the clocks of both machines."
	case strings.Contains(reason, "not trusted"), strings.Contains(reason, "by itself"):
		return "have gatehouse trust the authority (tls: ca: in the farm), or try --insecure to see what is behind the certificate."
	case strings.Contains(reason, "does not speak TLS"):
		return "try http:// on that port, or the port that speaks TLS."
	case strings.Contains(reason, "certificate required"):
		return "the server wants a client certificate, which verifiers cannot show yet: check another address or by tcp://."
	}
	return "try \"openssl s_client -connect HOST:PORT\" for the handshake's particulars; an old server may speak only versions that are not safe any more."
}

func verifyTimeoutAdvice(kind string, phase state.Phase) string {
	switch {
	case kind == "icmp":
		return "many networks drop echo requests: verify a port of the host before calling it down."
	case phase == state.Connect:
		return "nothing came back at all: is the host up, is the route right, does a firewall drop the port? Another port or icmp:// of the same host tells host from port."
	case phase == state.TLS:
		return "the port accepts, and then nobody shakes hands: the service hangs, or it is not TLS that it waits for."
	case phase == state.Body:
		return "the server answers, and its body does not end in time: check a small page made for it, or raise --timeout."
	}
	return "the server took the connection and did not answer in time: it is overloaded or hangs. Look at it there; a larger --timeout tells slow from stuck."
}

func verifyErrorAdvice(kind string, r state.Result) string {
	switch {
	case strings.Contains(r.Reason, "wants https"), strings.Contains(r.Reason, "begin with https"):
		return "write https:// in place of http://."
	case strings.HasPrefix(r.Reason, "HTTP 5"):
		return "the server's own log says why."
	case strings.HasPrefix(r.Reason, "HTTP 4"):
		return "check the path, and the name that the server expects (--host)."
	case strings.Contains(r.Reason, "redirects"):
		return "verify the place that the redirects lead to, or find out why they go round."
	case strings.Contains(r.Reason, "unreachable"):
		return "look at the route to that address (ip route get) and at the routers on the way."
	case strings.Contains(r.Reason, "not HTTP"):
		return "another service listens on that port; tcp:// checks it as far as it goes."
	case kind == "http":
		return "the server's own log says why it broke off."
	}
	return ""
}

// verifySlow names the phase that took most of the time.
func verifySlow(t state.Timings) string {
	most, advice := t.Resolve, "the name servers are slow: see /etc/resolv.conf."
	for _, p := range []struct {
		took   time.Duration
		advice string
	}{
		{t.Connect, "connecting takes the time: packets are lost, the server's queue of connections is full, or its first address does not answer."},
		{t.TLS, "the handshake takes the time: the server's processor is busy, or it looks something up at each handshake."},
		{t.Request, "the server is slow to take the request."},
		{t.FirstByte, "the server thinks for long before it answers: look at its load and at what its page needs."},
		{t.Body, "the body takes the time: check a smaller page, or look at the network's throughput."},
	} {
		if p.took > most {
			most, advice = p.took, p.advice
		}
	}
	return advice
}

// verifyHost is the host of a target.
func verifyHost(target string) string {
	if !strings.Contains(target, "://") {
		target = "tcp://" + target
	}
	if u, err := url.Parse(target); err == nil {
		return u.Hostname()
	}
	return target
}

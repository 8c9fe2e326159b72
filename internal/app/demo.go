package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/memory/trend"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
	"gatehouse/internal/words"
)

// DemoOptions say how Demo shows what it does.
type DemoOptions struct {
	Executable string // this binary: the demo starts the members and the leaking program from it
	Version    string
	Getenv     func(string) string
	Say        func(at time.Duration, line string) // what happens, for a person; at counts from the beginning
	Stderr     io.Writer                           // where the workers log
	Console    string                              // host:port of the console; taken: another port
	Farm       string                              // host:port of the published farm; taken: another port
	UntilNamed bool                                // end as soon as the leaking process is named, and fail when another is
}

// The demo's clock: an hour of the memory watch is this long, so that its days pass in 48 seconds.
const demoHour = 2 * time.Second

// DemoWithin is the time in which the leaking process is named.
const DemoWithin = 3 * time.Minute

// demo is one run of Demo.
type demo struct {
	DemoOptions
	dir     string
	began   time.Time
	members []*demoMember
	leaking *labProcess
	warming *labProcess
	site    string // the published farm's URL
}

// demoMember is a server of the demo's farm: a process that can die and come back on its address.
type demoMember struct {
	Name, Address string
	process       *labProcess
}

// Demo runs everything on loopback until ctx ends: three members (one turns slow, one dies and comes back), a farm over
// them, the console, and a process that leaks on purpose beside one that only warms up. Nothing is left behind: the
// processes that it started end with it, even when it is killed, and its folder is removed.
func Demo(ctx context.Context, opt DemoOptions) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d := &demo{DemoOptions: opt, dir: dir, began: time.Now()}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	defer d.stopPrograms()
	if err := d.startPrograms(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	file, err := d.writeConfig()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	defer parts.Wait()
	ready := make(chan struct{})
	ended := make(chan error, 1)
	parts.Go(func() {
		ended <- Supervise(ctx, SuperviseOptions{
			ConfigFile: file, Executable: opt.Executable, Version: opt.Version, Getenv: opt.Getenv, Stderr: opt.Stderr,
			Log: slog.New(slog.NewTextHandler(opt.Stderr, nil)).With("worker", "supervisor"), Ready: func() { close(ready) },
		})
	})
	defer stop() // before parts.Wait
	select {
	case <-ready:
	case err := <-ended:
		return fmt.Errorf("demo: the gateway ended: %w", err)
	}
	d.introduce()
	parts.Go(func() { d.visit(ctx) })
	parts.Go(func() { d.play(ctx) })
	parts.Go(func() { d.tellVerifiers(ctx) })
	named := d.tellVerdicts(ctx)
	select {
	case err := <-named:
		return err
	case err := <-ended:
		return err
	}
}

func (d *demo) say(format string, args ...any) {
	d.Say(time.Since(d.began), fmt.Sprintf(format, args...))
}

func (d *demo) introduce() {
	d.began = time.Now()
	d.say("open    http://%s/   the console", d.Console)
	d.say("open    %s/   the published farm", d.site)
	d.say("an hour of the memory watch passes in %s here: what takes weeks elsewhere takes minutes", demoHour)
	d.say("expect  at 0:20 member b turns slow, at 0:45 it is quick again")
	d.say("        at 1:00 member c dies, at 1:20 it comes back")
	d.say("        within %d:00 process \"leaking\" (pid %d) is named, and only that one; \"warming\" (pid %d) is not",
		int(DemoWithin.Minutes()), d.leaking.pid(), d.warming.pid())
	d.say("stop    with Ctrl-C; nothing is left behind")
}

// play makes happen what introduce announced.
func (d *demo) play(ctx context.Context) {
	b, c := d.members[1], d.members[2]
	acts := []struct {
		at   time.Duration
		line string
		do   func() error
	}{
		{20 * time.Second, "member b turns slow", func() error { return b.delay(ctx, 700*time.Millisecond) }},
		{45 * time.Second, "member b is quick again", func() error { return b.delay(ctx, 0) }},
		{60 * time.Second, "member c dies", func() error { c.process.end(); return nil }},
		{80 * time.Second, "member c comes back", func() (err error) { c.process, err = d.startMember(c); return err }},
	}
	for _, act := range acts {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(d.began.Add(act.at))):
		}
		d.say("%s", act.line)
		if err := act.do(); err != nil && ctx.Err() == nil {
			d.say("        which did not work: %v", err)
		}
	}
}

// visit is the farm's public: a few clients with cookies.
func (d *demo) visit(ctx context.Context) {
	var clients sync.WaitGroup
	for range 12 {
		clients.Go(func() {
			jar, _ := cookiejar.New(nil) // never fails without options
			client := &http.Client{Jar: jar, Timeout: 5 * time.Second, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			tick := time.NewTicker(400 * time.Millisecond)
			defer tick.Stop()
			for {
				if req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.site, nil); err == nil {
					if resp, err := client.Do(req); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	clients.Wait()
}

// tellVerifiers says what the verifiers find.
func (d *demo) tellVerifiers(ctx context.Context) {
	client := api.NewClient(Verify, supervisor.SocketPath(d.dir, Verify))
	defer client.Close()
	last := map[string]state.State{}
	for ctx.Err() == nil {
		var all []state.Status
		if client.Get(ctx, "/verifiers", &all) == nil {
			for _, v := range all {
				was := last[v.Verifier]
				first := was == "" || was == state.Unknown
				if v.State != state.Unknown && was != v.State && !(first && v.State == state.Good) {
					said := string(v.State) + ": " + v.Reason
					if strings.HasPrefix(v.Reason, string(v.State)) {
						said = v.Reason
					}
					d.say("verify  %s: %s", v.Verifier, said)
				}
				last[v.Verifier] = v.State
			}
		}
		sleep(ctx, 300*time.Millisecond)
	}
}

// tellVerdicts says what the memory watch finds. The channel gets a value once, when it is time to end.
func (d *demo) tellVerdicts(ctx context.Context) <-chan error {
	end := make(chan error, 1)
	client := api.NewClient(Watch, supervisor.SocketPath(d.dir, Watch))
	told := map[string]trend.Verdict{}
	go func() {
		defer client.Close()
		for ctx.Err() == nil {
			var all []watch.Process
			if client.Get(ctx, "/processes", &all) == nil {
				if d.judge(all, told) && d.UntilNamed {
					end <- d.onlyLeaking(told)
					return
				}
			}
			if d.UntilNamed && time.Since(d.began) > DemoWithin {
				end <- fmt.Errorf("demo: the leaking process was not named within %s", DemoWithin)
				return
			}
			sleep(ctx, 500*time.Millisecond)
		}
		end <- nil
	}()
	return end
}

// judge says each new verdict and reports whether the leaking process is named.
func (d *demo) judge(all []watch.Process, told map[string]trend.Verdict) (named bool) {
	for _, p := range all {
		if p.Finding == nil {
			continue
		}
		if p.Confirmed && told[p.Name] != trend.Leak {
			told[p.Name] = trend.Leak
			d.say("LEAK    %s (pid %d): %s", p.Name, p.PID, words.At(time.Now()).Sentence(p.Finding))
		}
	}
	return told["leaking"] == trend.Leak
}

// onlyLeaking is nil when the leaking process is the only one that was named.
func (d *demo) onlyLeaking(told map[string]trend.Verdict) error {
	for name, verdict := range told {
		if name != "leaking" && verdict == trend.Leak {
			return fmt.Errorf("demo: process %s was named too", name)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (d *demo) startPrograms() error {
	names := []string{"a", "b", "c", "intranet"}
	free, err := freeAddresses(append([]string{d.Console, d.Farm}, make([]string, len(names))...))
	if err != nil {
		return err
	}
	d.Console, d.Farm, d.site = free[0], free[1], "http://"+free[1]
	for i, name := range names {
		m := &demoMember{Name: name, Address: free[2+i]}
		if m.process, err = d.startMember(m); err != nil {
			return err
		}
		d.members = append(d.members, m)
	}
	if d.leaking, err = d.startLab("leak", "--rate", "512KiB"); err != nil {
		return err
	}
	d.warming, err = d.startLab("warm-up", "--total", "48MiB", "--time-constant", "15s")
	return err
}

func (d *demo) stopPrograms() {
	for _, m := range d.members {
		m.process.end()
	}
	d.leaking.end()
	d.warming.end()
}

func (d *demo) startMember(m *demoMember) (*labProcess, error) {
	args := []string{"member", "--name", m.Name, "--listen", m.Address}
	if m.Name == "intranet" {
		args = append(args, "--authenticate")
	}
	return d.startLab(args...)
}

// delay makes a member slow.
func (m *demoMember) delay(ctx context.Context, delay time.Duration) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+m.Address+"/lab/delay?for="+delay.String(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// labProcess is a program of the lab, which ends when its standard input does.
type labProcess struct {
	cmd   *exec.Cmd
	stdin io.Closer
	once  sync.Once
}

func (d *demo) startLab(args ...string) (*labProcess, error) {
	p := &labProcess{cmd: exec.Command(d.Executable, append([]string{"lab"}, args...)...)}
	p.cmd.Stderr = d.Stderr
	p.cmd.SysProcAttr = supervisor.OwnGroup()
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return p, nil
}

func (p *labProcess) pid() int { return p.cmd.Process.Pid }

// end kills the process and reaps it. A nil process has never been started.
func (p *labProcess) end() {
	if p == nil {
		return
	}
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}

// freeAddresses returns for each wanted address itself when nobody listens there, else, and for "", another on loopback.
func freeAddresses(wanted []string) (free []string, err error) {
	for _, want := range wanted {
		ln, err := net.Listen("tcp", cmp.Or(want, "127.0.0.1:0"))
		if err != nil {
			ln, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = ln.Close() }() // when all are found, so that each is another
		free = append(free, ln.Addr().String())
	}
	return free, nil
}

// demoConfig is the demo's configuration; it is what an operator would write, with a quicker clock.
var demoConfig = template.Must(template.New("demo").Parse(`# gatehouse demo
state: {{.State}}
log: {level: warn, access: false}
console: {listen: "{{.Console}}"}
web_listeners:
  public: {address: "{{.Farm}}"}
web_farms:
  shop:
    members:
{{- range .Members}}
      - {name: {{.Name}}, url: "http://{{.Address}}"}
{{- end}}
    verifier: {http: "http://*/health", period: 1s, threshold: 300ms, timeout: 2s}
    slow_start: 5s
publishing_rules:
  shop: {farm: shop}
connectivity_verifiers:
  intranet: {http: "http://{{.Intranet}}/", group: web, period: 2s, timeout: 2s}
  directory: {tcp: "{{.Intranet}}", group: active-directory, period: 2s, timeout: 2s}
  host: {icmp: 127.0.0.1, group: others, period: 2s, timeout: 2s}
memory:
  interval: 250ms
  look: 2s
  hour: {{.Hour}}
  processes:
    leaking: {pid: {{.Leaking}}, limit: 1GiB}
    warming: {pid: {{.Warming}}, limit: 1GiB}
`))

func (d *demo) writeConfig() (file string, err error) {
	file = filepath.Join(d.dir, "gatehouse.yaml")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	err = demoConfig.Execute(f, map[string]any{
		"State": d.dir, "Console": d.Console, "Farm": d.Farm, "Members": d.members[:3], "Intranet": d.members[3].Address,
		"Hour": demoHour, "Leaking": strconv.Itoa(d.leaking.pid()), "Warming": strconv.Itoa(d.warming.pid()),
	})
	return file, errors.Join(err, f.Close())
}

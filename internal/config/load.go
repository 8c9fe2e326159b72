package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
)

// source is what a Config knows of the file it came from.
type source struct {
	root    *node
	remarks []*Problem
	sums    map[string][32]byte // SHA-256 of the certificate, key and authority files
}

// Load reads and checks a configuration file, with every file that it refers to. Relative file names in it begin at its
// folder. env looks an environment variable up; nil is an empty environment. The error is a [*Problems].
func Load(file string, env func(string) string) (*Config, error) {
	data, _, err := readBounded(file, maxFile)
	if err != nil {
		return nil, &Problems{List: []*Problem{{File: file, Message: "read configuration: " + unwrapPath(err).Error(), Err: err}}}
	}
	base, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, &Problems{List: []*Problem{{File: file, Message: "find its folder: " + err.Error(), Err: err}}}
	}
	return Parse(file, data, base, env)
}

// Parse reads and checks the text of a configuration file. name stands in messages, base is the folder at which relative
// file names begin; the rest is as for [Load]. Everything has its default in the Config that is returned: a nil Verifier of
// a farm stands for a TCP connect to each member, other nil pointers for what is switched off.
func Parse(name string, data []byte, base string, env func(string) string) (*Config, error) {
	if env == nil {
		env = func(string) string { return "" }
	}
	c := newCollector(name)
	root := document(data, func(at place, message string) { c.addError(at, "", message, nil) })
	if root == nil {
		if err := c.problems(); err != nil {
			return nil, err
		}
		root = &node{kind: mapping, at: place{1, 1}}
	}
	cfg := &Config{source: &source{root: root, sums: map[string][32]byte{}}}
	v := reflect.ValueOf(cfg).Elem()
	setDefaults(v)
	d := &decoder{base: base, problems: c}
	d.value("", root, v, Key{})
	complete(cfg, c, env)
	(&validator{collector: c, cfg: cfg, env: env}).run()
	if err := c.problems(); err != nil {
		return nil, err
	}
	sortProblems(c.remarks)
	cfg.source.remarks = c.remarks
	return cfg, nil
}

// Warnings returns what is allowed but looks like a mistake, in the order of the file.
func (c *Config) Warnings() []*Problem {
	if c.source == nil {
		return nil
	}
	return c.source.remarks
}

// complete fills the defaults that depend on other values.
func complete(cfg *Config, c *collector, env func(string) string) {
	if cfg.State == "" {
		folder, err := stateFolder(env)
		if err != nil {
			c.refuse("state", "no default for the state folder: %w: set state", err)
		}
		cfg.State = folder
	}
	for _, farm := range cfg.WebFarms {
		for i := range farm.Members {
			if m := &farm.Members[i]; m.Name == "" {
				m.Name = m.HostPort()
			}
		}
	}
}

// stateFolder is where state is kept when the file does not say: where systemd made a folder for it (StateDirectory= in
// systemd.exec(5)), else the system's or the user's place (XDG Base Directory Specification 0.8).
func stateFolder(env func(string) string) (string, error) {
	if runtime.GOOS == "windows" {
		if data := env("ProgramData"); data != "" {
			return filepath.Join(data, "gatehouse"), nil
		}
		return `C:\ProgramData\gatehouse`, nil
	}
	if dir, _, _ := strings.Cut(env("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/gatehouse", nil
	}
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "gatehouse"), nil
	}
	home := env("HOME")
	if home == "" {
		u, err := user.Current()
		if err != nil {
			return "", fmt.Errorf("find home folder: %w", err)
		}
		home = u.HomeDir
	}
	return filepath.Join(home, ".local", "state", "gatehouse"), nil
}

// HostPort returns where the member listens, with the port of its scheme where the URL has none. It is empty for a URL
// that [Parse] would refuse.
func (m Member) HostPort() string {
	u, err := url.Parse(m.URL)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// fromText reads a member that is written as its URL.
func (m *Member) fromText(s string) error {
	m.URL = s
	if s == "" {
		return fmt.Errorf("is empty: want the member's URL")
	}
	return checkFormat(FormatMemberURL, s)
}

// fromText reads a verifier that is written as its target: "http://*/health", "tcp://*:8080", "*:8080" or "icmp://*".
func (v *FarmVerifier) fromText(s string) error {
	format, target := FormatFarmTarget, &v.TCP
	rest := s
	switch scheme, after, ok := strings.Cut(s, "://"); {
	case !ok:
	case scheme == "tcp":
		rest = after
	case scheme == "icmp":
		format, target, rest = FormatFarmHost, &v.ICMP, after
	default:
		format, target = FormatFarmURL, &v.HTTP
	}
	*target = rest
	return checkFormat(format, rest)
}

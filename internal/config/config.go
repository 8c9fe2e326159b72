// Package config reads gatehouse's configuration file: YAML into one strict typed tree, every mistake reported at once
// with file, line and column.
//
// The package knows the file and nothing of the parts that are made from it; app turns the tree into running parts.
package config

import "time"

// Config is a whole configuration file. Maps are keyed by the name that other parts of the file, the console and the
// command line use for the thing.
type Config struct {
	// State is the folder for the workers' sockets, the history and what must survive a restart. Only the user that runs
	// gatehouse may enter it. Default: systemd's $STATE_DIRECTORY, else /var/lib/gatehouse for root, else gatehouse in
	// $XDG_STATE_HOME (~/.local/state).
	State string `yaml:"state" format:"folder"`
	// Log says how gatehouse logs to standard error.
	Log Log `yaml:"log"`
	// Console is the web console with the API and the metrics.
	Console Console `yaml:"console"`
	// WebListeners are the addresses on which published sites are served.
	WebListeners map[string]WebListener `yaml:"web_listeners"`
	// PublishingRules say which requests go to which web farm. The most specific rule wins: an exact host before a
	// wildcard, an exact path before a prefix, a longer prefix before a shorter one.
	PublishingRules map[string]PublishingRule `yaml:"publishing_rules"`
	// WebFarms are the groups of servers that publishing rules send requests to.
	WebFarms map[string]WebFarm `yaml:"web_farms"`
	// ConnectivityVerifiers are checks on a schedule, beside those that farms make for their members.
	ConnectivityVerifiers map[string]Verifier `yaml:"connectivity_verifiers"`
	// Verification bounds all checks together.
	Verification Verification `yaml:"verification"`
	// Memory is the memory watch.
	Memory Memory `yaml:"memory"`

	source *source // nil in a Config that was not read from a file
}

// Log says how gatehouse logs.
type Log struct {
	// Level is the least severe level that is logged.
	Level string `yaml:"level" default:"info" enum:"debug,info,warn,error"`
	// Format is text for people or json for collectors.
	Format string `yaml:"format" default:"text" enum:"text,json"`
	// Access says whether each request of the web listeners gets a line; requests that fail always do.
	Access bool `yaml:"access" default:"true"`
}

// Console is the web console.
type Console struct {
	// Listen is the address of the console. An address beyond loopback shows everything to whoever reaches it.
	Listen string `yaml:"listen" default:"127.0.0.1:7480" format:"address"`
	// Off switches the console off.
	Off bool `yaml:"off"`
}

// WebListener is an address on which published sites are served.
type WebListener struct {
	// Address is host:port or :port.
	Address string `yaml:"address" required:"true" format:"address"`
	// TLS makes the listener serve HTTPS, with HTTP/2 by ALPN.
	TLS *TLS `yaml:"tls"`
	// Limits bounds what a client may send and how long it may take.
	Limits Limits `yaml:"limits"`
	// TrustedProxies are networks whose Forwarded and X-Forwarded-For headers are believed and extended; from others they
	// are replaced.
	TrustedProxies []string `yaml:"trusted_proxies" format:"network"`
}

// TLS is the identity of an HTTPS listener.
type TLS struct {
	// Certificates are chosen by the name that the client asks for (SNI); the first serves clients that name none.
	Certificates []Certificate `yaml:"certificates" required:"true"`
	// MinVersion is the lowest TLS version.
	MinVersion string `yaml:"min_version" default:"1.2" enum:"1.2,1.3"`
}

// Certificate is a certificate chain and its key, as PEM files.
type Certificate struct {
	// Certificate is the PEM file of the chain, leaf first.
	Certificate string `yaml:"certificate" required:"true" format:"file"`
	// Key is the PEM file of the private key.
	Key string `yaml:"key" required:"true" format:"file"`
}

// Limits bounds what a client may send and how long it may take.
type Limits struct {
	// HeaderBytes bounds a request head.
	HeaderBytes Size `yaml:"header_bytes" default:"64KiB" min:"1KiB" max:"16MiB"`
	// BodyBytes bounds a request body; 0 is unbounded.
	BodyBytes Size `yaml:"body_bytes" default:"0"`
	// HeaderTimeout is how long a client may take to send a request head.
	HeaderTimeout Duration `yaml:"header_timeout" default:"10s" min:"100ms" max:"30d"`
	// BodyTimeout is how long a body may stall, in either direction, before the request is given up.
	BodyTimeout Duration `yaml:"body_timeout" default:"60s" min:"100ms" max:"30d"`
	// IdleTimeout is how long a connection may wait for its next request.
	IdleTimeout Duration `yaml:"idle_timeout" default:"75s" min:"100ms" max:"30d"`
	// TunnelTimeout is how long an upgraded connection (WebSocket) may be silent.
	TunnelTimeout Duration `yaml:"tunnel_timeout" default:"1h" min:"100ms" max:"30d"`
	// Connections bounds the connections of the listener.
	Connections int `yaml:"connections" default:"20000" min:"1" max:"10000000"`
}

// PublishingRule sends requests to a web farm.
type PublishingRule struct {
	// Listeners names the web listeners that the rule is for; none means all.
	Listeners []string `yaml:"listeners"`
	// Hosts are the names that the rule is for: "shop.example", "*.shop.example", or "*" for any. None means any.
	Hosts []string `yaml:"hosts" format:"host-pattern"`
	// Paths are the paths that the rule is for: "/app/" is a prefix (it ends with a slash), "/app" is exactly that path.
	// None means all.
	Paths []string `yaml:"paths" format:"path-pattern"`
	// Farm is the web farm that gets the requests.
	Farm string `yaml:"farm" required:"true"`
	// PreserveHost sends the client's Host header to the member instead of the member's own name.
	PreserveHost bool `yaml:"preserve_host" default:"true"`
}

// WebFarm is a group of servers.
type WebFarm struct {
	// Members are the servers; a member may be written as its URL alone.
	Members []Member `yaml:"members" required:"true"`
	// Balance says which member a new session goes to.
	Balance string `yaml:"balance" default:"round-robin" enum:"round-robin,least-connections,random-two"`
	// Affinity keeps a session on its member: by a signed cookie, by the client's address, or not at all.
	Affinity string `yaml:"affinity" default:"cookie" enum:"cookie,source-ip,none"`
	// AffinityLifetime is how long a session without requests is remembered and counted.
	AffinityLifetime Duration `yaml:"affinity_lifetime" default:"30m" min:"1s" max:"30d"`
	// AffinityKey signs affinity cookies, so that nodes with the same key and restarts agree. Without it a key is made
	// once and kept in the state folder.
	AffinityKey *Secret `yaml:"affinity_key"`
	// Verifier makes one connectivity verifier a member; "*" in its target stands for the member's host and port. It may
	// be written as the target alone. Without it a TCP connect to the member is checked.
	Verifier *FarmVerifier `yaml:"verifier"`
	// FailOpen says what happens when no member looks usable: true tries them all the same, false answers 503.
	FailOpen bool `yaml:"fail_open" default:"true"`
	// SlowStart is the time over which a member that came back gets its full share.
	SlowStart Duration `yaml:"slow_start" default:"30s" min:"0" max:"30d"`
	// Retry says when a request is tried again on another member.
	Retry Retry `yaml:"retry"`
	// ConnectTimeout is how long a connection to a member may take, TLS included.
	ConnectTimeout Duration `yaml:"connect_timeout" default:"5s" min:"100ms" max:"30d"`
	// ResponseTimeout is how long a member may take until the first byte of its response.
	ResponseTimeout Duration `yaml:"response_timeout" default:"60s" min:"100ms" max:"30d"`
	// DrainTimeout is the deadline of a drain that names none.
	DrainTimeout Duration `yaml:"drain_timeout" default:"10m" min:"100ms" max:"30d"`
	// TLS is how members with https URLs are trusted.
	TLS *MemberTLS `yaml:"tls"`
}

// Member is a server of a web farm.
type Member struct {
	// Name is what the console and the command line call it. Default: host:port of the URL.
	Name string `yaml:"name" format:"member-name"`
	// URL is http://host[:port], https://host[:port], or h2c://host[:port] for HTTP/2 without TLS (gRPC).
	URL string `yaml:"url" required:"true" format:"member-url"`
	// Weight is its share of new sessions, relative to the others.
	Weight int `yaml:"weight" default:"1" min:"1" max:"1000"`
}

// Retry says when a request is tried again on another member. Only requests that may be repeated safely are: idempotent
// methods whose body has not been sent.
type Retry struct {
	// Attempts is how many members are tried in all.
	Attempts int `yaml:"attempts" default:"2" min:"1" max:"10"`
	// Budget is the largest share of requests that may be retries, in percent, over ten seconds.
	Budget int `yaml:"budget" default:"20" min:"0" max:"100"`
}

// MemberTLS is how members are trusted.
type MemberTLS struct {
	// CA is a PEM file of the authorities that may sign the members' certificates. Default: the system's.
	CA string `yaml:"ca" format:"file"`
	// ServerName is the name asked for and verified instead of the member's host.
	ServerName string `yaml:"server_name" format:"host"`
	// InsecureSkipVerify takes any certificate.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}

// Schedule is when a verifier checks and how it decides.
type Schedule struct {
	// Period is the time from one check to the next.
	Period Duration `yaml:"period" default:"30s" min:"100ms" max:"30d"`
	// Threshold is the round trip above which a good answer is slow.
	Threshold Duration `yaml:"threshold" default:"5s" min:"1ms" max:"1h"`
	// Timeout is how long a check may take.
	Timeout Duration `yaml:"timeout" default:"10s" min:"1ms" max:"1h"`
	// Rise is how many answers in a row make a verifier good again.
	Rise int `yaml:"rise" default:"2" min:"1" max:"100"`
	// Fall is how many failures in a row make it fail.
	Fall int `yaml:"fall" default:"2" min:"1" max:"100"`
	// FollowRedirects follows redirects of an HTTP check, for that attempt only.
	FollowRedirects bool `yaml:"follow_redirects"`
	// BodyBytes bounds how much of an HTTP answer is read.
	BodyBytes Size `yaml:"body_bytes" default:"64KiB" min:"0" max:"64MiB"`
	// InsecureSkipVerify takes any certificate.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
	// Host is sent as the Host header of an HTTP check instead of the target's.
	Host string `yaml:"host" format:"host-header"`
}

// Verifier is a connectivity verifier. Exactly one of HTTP, TCP and ICMP is given.
type Verifier struct {
	// HTTP is the URL of a GET request.
	HTTP string `yaml:"http" format:"url" choice:"true"`
	// TCP is host:port of a connect.
	TCP string `yaml:"tcp" format:"target" choice:"true"`
	// ICMP is the host of an echo request. It shows that the host is there, not that the service is.
	ICMP string `yaml:"icmp" format:"host" choice:"true"`
	// Group is where the console shows it.
	Group    string `yaml:"group" default:"others" enum:"active-directory,dhcp,dns,published-servers,web,others"`
	Schedule `yaml:",inline"`
}

// FarmVerifier is the definition from which a farm makes one verifier a member. Exactly one of HTTP, TCP and ICMP is
// given; "*" stands for the member.
type FarmVerifier struct {
	// HTTP is the URL of a GET request: "http://*/health".
	HTTP string `yaml:"http" format:"farm-url" choice:"true"`
	// TCP is "*" or "*:port".
	TCP string `yaml:"tcp" format:"farm-target" choice:"true"`
	// ICMP is "*".
	ICMP string `yaml:"icmp" format:"farm-host" choice:"true"`
	// AuthenticationRequired says whether a member that answers 401 or 407 may be used.
	AuthenticationRequired string `yaml:"authentication_required" default:"up" enum:"up,down"`
	Schedule               `yaml:",inline"`
}

// Verification bounds all checks together.
type Verification struct {
	// Concurrency is the most checks that may be under way at once.
	Concurrency int `yaml:"concurrency" default:"64" min:"1" max:"10000"`
	// History is how many results are kept a verifier.
	History int `yaml:"history" default:"120" min:"1" max:"100000"`
}

// Memory is the memory watch.
type Memory struct {
	// Interval is the time between samples.
	Interval Duration `yaml:"interval" default:"15s" min:"100ms" max:"1h"`
	// Look is the time between verdicts.
	Look Duration `yaml:"look" default:"5m" min:"100ms" max:"1d"`
	// Retention is how long samples are kept.
	Retention Duration `yaml:"retention" default:"90d" min:"1m" max:"3650d"`
	// RetentionBytes bounds the samples on disk.
	RetentionBytes Size `yaml:"retention_bytes" default:"2GiB" min:"1MiB" max:"16TiB"`
	// Hour is what the verdict takes for an hour. Only demonstrations set it: with 2s, minutes show what days do. Gatehouse's
	// own workers are always judged by real hours.
	Hour Duration `yaml:"hour" default:"1h" min:"100ms" max:"1h"`
	// Processes are the processes that are watched beside gatehouse's own workers.
	Processes map[string]WatchedProcess `yaml:"processes"`
}

// WatchedProcess selects processes. Exactly one of PID, Process, Command, Unit and Cgroup is given; all processes that
// match are watched, each with a verdict of its own.
type WatchedProcess struct {
	// PID is one process id.
	PID int `yaml:"pid" min:"1" max:"2147483647" choice:"true"`
	// Process is the name of the program (comm).
	Process string `yaml:"process" format:"text" choice:"true"`
	// Command is a regular expression on the command line.
	Command string `yaml:"command" format:"regexp" choice:"true"`
	// Unit is a systemd unit.
	Unit string `yaml:"unit" format:"unit" choice:"true"`
	// Cgroup is a control group's path below the root of its hierarchy.
	Cgroup string `yaml:"cgroup" format:"cgroup" choice:"true"`
	// Metrics is the URL of a Prometheus metrics page of the process (Go runtime metrics are read from it).
	Metrics string `yaml:"metrics" format:"url"`
	// Pprof is the base URL of a Go pprof endpoint: http://127.0.0.1:6060/debug/pprof.
	Pprof string `yaml:"pprof" format:"url"`
	// Limit is the size at which the process fails, where it is not known from its control group.
	Limit Size `yaml:"limit" default:"0" min:"0"`
}

// Duration is a time.Duration written as "30s", "5m", "1h30m" or, beyond what Go reads, "90d" for days.
type Duration time.Duration

// Size is a number of bytes written as 65536, "64KiB", "2GiB", or with decimal units "1MB".
type Size int64

// Secret is a secret by reference. The value itself never stands in the file and is never printed.
type Secret struct {
	// File holds the secret; a trailing line break is not part of it.
	File string `yaml:"file" format:"file" choice:"true"`
	// Env is the environment variable that holds the secret.
	Env string `yaml:"env" format:"variable" choice:"true"`

	value []byte
}

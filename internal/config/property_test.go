package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestShowReadsBack holds for any good configuration that what is shown is the configuration.
func TestShowReadsBack(t *testing.T) {
	base := folder(t)
	rapid.Check(t, func(rt *rapid.T) {
		text := goodFile(rt)
		cfg, err := Parse("g.yaml", []byte(text), base, testEnv)
		if err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
		again, err := Parse("show", cfg.Show(), base, testEnv)
		if err != nil {
			rt.Fatalf("%v\n%s", err, cfg.Show())
		}
		cfg.source, again.source = nil, nil
		if !reflect.DeepEqual(cfg, again) {
			rt.Errorf("(-first +again)\n%+v\n%+v\n%s", cfg, again, text)
		}
	})
}

// goodFile draws a good file.
func goodFile(t *rapid.T) string {
	var b strings.Builder
	section := func(name string, most int, line func(i int) string) {
		n := rapid.IntRange(0, most).Draw(t, name)
		if n > 0 {
			fmt.Fprintf(&b, "%s:\n", name)
		}
		for i := range n {
			fmt.Fprintf(&b, "  %s: {%s}\n", fmt.Sprintf("n%d", i), line(i))
		}
	}
	text := rapid.StringMatching(`[ -~äβ☃😀]{1,20}`)
	duration := rapid.SampledFrom([]string{"1m", "90s", "1.5s", "100ms", "1h30m", "2m0.000000001s"})
	flag := rapid.Bool()
	section("web_listeners", 3, func(i int) string {
		return fmt.Sprintf("address: \":%d\", limits: {idle_timeout: %s, body_bytes: %d}", 1000+i, duration.Draw(t, "idle"), rapid.Int64Range(0, 1<<62).Draw(t, "bytes"))
	})
	section("web_farms", 3, func(i int) string {
		return fmt.Sprintf("members: [\"http://m%d.example\", {url: \"https://[::%d]:1\", weight: %d}], fail_open: %v, slow_start: %s, %s", i, i+1,
			rapid.IntRange(1, 1000).Draw(t, "weight"), flag.Draw(t, "open"), duration.Draw(t, "slow"),
			rapid.SampledFrom([]string{"verifier: \"http://*/x\"", "verifier: {tcp: \"*:1\", period: 5s}", "affinity: none", "affinity_key: {file: key}", "retry: {budget: 0}"}).Draw(t, "more"))
	})
	section("connectivity_verifiers", 2, func(int) string {
		return fmt.Sprintf("http: \"http://a.example/%s\", period: %s", rapid.StringMatching(`([a-z?&=:+*]|%25){0,8}`).Draw(t, "path"), duration.Draw(t, "period"))
	})
	if rapid.Bool().Draw(t, "memory") {
		fmt.Fprintf(&b, "memory: {retention_bytes: %s, processes: {a: {process: %q}, b: {pid: %d}, c: {cgroup: %q}}}\n",
			rapid.SampledFrom([]string{"1MiB", "3GB", "1048577"}).Draw(t, "size"), text.Draw(t, "process"), rapid.IntRange(1, 1<<31-1).Draw(t, "pid"),
			rapid.StringMatching(`/?[a-z@\\:. -]{1,9}x`).Draw(t, "cgroup"))
	}
	fmt.Fprintf(&b, "log: {access: %v}\nstate: %q\n", flag.Draw(t, "access"), "/"+strings.Trim(text.Draw(t, "state"), " "))
	return b.String()
}

package edge

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// report writes the request's line in the log: every request that failed, the others by the access log's setting. A
// client that went away is no failure.
func (x *exchange) report() {
	level := slog.LevelInfo
	switch {
	case x.fail != nil && x.fail.class != classClientGone:
		level = slog.LevelWarn
	case !x.gen.accessLog:
		return
	}
	ctx := context.WithoutCancel(x.r.Context())
	if !x.edge.log.Enabled(ctx, level) {
		return
	}
	path, _, _ := strings.Cut(x.r.RequestURI, "?")
	if x.r.Method == http.MethodConnect {
		path = ""
	}
	attrs := make([]slog.Attr, 0, 24)
	attrs = append(attrs,
		slog.String("id", x.id), slog.String("listener", x.set.name), slog.String("client", x.peer.client.String()),
		slog.String("method", x.r.Method), slog.String("host", x.r.Host), slog.String("path", path),
		slog.String("proto", x.r.Proto), slog.Int("status", x.status), slog.Duration("duration", x.edge.now().Sub(x.start)),
		slog.Int64("bytes_in", x.received()), slog.Int64("bytes_out", x.sent))
	if x.decision.Rule != "" {
		attrs = append(attrs, slog.String("rule", x.decision.Rule))
	}
	if x.route != nil {
		attrs = append(attrs, slog.String("farm", x.route.name))
	}
	if x.member != "" {
		attrs = append(attrs, slog.String("member", x.member), slog.String("choice", x.choice), slog.Int("attempts", x.attempts))
	}
	if x.granted {
		attrs = append(attrs, slog.String("upgrade", x.upgrade))
	}
	attrs = append(attrs, failureAttrs(x.fail)...)
	x.edge.log.LogAttrs(ctx, level, "request", attrs...)
}

func failureAttrs(f *failure) []slog.Attr {
	if f == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String("reason", string(f.class))}
	if f.phase != "" {
		attrs = append(attrs, slog.String("phase", string(f.phase)))
	}
	switch {
	case f.err != nil:
		attrs = append(attrs, slog.String("error", f.err.Error()))
	case f.text != "":
		attrs = append(attrs, slog.String("error", f.text))
	}
	return attrs
}

// reportRetry notes an attempt that failed and is followed by another.
func (x *exchange) reportRetry(member string) {
	x.route.metrics.retries.Inc()
	attrs := append([]slog.Attr{
		slog.String("id", x.id), slog.String("farm", x.route.name), slog.String("member", member),
		slog.Duration("after", x.edge.now().Sub(x.start).Round(time.Microsecond)),
	}, failureAttrs(x.fail)...)
	x.edge.log.LogAttrs(context.WithoutCancel(x.r.Context()), slog.LevelWarn, "attempt failed", attrs...)
}

// received is how many bytes of a body or tunnel came from the client.
func (x *exchange) received() int64 {
	if x.body != nil {
		return x.body.n.Load()
	}
	return x.tunnelled
}

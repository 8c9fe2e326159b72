package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gatehouse/internal/gateway/farm"
)

func TestH2ByALPN(t *testing.T) {
	m := memberServer(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.Header.Get("X-Forwarded-Proto"), " ", r.Header.Get("Via"))
	})
	a := newAuthority(t)
	r := newRig(t, []string{m.URL}, secure(t, a, "shop.example", "other.example"))
	for _, c := range []struct {
		name, sni string
		h2        bool
		want      string
	}{
		{"h2", "shop.example", true, "HTTP/2.0"},
		{"h2, second certificate", "other.example", true, "HTTP/2.0"},
		{"http/1.1", "shop.example", false, "HTTP/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := do(t, r.tlsClient(a, c.sni, c.h2), "GET", "https://"+r.addr+"/", nil, "Host", c.sni)
			via := "1.1 gatehouse"
			if c.h2 {
				via = "2.0 gatehouse"
			}
			if got := body(t, res); got != c.sni+" https "+via || res.Proto != c.want {
				t.Errorf("got %q by %s", got, res.Proto)
			}
			if got := res.TLS.PeerCertificates[0].DNSNames[0]; got != c.sni {
				t.Errorf("certificate of %s", got)
			}
		})
	}
}

func TestTLSConfig(t *testing.T) {
	a := newAuthority(t)
	cert := a.issue(t, "x")
	for _, c := range []struct {
		name  string
		certs []tls.Certificate
		min   uint16
		ok    bool
	}{
		{"none", nil, 0, false},
		{"no key", []tls.Certificate{{Certificate: cert.Certificate}}, 0, false},
		{"damaged", []tls.Certificate{{Certificate: [][]byte{{1}}, PrivateKey: cert.PrivateKey}}, 0, false},
		{"old version", []tls.Certificate{cert}, tls.VersionTLS11, false},
		{"default", []tls.Certificate{cert}, 0, true},
		{"1.3", []tls.Certificate{cert}, tls.VersionTLS13, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := TLSConfig(c.certs, c.min)
			if (err == nil) != c.ok {
				t.Fatal(err)
			}
			if want := max(c.min, tls.VersionTLS12); c.ok && cfg.MinVersion != want {
				t.Errorf("minimum %s", tls.VersionName(cfg.MinVersion))
			}
		})
	}
}

func TestMemberOverTLS(t *testing.T) {
	m := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	m.EnableHTTP2 = true
	m.StartTLS()
	t.Cleanup(func() { m.CloseClientConnections(); m.Close() })
	trusted := newRig(t, []string{m.URL}, edged(func(o *Options) {
		o.Farms["shop"].TLS = m.Client().Transport.(*http.Transport).TLSClientConfig
	}))
	if got := body(t, do(t, trusted.client(), "GET", trusted.url("/"), nil)); got != "HTTP/2.0" {
		t.Errorf("got %q", got)
	}
	untrusted := newRig(t, []string{m.URL})
	res := do(t, untrusted.client(), "GET", untrusted.url("/"), nil)
	has(t, body(t, res), "reason: tls")
	if res.StatusCode != http.StatusBadGateway {
		t.Errorf("got %d", res.StatusCode)
	}
	untrusted.stop()
	has(t, untrusted.log.String(), "phase=tls", "certificate")
}

// rpc is a gRPC service written by hand: Check is unary, Echo streams both ways.
type rpc struct {
	healthpb.UnimplementedHealthServer
}

func (rpc) Check(ctx context.Context, in *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	_ = grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "end"))
	if in.Service == "missing" {
		return nil, status.Error(codes.NotFound, "no such service")
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

var echo = grpc.StreamDesc{StreamName: "Echo", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
	for {
		in := &healthpb.HealthCheckRequest{}
		if err := s.RecvMsg(in); errors.Is(err, io.EOF) {
			s.SetTrailer(metadata.Pairs("x-trailer", "end"))
			return nil
		} else if err != nil {
			return err
		}
		if err := s.SendMsg(in); err != nil {
			return err
		}
	}
}}

func grpcMember(t *testing.T) string {
	t.Helper()
	l := listen(t)
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, rpc{})
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Echo", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{echo}}, rpc{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return "h2c://" + l.Addr().String()
}

func TestGRPC(t *testing.T) {
	a := newAuthority(t)
	r := newRig(t, []string{grpcMember(t), grpcMember(t)}, secure(t, a, "shop.example"), farmed(func(o *farm.Options) { o.Balance = "random-two" }))
	creds := credentials.NewTLS(&tls.Config{RootCAs: a.pool, ServerName: "shop.example"})
	cc, err := grpc.NewClient("passthrough:///"+r.addr, grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	t.Run("unary", func(t *testing.T) {
		var trailer metadata.MD
		res, err := healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.Trailer(&trailer))
		if err != nil || res.Status != healthpb.HealthCheckResponse_SERVING || len(trailer["x-trailer"]) != 1 {
			t.Errorf("got %v, %v, %v", res, trailer, err)
		}
	})
	t.Run("error in trailers", func(t *testing.T) {
		_, err := healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "missing"})
		if status.Code(err) != codes.NotFound {
			t.Errorf("got %v", err)
		}
	})
	t.Run("streams both ways", func(t *testing.T) {
		s, err := cc.NewStream(t.Context(), &echo, "/test.Echo/Echo")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			in, out := &healthpb.HealthCheckRequest{Service: fmt.Sprint(i)}, &healthpb.HealthCheckRequest{}
			if err := s.SendMsg(in); err != nil {
				t.Fatal(err)
			}
			if err := s.RecvMsg(out); err != nil || out.Service != in.Service {
				t.Fatalf("got %v, %v", out, err)
			}
		}
		_ = s.CloseSend()
		if err := s.RecvMsg(&healthpb.HealthCheckRequest{}); !errors.Is(err, io.EOF) || len(s.Trailer()["x-trailer"]) != 1 {
			t.Errorf("got %v, %v", err, s.Trailer())
		}
	})
}

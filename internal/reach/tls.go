package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"gatehouse/internal/state"
)

// ExplainTLS says why a TLS handshake failed, with what is wrong with the certificate. now is what validity is measured
// against in the words of the reason.
func ExplainTLS(ctx context.Context, err error, now time.Time) *Failure {
	if f := explainCertificate(err, now); f != nil {
		return f
	}
	f := &Failure{State: state.TLSError, Phase: state.TLS, Err: err}
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		f.Reason = "the server does not speak TLS on that port"
		if strings.HasPrefix(string(record.RecordHeader[:]), "HTTP") {
			f.Reason += "; it answers in plain HTTP"
		}
		f.Evidence = []string{fmt.Sprintf("first bytes %q", record.RecordHeader[:])}
	case IsAlert(err):
		f.Reason = "the server broke TLS off: " + strings.TrimPrefix(err.Error(), "remote error: tls: ")
		f.Evidence = []string{"TLS: " + Clean(err.Error(), 200)}
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		f.Reason = "the server closed the connection in the middle of the handshake"
	default:
		general := Explain(ctx, state.TLS, err)
		if general.State != state.Error {
			return general
		}
		f.Reason = "the handshake failed"
		if wasReset(err) {
			f.Reason = "the server reset the connection in the middle of the handshake"
		}
		f.Evidence = []string{"TLS: " + Clean(err.Error(), 200)}
	}
	return f
}

// IsAlert reports whether the server ended TLS with an alert. With TLS 1.3 that may come long after the handshake, as the
// refusal of a client without a certificate does.
func IsAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// explainCertificate returns nil when the certificate is not what is wrong.
func explainCertificate(err error, now time.Time) *Failure {
	f := &Failure{State: state.TLSError, Phase: state.TLS, Err: err}
	var (
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &invalid):
		f.Reason = invalidReason(invalid, now)
		f.Evidence = Certificate(invalid.Cert, now)
	case errors.As(err, &host):
		f.Reason = fmt.Sprintf("the certificate is for %s, not for %s", names(host.Certificate), Clean(host.Host, 253))
		f.Evidence = Certificate(host.Certificate, now)
	case errors.As(err, &authority):
		f.Reason = "the certificate is signed by an authority that is not trusted"
		if authority.Cert != nil {
			f.Reason = fmt.Sprintf("the certificate is signed by an authority that is not trusted: %s", Clean(authority.Cert.Issuer.String(), 120))
			if authority.Cert.Issuer.String() == authority.Cert.Subject.String() {
				f.Reason = "the certificate is signed by itself, and is not among the trusted ones"
			}
		}
		f.Evidence = Certificate(authority.Cert, now)
	default:
		return nil
	}
	return f
}

func invalidReason(err x509.CertificateInvalidError, now time.Time) string {
	if err.Reason != x509.Expired || err.Cert == nil {
		return "the certificate is not valid: " + Clean(strings.TrimPrefix(err.Error(), "x509: "), 200)
	}
	if now.Before(err.Cert.NotBefore) {
		return fmt.Sprintf("the certificate is not valid before %s: it is new, or this machine's clock (%s) is behind",
			err.Cert.NotBefore.UTC().Format(time.DateTime), now.UTC().Format(time.DateTime))
	}
	return fmt.Sprintf("the certificate expired on %s, %s ago", err.Cert.NotAfter.UTC().Format(time.DateTime), days(now.Sub(err.Cert.NotAfter)))
}

// soon is how long before its end a certificate is worth a warning among the evidence.
const soon = 14 * 24 * time.Hour

// Certificate describes a certificate for evidence: its names, who signed it and until when it is valid. Nil gives nil.
func Certificate(c *x509.Certificate, now time.Time) []string {
	if c == nil {
		return nil
	}
	lines := []string{
		"certificate for " + names(c),
		"signed by " + Clean(c.Issuer.String(), 120),
		fmt.Sprintf("valid from %s to %s", c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly)),
	}
	if left := c.NotAfter.Sub(now); left > 0 && left < soon {
		lines = append(lines, fmt.Sprintf("the certificate expires in %s", days(left)))
	}
	return lines
}

// names lists what a certificate is for: at most five of its names.
func names(c *x509.Certificate) string {
	if c == nil {
		return "nobody"
	}
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return fmt.Sprintf("no host name (subject %s)", Clean(c.Subject.String(), 120))
	}
	rest := ""
	if len(all) > 5 {
		rest = fmt.Sprintf(" and %d more", len(all)-5)
		all = all[:5]
	}
	return Clean(strings.Join(all, ", "), 400) + rest
}

func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); {
	case n >= 2:
		return fmt.Sprintf("%d days", n)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d/time.Hour))
	default:
		return fmt.Sprintf("%d minutes", int(d/time.Minute))
	}
}

// Handshake makes conn a TLS connection, bounded by ctx, and adds the time to took. cfg must name the server or skip
// verification; it is not changed. On failure conn is left to the caller to close.
func Handshake(ctx context.Context, conn net.Conn, cfg *tls.Config, took *time.Duration) (*tls.Conn, *Failure) {
	start := time.Now()
	secure := tls.Client(conn, cfg)
	err := secure.HandshakeContext(ctx)
	*took += time.Since(start)
	if err != nil {
		return nil, ExplainTLS(ctx, err, time.Now())
	}
	return secure, nil
}

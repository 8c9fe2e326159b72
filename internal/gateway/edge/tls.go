package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLSConfig makes the TLS side of a listener: HTTP/2 and HTTP/1.1 by ALPN, the certificate chosen by the name that the
// client asks for (SNI) and by what it can verify, the first for clients that name none or an unknown one. minVersion is
// tls.VersionTLS12 or later; 0 means 1.2. Every certificate needs its private key.
func TLSConfig(certificates []tls.Certificate, minVersion uint16) (*tls.Config, error) {
	if len(certificates) == 0 {
		return nil, errors.New("configure TLS: no certificate")
	}
	if minVersion == 0 {
		minVersion = tls.VersionTLS12
	}
	if minVersion < tls.VersionTLS12 {
		return nil, fmt.Errorf("configure TLS: %s is not safe", tls.VersionName(minVersion))
	}
	list := make([]tls.Certificate, len(certificates))
	for i, c := range certificates {
		if len(c.Certificate) == 0 || c.PrivateKey == nil {
			return nil, fmt.Errorf("configure TLS: certificate %d is incomplete", i+1)
		}
		if c.Leaf == nil { // parsed once here, not in every handshake
			leaf, err := x509.ParseCertificate(c.Certificate[0])
			if err != nil {
				return nil, fmt.Errorf("configure TLS: parse certificate %d: %w", i+1, err)
			}
			c.Leaf = leaf
		}
		list[i] = c
	}
	return &tls.Config{Certificates: list, MinVersion: minVersion, NextProtos: []string{"h2", "http/1.1"}}, nil
}

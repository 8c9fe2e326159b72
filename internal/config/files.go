package config

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"time"
)

// maxPEM bounds the files of certificates and keys, in bytes.
const maxPEM = 4 << 20

// read reads a file that the configuration names and remembers its sum, so that Changes sees new content.
func (v *validator) read(path, file string) (data []byte, mode fs.FileMode, ok bool) {
	if file == "" || v.bad(path) {
		return nil, 0, false
	}
	data, mode, err := readBounded(file, maxPEM)
	if err != nil {
		v.refuse(path, "read %s: %w", file, unwrapPath(err))
		return nil, 0, false
	}
	v.cfg.source.sums[file] = sha256.Sum256(data)
	return data, mode, true
}

// certificate checks that a chain and its key can be read and belong together.
func (v *validator) certificate(path string, c Certificate) {
	chain, _, chainOK := v.read(path+".certificate", c.Certificate)
	key, mode, keyOK := v.read(path+".key", c.Key)
	if !chainOK || !keyOK {
		return
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		v.refuse(path, "load certificate and key: %w", err)
		return
	}
	if remark := openToAll("key file", c.Key, mode); remark != "" {
		v.remark(path+".key", "%s", remark)
	}
	if leaf := pair.Leaf; leaf != nil && time.Now().After(leaf.NotAfter) {
		v.remark(path+".certificate", "the certificate expired on %s", leaf.NotAfter.Format(time.DateOnly))
	}
}

// authorities checks a file of authorities' certificates.
func (v *validator) authorities(path, file string) {
	if data, _, ok := v.read(path, file); ok && !x509.NewCertPool().AppendCertsFromPEM(data) {
		v.refuse(path, "no certificate in %s", file)
	}
}

// secret loads a farm's affinity key.
func (v *validator) secret(path string, f WebFarm) {
	s := f.AffinityKey
	if s == nil || v.bad(path) || v.bad(path+".file") || v.bad(path+".env") {
		return
	}
	remark, err := s.load(v.env)
	const short = 16
	switch {
	case err != nil:
		v.refuse(path, "%w", err)
	case remark != "":
		v.remark(path, "%s", remark)
	case len(s.value) < short:
		v.remark(path, "the key has fewer than %d bytes: it can be guessed", short)
	case f.Affinity != "cookie":
		v.remark(path, "only cookie affinity uses the key")
	}
}

// unwrapPath takes the operation and the file's name off an error whose message has them already.
func unwrapPath(err error) error {
	if pathErr, ok := err.(*fs.PathError); ok { //nolint:errorlint // only the outermost is taken off
		return pathErr.Err
	}
	return err
}

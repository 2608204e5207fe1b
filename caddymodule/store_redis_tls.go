package caddymodule

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// RedisTLS says how to talk TLS to Redis. The files are read when the config is
// loaded.
type RedisTLS struct {
	// PEM files with the authorities to trust. Default: the machine's.
	CA []string `json:"ca,omitempty"`

	// SHA-256 digests of public keys, in 64 hexadecimal digits. The certificate of
	// Redis is trusted if and only if its key has one of these digests; its issuer, names
	// and dates are not checked. This is for servers with a self-signed certificate. Give
	// two digests while the server changes its key. Cannot be combined with ca.
	// Default: none.
	Pin []string `json:"pin,omitempty"`

	// PEM files with our certificate and its key, if Redis requires a client
	// certificate. Default: none.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`

	// The name that Redis' certificate must be for. With pin it is only told to the
	// server, which may choose its certificate by it. Default: the host of the url.
	ServerName string `json:"server_name,omitempty"`

	identity []string // what makes this another connection
}

// load reads the files. What cannot be resolved is left to r to tell.
func (t *RedisTLS) load(r *resolver) (*tls.Config, error) {
	authorities, pins := r.list("tls ca", t.CA), r.list("tls pin", t.Pin)
	certificate, key := r.text("tls certificate", t.Certificate), r.text("tls key", t.Key)
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.text("tls server_name", t.ServerName)}
	t.identity = []string{"tls", c.ServerName}
	if r.err != nil {
		return nil, r.err
	}
	if err := t.loadAuthorities(c, authorities); err != nil {
		return nil, fmt.Errorf("tls ca: %w", err)
	}
	if err := t.pin(c, pins); err != nil {
		return nil, fmt.Errorf("tls pin: %w", err)
	}
	switch {
	case certificate == "" && key == "":
		return c, nil
	case certificate == "" || key == "":
		return nil, errors.New("tls certificate and key need each other")
	}
	own, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("tls certificate: %w", err)
	}
	c.Certificates = []tls.Certificate{own}
	for _, der := range own.Certificate {
		t.identity = append(t.identity, "certificate", string(der))
	}
	return c, nil
}

func (t *RedisTLS) loadAuthorities(c *tls.Config, files []string) error {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if c.RootCAs == nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("there is no certificate in %s", file)
		}
		t.identity = append(t.identity, "ca", string(text))
	}
	return nil
}

var (
	errPinForm  = errors.New("a pin is the SHA-256 digest of a public key, in 64 hexadecimal digits")
	errPinAndCA = errors.New("ca and pin exclude each other: a pinned key is trusted without an authority")
	errUnpinned = errors.New("the public key of redis' certificate is not pinned; its password was not sent")
)

// pin trusts the pinned keys and nothing else. The handshake proves that the server has
// the key of the first certificate; others that it sends prove nothing.
func (t *RedisTLS) pin(c *tls.Config, pins []string) error {
	if len(pins) == 0 {
		return nil
	}
	if c.RootCAs != nil {
		return errPinAndCA
	}
	digests := make([][sha256.Size]byte, len(pins))
	for i, pin := range pins {
		if err := checkPin(pin); err != nil {
			return err
		}
		_, _ = hex.Decode(digests[i][:], []byte(pin)) // it is right
		t.identity = append(t.identity, "pin", strings.ToLower(pin))
	}
	c.InsecureSkipVerify = true // what follows is stricter: it knows keys, not authorities
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if !slices.Contains(digests, sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)) {
			return errUnpinned
		}
		return nil
	}
	return nil
}

// checkPin reports whether a pin is well formed.
func checkPin(pin string) error {
	if digest, err := hex.DecodeString(pin); err != nil || len(digest) != sha256.Size {
		return errPinForm
	}
	return nil
}

// parse reads the block of the option tls; its syntax is above
// [RedisStore.UnmarshalCaddyfile].
func (t *RedisTLS) parse(d *caddyfile.Dispenser) error {
	if err := readNone(d); err != nil {
		return err
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return err
		}
		if err := t.parseOption(d); err != nil {
			return err
		}
		if len(t.CA) > 0 && len(t.Pin) > 0 {
			return d.WrapErr(errPinAndCA)
		}
	}
	return nil
}

func (t *RedisTLS) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "ca":
		return readMany(d, &t.CA)
	case "pin":
		if err := readMany(d, &t.Pin); err != nil {
			return err
		}
		for _, pin := range t.Pin {
			if err := checkPin(pin); err != nil && !strings.Contains(pin, "{") {
				return d.WrapErr(err)
			}
		}
		return nil
	case "certificate":
		var files []string
		if err := readMany(d, &files); err != nil {
			return err
		}
		if len(files) != 2 {
			return d.Errf("certificate takes exactly two arguments, a file and its key's, not %d", len(files))
		}
		t.Certificate, t.Key = files[0], files[1]
		return nil
	case "server_name":
		return readOne(d, &t.ServerName)
	default:
		return unknown(d, "tls", "ca", "pin", "certificate", "server_name")
	}
}

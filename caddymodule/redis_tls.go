package caddymodule

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// RedisTLS says how to talk TLS to Redis. The files are read when the config is
// loaded.
type RedisTLS struct {
	// PEM files with the authorities to trust. Default: the machine's.
	CA []string `json:"ca,omitempty"`

	// PEM files with our certificate and its key, where Redis wants one. Default:
	// none.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`

	// The name that Redis' certificate must be for. Default: the host of the url.
	ServerName string `json:"server_name,omitempty"`

	identity []string // what makes this another connection
}

// load reads the files. What cannot be resolved is left to r to tell.
func (t *RedisTLS) load(r *resolver) (*tls.Config, error) {
	authorities := r.list("tls ca", t.CA)
	certificate, key := r.text("tls certificate", t.Certificate), r.text("tls key", t.Key)
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.text("tls server_name", t.ServerName)}
	t.identity = []string{"tls", c.ServerName}
	if r.err != nil {
		return nil, r.err
	}
	if err := t.loadAuthorities(c, authorities); err != nil {
		return nil, fmt.Errorf("tls ca: %w", err)
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
	}
	return nil
}

func (t *RedisTLS) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "ca":
		return readMany(d, &t.CA)
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
		return unknown(d, "tls", "ca", "certificate", "server_name")
	}
}

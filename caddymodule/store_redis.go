package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

func init() {
	caddy.RegisterModule(RedisStore{})
}

// RedisStore keeps accounts in Redis: one server, a Sentinel group or a Cluster.
// Sites on several machines can share it.
//
// `{env.NAME}` and `{file./path}` are filled in in all texts. The files of the url and of
// the password are read again every second; a new user or password is used for new
// connections, and connections that are open go on.
type RedisStore struct {
	Written

	// Where Redis is: `redis://[user[:password]@]host[:port][/database]`,
	// `rediss://…` for TLS, or `unix:///path`. Parameters of the address:
	// `cluster=true` for a Cluster, `master_name=<name>` where the hosts are
	// Sentinels, `addr=host:port` for each further host, `db=<n>` for a socket.
	// Required.
	URL string `json:"url,omitempty"`

	// The password, if it is not in the url, which it replaces. A secret.
	Password string `json:"password,omitempty"`

	// What every key begins with, so that several sites can share a server. No
	// braces. Default: `dodogate:`.
	KeyPrefix string `json:"key_prefix,omitempty"`

	// How long an operation may take, with all its repeats. 64 are under way at once;
	// others wait for their turn before that, for as long as Redis answers.
	// Default: 300ms.
	Timeout config.Duration `json:"timeout,omitempty"`

	// How safe a webhook, a claim or a charge must be before it is acknowledged. Default: local.
	Durability RedisDurability `json:"durability,omitzero"`

	// Turns TLS on, also for redis://, and says whom to trust. Default: off
	// unless the url begins with rediss://.
	TLS *RedisTLS `json:"tls,omitempty"`

	key    string // in the pool; empty until acquired
	handle *handle
}

// CaddyModule returns the Caddy module information.
func (RedisStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "dodo.stores.redis",
		New: func() caddy.Module { return new(RedisStore) },
	}
}

// Provision takes the handle from the pool. It does not connect: `caddy validate`
// comes here, too, and needs no Redis.
func (s *RedisStore) Provision(ctx caddy.Context) error {
	warnOfPlainSecrets(ctx.Logger(), s.Written, "password of store redis", []string{s.Password, passwordIn(s.URL)})
	r := newResolver()
	options := redisstore.Options{
		URL: r.must("url", s.URL), Password: r.text("password", s.Password), KeyPrefix: r.text("key_prefix", s.KeyPrefix),
		Timeout: s.Timeout.Std(), Logger: coreLogger(processLogger(storesLog)), Durability: s.Durability.level(),
	}
	identity := []string{options.URL, options.Password, options.KeyPrefix, options.Timeout.String(), options.Durability.String()}
	if s.TLS != nil {
		var err error
		if options.TLS, err = s.TLS.load(r); err != nil {
			return err
		}
		identity = append(identity, s.TLS.identity...)
	}
	switch {
	case r.err != nil:
		return r.err
	case options.Timeout < 0:
		return errors.New("timeout must not be negative")
	}
	err := checkRedisURL(options.URL)
	if err == nil {
		err = options.Check()
	}
	if err != nil {
		return fmt.Errorf("store redis: %w", err)
	}
	open := openRedis
	login, err := newRedisLogin(processLogger(storesLog), []string{s.URL, s.Password}, []string{options.URL, options.Password})
	if err != nil {
		return fmt.Errorf("store redis: %w", err)
	}
	if login != nil { // a reload after a change of the files keeps what is open
		identity = append(identity[2:], "files", login.rest, s.URL, s.Password)
		open = login.open
	}
	key := "redis:" + digest(identity)
	handle, err := acquire(key, func(ctx context.Context) (openStore, error) { return open(ctx, options) })
	if err != nil {
		return err
	}
	s.key, s.handle = key, handle
	return nil
}

// passwordIn is the password as it is written in a url, placeholders and all; empty for
// none.
func passwordIn(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	if end := strings.LastIndexByte(rest, '@'); end >= 0 { // a password may have an @ in it
		_, password, _ := strings.Cut(rest[:end], ":")
		return password
	}
	return ""
}

// openRedis connects; errors name the host and no password.
func openRedis(ctx context.Context, options redisstore.Options) (openStore, error) {
	s, err := redisstore.Open(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("store redis: %w", err)
	}
	return redisWithProbe{s, options.Durability.Timeout}, nil
}

// redisWithProbe is Redis with a check of writes: a replica, and a server that lacks its
// replicas or whose disk is full, answers a ping and refuses writes.
type redisWithProbe struct {
	*redisstore.Store
	confirmTime time.Duration // that replicas have
}

// healthMark is the mark that checks write.
const healthMark = "health"

// ProbeWrite implements [writeProber].
func (s redisWithProbe) ProbeWrite(ctx context.Context) error {
	return store.Client{Store: s.Store}.SetMark(ctx, healthMark, time.Now())
}

// ProbeTime implements [patientProber].
func (s redisWithProbe) ProbeTime() time.Duration { return s.confirmTime }

// checkRedisURL reports what is wrong with a url. It shows no password.
func checkRedisURL(url string) error {
	if !hasAnyPrefix(strings.TrimSpace(url), "redis://", "rediss://", "unix://") {
		return errors.New("url must begin with redis://, rediss:// or unix:// (it is not shown, for it may hold a password)")
	}
	return redisconn.CheckURL(url)
}

func hasAnyPrefix(text string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// digest identifies a list of texts without telling them, so that it can be a key
// that is logged.
func digest(texts []string) string {
	h := sha256.New()
	for _, text := range texts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (s *RedisStore) pooled() *handle { return s.handle }

// Cleanup gives the handle back.
func (s *RedisStore) Cleanup() error { return release(s.key) }

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store redis [<url>] {
//		url        <url>
//		password   <password>
//		key_prefix <prefix>
//		timeout    <period>
//		durability local | replicas <n> <period> | fsync <n> <period>
//		tls {
//			ca          <file>...
//			pin         <sha256 of a public key>...
//			certificate <file> <key file>
//			server_name <name>
//		}
//	}
//
// The url stands in one of the two places. A tls without a block trusts what the
// machine trusts. ca and pin exclude each other.
func (s *RedisStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the backend's name
	s.Written = writtenAt(d)
	once := seen{}
	var urlErr error // is told last, so that an option that is there twice is told as that
	switch args := d.RemainingArgs(); {
	case len(args) > 1:
		return d.Errf("store redis takes at most one argument, a url, not %d", len(args))
	case len(args) == 1 && args[0] == "":
		return d.Err("store redis has an empty argument")
	case len(args) == 1:
		s.URL = args[0]
		urlErr = checkLiteralURL(d, s.URL)
		once["url"] = true
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return err
		}
		option := d.Val()
		if err := s.parseOption(d); err != nil {
			return err
		}
		if option == "url" {
			urlErr = checkLiteralURL(d, s.URL)
		}
	}
	return urlErr
}

// checkLiteralURL refuses a url with the file and line where it stands. One with a
// placeholder is checked when that is filled in.
func checkLiteralURL(d *caddyfile.Dispenser, url string) error {
	if strings.Contains(url, "{") {
		return nil
	}
	if err := checkRedisURL(url); err != nil {
		return d.Errf("store redis: %w", err)
	}
	return nil
}

func (s *RedisStore) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "url":
		return readOne(d, &s.URL)
	case "password":
		return readOne(d, &s.Password)
	case "key_prefix":
		return readOne(d, &s.KeyPrefix)
	case "timeout":
		return readPeriod(d, &s.Timeout)
	case "durability":
		return s.Durability.parse(d)
	case "tls":
		s.TLS = new(RedisTLS)
		return s.TLS.parse(d)
	default:
		return unknown(d, "store redis", "url", "password", "key_prefix", "timeout", "durability", "tls")
	}
}

// Interface guards
var (
	_ caddy.Provisioner     = (*RedisStore)(nil)
	_ caddy.CleanerUpper    = (*RedisStore)(nil)
	_ caddyfile.Unmarshaler = (*RedisStore)(nil)
	_ storeModule           = (*RedisStore)(nil)
	_ writeProber           = redisWithProbe{}
	_ inspected             = redisWithProbe{}
	_ patientProber         = redisWithProbe{}
	_ replaceable           = redisWithProbe{}
)

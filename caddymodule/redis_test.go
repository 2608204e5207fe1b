package caddymodule_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/testing/freeport"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// onRedis is the usual app with another store.
func onRedis(store string) string {
	return strings.Replace(usualDodo, "bolt {{Dir}}/dodogate.db", store, 1)
}

func TestRedis(t *testing.T) {
	b := newBench(t)
	server := redistest.Start(t, "--requirepass", "MARK-redis-password")
	t.Setenv("DODOGATE_TEST_REDIS", "MARK-redis-password")
	config := caddyfile(onRedis("redis "+server.URL()+` {
			password   {env.DODOGATE_TEST_REDIS}
			key_prefix shop:
			timeout    5s
		}`), usualProxy)
	b.mustLoad(config)
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))
	b.mustLoad(config)
	b.mustLoad(strings.Replace(config, "signup_credits 3", "signup_credits 9", 1))
	if n := caddymodule.OpenStores(); n != 1 {
		t.Errorf("%d handles, want one over reloads", n)
	}
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))

	// It goes away: who has an account waits, the config can still be changed.
	server.Kill()
	eventually(t, "nobody is let in by what is remembered", func() string {
		if a := b.do("GET", "/app", "", "X-Test-User", "alice"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			return fmt.Sprintf("without Redis: %d %s", a.status, a.body)
		}
		return ""
	})
	assertEntitlement(t, b.seen(b.do("GET", "/app", "")), anonymous)
	b.mustLoad(config)

	// Another store cannot be opened, and that is said without the password.
	err := b.load(strings.Replace(config, "shop:", "other:", 1))
	for _, want := range []string{"store redis", server.Addr} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("refused by %v, which does not say %q", err, want)
		}
	}
	if err != nil {
		assertUnmarked(t, "the error", err.Error(), []string{"MARK"})
	}
	if err := b.validate(strings.Replace(config, "shop:", "other:", 1)); err != nil {
		t.Errorf("validate needs Redis: %v", err)
	}
}

func TestRedisRefused(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "right", "--maxmemory-policy", "allkeys-lru")
	for name, tt := range map[string]struct{ store, want string }{
		"nobody there":        {"redis redis://127.0.0.1:1", "reach redis at 127.0.0.1:1"},
		"wrong password":      {"redis redis://:MARK@" + server.Addr, "WRONGPASS"},
		"it forgets balances": {"redis redis://:right@" + server.Addr, "maxmemory-policy"},
		"braces in prefix":    {"redis redis://:right@" + server.Addr + " {\n\t\t\tkey_prefix \"a}\"\n\t\t}", "braces"},
		"no url":              {"redis", "url is required"},
		"no such authority":   {"redis rediss://a {\n\t\t\ttls {\n\t\t\t\tca /nonexistent.pem\n\t\t\t}\n\t\t}", "tls ca: open /nonexistent.pem"},
		"no authority in it":  {"redis rediss://a {\n\t\t\ttls {\n\t\t\t\tca {{Dir}}/junk\n\t\t\t}\n\t\t}", "tls ca: there is no certificate in"},
		"no such certificate": {"redis rediss://a {\n\t\t\ttls {\n\t\t\t\tcertificate {{Dir}}/junk {{Dir}}/junk\n\t\t\t}\n\t\t}", "tls certificate: "},
		"unset server name":   {"redis rediss://a {\n\t\t\ttls {\n\t\t\t\tserver_name {env.DODOGATE_TEST_UNSET}\n\t\t\t}\n\t\t}", "tls server_name: {env.DODOGATE_TEST_UNSET} is unset"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if err := os.WriteFile(filepath.Join(b.Dir, "junk"), []byte("junk"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := b.load(caddyfile(onRedis(tt.store), usualProxy))
			assertRefused(t, err, tt.want)
			assertRefused(t, err, "redis")
			if err != nil {
				assertUnmarked(t, "the error", err.Error(), []string{"MARK"})
			}
			if n := caddymodule.OpenStores(); n != 0 {
				t.Errorf("%d handles are left", n)
			}
		})
	}
}

// TestRedisOptionsAreValidated: what a start refuses without asking Redis, `caddy validate`
// refuses in the same words.
func TestRedisOptionsAreValidated(t *testing.T) {
	b := newBench(t)
	t.Setenv("DODOGATE_TEST_URL", "redis://:MARK@127.0.0.1:6379?family=0")
	t.Setenv("DODOGATE_TEST_QUESTION_MARK", "redis://user:12?MARK@127.0.0.1")
	t.Setenv("DODOGATE_TEST_BRACE", "a}")
	for name, tt := range map[string]struct{ store, want string }{
		"a literal url":           {"redis redis://:MARK@127.0.0.1:6379?family=0", "the parameter family, which is not known"},
		"a url of the place":      {"redis {env.DODOGATE_TEST_URL}", "the parameter family, which is not known"},
		"a password with a mark":  {"redis {env.DODOGATE_TEST_QUESTION_MARK}", "a parameter that is not known"},
		"a database of a Cluster": {"redis redis://127.0.0.1/1?cluster=true", "only database 0"},
		"a prefix":                {"redis redis://127.0.0.1 {\n\t\t\tkey_prefix {env.DODOGATE_TEST_BRACE}\n\t\t}", "braces"},
	} {
		t.Run(name, func(t *testing.T) {
			config := caddyfile(onRedis(tt.store), usualProxy)
			validated, loaded := b.validate(config), b.load(config)
			for _, err := range []error{validated, loaded} {
				assertRefused(t, err, tt.want)
				if err != nil {
					assertUnmarked(t, "the error", err.Error(), []string{"MARK"})
				}
			}
		})
	}
}

func TestRedisTLS(t *testing.T) {
	b := newBench(t)
	writeCertificate(t, b.Dir)
	tlsAddr := "127.0.0.1:" + freeport.Get(t)
	_, port, _ := net.SplitHostPort(tlsAddr)
	redistest.Start(t, "--tls-port", port, "--tls-auth-clients", "yes", "--tls-ca-cert-file", filepath.Join(b.Dir, "cert.pem"),
		"--tls-cert-file", filepath.Join(b.Dir, "cert.pem"), "--tls-key-file", filepath.Join(b.Dir, "key.pem"))
	const block = ` {
			timeout 5s
			tls {
				ca          {{Dir}}/cert.pem
				certificate {{Dir}}/cert.pem {{Dir}}/key.pem
				server_name redis.test
			}
		}`
	b.mustLoad(caddyfile(onRedis("redis rediss://"+tlsAddr+block), usualProxy))
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))

	err := b.load(caddyfile(onRedis("redis rediss://"+tlsAddr+strings.Replace(block, "redis.test", "evil.test", 1)), usualProxy))
	assertRefused(t, err, "evil.test")
	err = b.load(caddyfile(onRedis("redis rediss://"+tlsAddr), usualProxy))
	assertRefused(t, err, "certificate")
}

// pinned is a store that trusts keys.
func pinned(addr string, pins ...string) string {
	return caddyfile(onRedis("redis rediss://shop:MARK@"+addr+` {
			timeout 5s
			tls {
				pin `+strings.Join(pins, " ")+`
			}
		}`), usualProxy)
}

// TestRedisPin: a certificate that signs itself, names another host and has expired is
// trusted by its key, and another one is not told the password.
func TestRedisPin(t *testing.T) {
	b := newBench(t)
	pin := writeCertificateUntil(t, b.Dir, time.Now().Add(-time.Minute))
	other := strings.Repeat("0123456789abcdef", 4)
	tlsAddr := "127.0.0.1:" + freeport.Get(t)
	_, port, _ := net.SplitHostPort(tlsAddr)
	server := redistest.Start(t, "--tls-port", port, "--tls-auth-clients", "no", "--tls-ca-cert-file", filepath.Join(b.Dir, "cert.pem"),
		"--tls-cert-file", filepath.Join(b.Dir, "cert.pem"), "--tls-key-file", filepath.Join(b.Dir, "key.pem"))
	if reply := server.MustDo("ACL", "SETUSER", "shop", "on", ">MARK", "~*", "&*", "+@all"); reply != "OK" {
		t.Fatal(reply)
	}
	stats := func() string { return server.MustDo("INFO", "commandstats") }
	server.MustDo("CONFIG", "RESETSTAT")
	assertRefused(t, b.load(pinned(tlsAddr, other)), "is not pinned")
	for _, command := range []string{"cmdstat_hello", "cmdstat_auth"} {
		if strings.Contains(stats(), command) {
			t.Errorf("a server whose key is not pinned was sent %s", command)
		}
	}
	for name, pins := range map[string][]string{
		"its pin": {pin}, "in capitals": {strings.ToUpper(pin)}, "before it changes": {pin, other}, "after it changed": {other, pin},
	} {
		if err := b.load(pinned(tlsAddr, pins...)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))
	}
	if !strings.Contains(stats(), "cmdstat_hello") {
		t.Errorf("this test would not see that a server is sent a password: %s", stats())
	}
	// Without a pin it is as it was.
	assertRefused(t, b.load(caddyfile(onRedis("redis rediss://shop:MARK@"+tlsAddr), usualProxy)), "certificate")
	t.Setenv("DODOGATE_TEST_PIN", pin[1:])
	assertRefused(t, b.validate(pinned(tlsAddr, "{env.DODOGATE_TEST_PIN}")), "tls pin: a pin is the SHA-256")
}

// TestRedisPinOfImpostor: whoever has another key learns nothing, also one that sends the
// pinned certificate along.
func TestRedisPinOfImpostor(t *testing.T) {
	b := newBench(t)
	mine, theirs := t.TempDir(), t.TempDir()
	pin := writeCertificateUntil(t, mine, time.Now().Add(time.Hour))
	writeCertificateUntil(t, theirs, time.Now().Add(time.Hour))
	impostor, err := tls.LoadX509KeyPair(filepath.Join(theirs, "cert.pem"), filepath.Join(theirs, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pinnedPair, err := tls.LoadX509KeyPair(filepath.Join(mine, "cert.pem"), filepath.Join(mine, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	impostor.Certificate = append(impostor.Certificate, pinnedPair.Certificate...)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{impostor}, MinVersion: version, MaxVersion: version})
			if err != nil {
				t.Fatal(err)
			}
			var heard []string // on each connection
			done := make(chan struct{})
			go func() {
				defer close(done)
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					text, _ := io.ReadAll(c)
					_ = c.Close()
					heard = append(heard, string(text))
				}
			}()
			assertRefused(t, b.load(pinned(l.Addr().String(), pin)), "is not pinned")
			_ = l.Close()
			<-done
			if len(heard) == 0 || strings.Join(heard, "") != "" {
				t.Errorf("the impostor heard %q", heard)
			}
		})
	}
}

// writeCertificate makes a certificate for redis.test that is its own authority.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	writeCertificateUntil(t, dir, time.Now().Add(time.Hour))
}

// writeCertificateUntil makes one that expires, and returns the pin of its key.
func writeCertificateUntil(t *testing.T, dir string, expires time.Time) (pin string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis.test"}, DNSNames: []string{"redis.test"},
		NotBefore: expires.Add(-2 * time.Hour), NotAfter: expires,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(public)
	return hex.EncodeToString(digest[:])
}

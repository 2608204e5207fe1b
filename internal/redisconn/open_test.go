package redisconn_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// secret is a password that must never be shown.
const secret = "s3cr3t"

func TestOpenRefusesURL(t *testing.T) {
	for name, c := range map[string]struct{ url, want string }{
		"empty":                 {"", "not of the form"},
		"only a password":       {secret, "not of the form"},
		"a scheme of it":        {secret + "://host", "not of the form"},
		"http":                  {"http://:" + secret + "@host:6379", "not of the form"},
		"a bad port":            {"redis://:" + secret + "@host:port", "not of the form"},
		"a slash in the secret": {"redis://:a/" + secret + "@host:6379", "not of the form"},
		"a hash in the secret":  {"redis://:a#" + secret + "@host:6379", "not of the form"},
		"a bad escape":          {"redis://:%zz" + secret + "@host:6379", "not of the form"},
		"a control character":   {"redis://:" + secret + "\x7f@host", "not of the form"},
		"a space":               {"redis://:" + secret + " x@host", "not of the form"},
		"no host":               {"redis:///0", "not of the form"},
		"opaque":                {"redis:" + secret, "not of the form"},
		"an unknown parameter":  {"redis://host?" + secret + "=1", "parameter"},
		"a timeout":             {"redis://host?read_timeout=1", "parameter"},
		"a database":            {"redis://host/" + secret, "database"},
		"a negative database":   {"redis://host/-1", "database"},
		"cluster and sentinel":  {"redis://host?cluster=true&master_name=" + secret, "both"},
		"unix without a path":   {"unix://" + secret, "not of the form"},
		"another client's":      {"redis://host?family=0", "the parameter family, which is not known; addr, cluster, db, master_name are"},
		"TLS of another client": {"rediss://host?ssl_cert_reqs=" + secret, "the parameter ssl_cert_reqs,"},
		"a known one, too":      {"redis://host?db=1&protocol=3", "the parameter protocol,"},
		"a password as one":     {"redis://host?password=" + secret, "the parameter password,"},
		"a question mark in it": {"redis://user:12?" + secret + "@host", "a parameter that is not known"},
		"more marks in it":      {"redis://user:12?family&a" + secret + "x=@host", "a parameter that is not known"},
		"it begins with one":    {"redis://user?" + secret + "@host:6379/0", "a parameter that is not known"},
		"an ampersand in it":    {"redis://user?a;" + secret + "@host", "not of the form"},
		"a bad parameter":       {"redis://host?db=%zz" + secret, "not of the form"},
		"a database by name":    {"redis://host?db=" + secret, "parameter db"},
		"no database":           {"redis://host?db=", "parameter db"},
		"two databases":         {"redis://host/1?db=1", "parameter db"},
		"a parameter twice":     {"redis://host?db=1&db=2", "the parameter db twice"},
		"a maybe of a Cluster":  {"redis://host?cluster=" + secret, "parameter cluster"},
		"no word for a Cluster": {"redis://host?cluster", "parameter cluster"},
		"no master":             {"redis://host?master_name=", "parameter master_name"},
		"an address with more":  {"redis://host?cluster=true&addr=redis://:" + secret + "@host", "parameter addr"},
		"an empty address":      {"redis://host?cluster=true&addr=", "parameter addr"},
		"port 0":                {"redis://host:0", "not of the form"},
		"port 65536":            {"redis://host:65536", "not of the form"},
		"a port that is empty":  {"redis://host:", "not of the form"},
		"index of a Cluster":    {"redis://host/1?cluster=true", "only database 0"},
		"index of two seeds":    {"redis://host?addr=other&db=1", "only database 0"},
		"Cluster at a socket":   {"unix:///a?cluster=true", "socket"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := dial(t.Context(), redisconn.Options{URL: c.url, Password: secret})
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
				t.Fatalf("error is %q, want %q and no secret", err, c.want)
			}
		})
	}
}

// TestCheckURL: CheckURL and Open refuse a URL for the same reason.
func TestCheckURL(t *testing.T) {
	for _, url := range []string{
		"redis://host", "redis://host/", "redis://host:6379/15", "rediss://user:p%40ss@host.example:6380/0", "redis://[::1]", "redis://[::1]:7000",
		"redis://:a+b@10.0.0.1", " redis://host\n", "redis://redis_1?db=3", "redis://a:1?addr=b:2&addr=[::1]:3&cluster=true",
		"redis://a?addr=b&addr=c", "redis://a:26379?addr=b:26379&master_name=money&db=2", "redis://a?cluster=false", "redis://a/0?cluster=true",
		"unix:///run/redis.sock?db=1", "unix://user:pass@/run/redis.sock",
	} {
		if err := redisconn.CheckURL(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if err := (redisconn.Options{URL: url}).Check(); err != nil {
			t.Errorf("%s in options: %v", url, err)
		}
	}
	for _, url := range []string{"redis://host?family=0", "redis://host/1?cluster=true", "http://host"} {
		err := redisconn.CheckURL(url)
		_, opened := dial(t.Context(), redisconn.Options{URL: url})
		if err == nil || opened == nil || err.Error() != opened.Error() {
			t.Errorf("%s is refused by %q before it is opened, then by %q", url, err, opened)
		}
	}
}

// TestOpenWaits: gateway and Redis may be started at the same moment.
func TestOpenWaits(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	var log bytes.Buffer
	opened := make(chan error)
	go func() {
		s, err := dial(t.Context(), redisconn.Options{URL: server.URL(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	time.Sleep(300 * time.Millisecond)
	server.Restart()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if strings.Count(log.String(), "maybe it is starting") != 1 {
		t.Errorf("log is %q", log.String())
	}
}

func TestOpenUnreachable(t *testing.T) {
	begin := time.Now()
	_, err := dial(t.Context(), redisconn.Options{URL: "redis://user:" + secret + "@127.0.0.1:1/0", StartTimeout: time.Millisecond})
	if err == nil || redisconn.IsRefusal(err) || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), secret) {
		t.Fatalf("error is %v", err)
	}
	if took := time.Since(begin); took > patient {
		t.Errorf("took %v", took)
	}
}

func TestPassword(t *testing.T) {
	server := redistest.Start(t, "--requirepass", secret)
	for name, opts := range map[string]redisconn.Options{
		"in the URL":            {URL: "redis://:" + secret + "@" + server.Addr},
		"with a user":           {URL: "redis://default:" + secret + "@" + server.Addr},
		"beside the URL":        {URL: server.URL(), Password: secret},
		"instead of the URL's":  {URL: "redis://:other@" + server.Addr, Password: secret},
		"with database and all": {URL: "redis://:" + secret + "@" + server.Addr + "/3", Password: secret},
	} {
		t.Run(name, func(t *testing.T) {
			if err := write(t.Context(), open(t, opts)); err != nil {
				t.Fatal(err)
			}
		})
	}
	for name, opts := range map[string]redisconn.Options{
		"wrong":   {URL: "redis://:wrong-" + secret + "@" + server.Addr},
		"missing": {URL: server.URL()},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dial(t.Context(), opts)
			if err == nil || redisconn.IsRefusal(err) || strings.Contains(err.Error(), secret) {
				t.Fatalf("error is %v", err)
			}
		})
	}
}

// TestErrorThatRepeatsThePassword: old servers, and servers that are no Redis, may repeat what
// they were sent. A new password may begin with the one before it.
func TestErrorThatRepeatsThePassword(t *testing.T) {
	asked := 0
	for name, opts := range map[string]redisconn.Options{
		"fixed": {Password: secret},
		"longer each time": {Credentials: func() redisconn.Credentials {
			asked++
			return redisconn.Credentials{Password: "a" + strings.Repeat("-"+secret, asked)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			opts.URL = "redis://" + repeating(t)
			_, err := dial(t.Context(), opts)
			if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "***") {
				t.Fatalf("error is %v", err)
			}
		})
	}
	if asked < 2 {
		t.Errorf("%d passwords", asked)
	}
}

// repeating is the address of a server that repeats what it reads as an error, from the
// second connection on.
func repeating(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for first := true; ; first = false {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			for !first {
				n, err := c.Read(b)
				if err != nil {
					break
				}
				_, _ = c.Write([]byte("-ERR unknown command 'HELLO', with args beginning with: " + strings.Join(strings.Fields(string(b[:n])), " ") + "\r\n"))
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String()
}

func TestSettings(t *testing.T) {
	server := redistest.Start(t)
	for _, c := range []struct {
		policy, aof   string
		refused, logs string
	}{
		{"noeviction", "yes", "", ""},
		{"noeviction", "no", "", "append-only"},
		{"volatile-lru", "yes", "", "unpaid orders"},
		{"volatile-ttl", "yes", "", "unpaid orders"},
		{"allkeys-lru", "yes", "allkeys-lru", ""},
		{"allkeys-lfu", "yes", "allkeys-lfu", ""},
		{"allkeys-random", "no", "allkeys-random", ""},
	} {
		t.Run(c.policy+" "+c.aof, func(t *testing.T) {
			server.MustDo("CONFIG", "SET", "maxmemory-policy", c.policy)
			server.MustDo("CONFIG", "SET", "appendonly", c.aof)
			var log bytes.Buffer
			s, err := dial(t.Context(), redisconn.Options{
				URL: server.URL(), Timeout: patient, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if err == nil {
				_ = s.Close()
			}
			if (err != nil) != (c.refused != "") || (err != nil && !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("error is %v, want %q", err, c.refused)
			}
			if err != nil && (!strings.Contains(err.Error(), server.Addr) || !strings.Contains(err.Error(), "noeviction")) {
				t.Errorf("error is %v", err)
			}
			if (log.Len() > 0) != (c.logs != "") || !strings.Contains(log.String(), c.logs) {
				t.Errorf("log is %q, want %q", log.String(), c.logs)
			}
		})
	}
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "redis.sock")
	redistest.Start(t, "--unixsocket", path)
	s := open(t, redisconn.Options{URL: "unix://" + path + "?db=2"})
	if err := write(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	pool := certificate(t, dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	server := redistest.Start(t, "--tls-port", port, "--tls-auth-clients", "no", "--tls-ca-cert-file", filepath.Join(dir, "cert.pem"),
		"--tls-cert-file", filepath.Join(dir, "cert.pem"), "--tls-key-file", filepath.Join(dir, "key.pem"))
	secure := "127.0.0.1:" + port
	trusting := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	for _, scheme := range []string{"redis://", "rediss://"} {
		s := open(t, redisconn.Options{URL: scheme + secure, TLS: trusting})
		if err := s.ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for name, opts := range map[string]redisconn.Options{
		"an unknown certificate": {URL: "rediss://" + secure},
		"a server without TLS":   {URL: server.URL(), TLS: trusting},
		"a server with TLS":      {URL: "redis://" + secure},
	} {
		opts.StartTimeout = 100 * time.Millisecond
		if _, err := dial(t.Context(), opts); err == nil || redisconn.IsRefusal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// certificate makes a certificate for 127.0.0.1 that signs itself.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: der},
	} {
		text := pem.EncodeToMemory(block)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "cert.pem" && !pool.AppendCertsFromPEM(text) {
			t.Fatal("no certificate")
		}
	}
	return pool
}

package dodo_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
)

// TestInteropStandardWebhooksJS has the reference JavaScript library sign, and
// presents what it signed: whole, and in the ways that the library's own tests
// expect to be refused (RELIABILITY 1.3, column js).
func TestInteropStandardWebhooksJS(t *testing.T) {
	stamp := strconv.Itoa(now)
	bodies := []string{
		eventBody,
		`{"test": 2432232314}`,
		`{}`,
		`{"name":"Jürgen 🦤","quote":"\"\\\u0000"}`,
		"{\r\n\t\"a\": [1, 2.50, null]\n}\n",
	}
	secrets := []string{secret, strings.TrimPrefix(otherSecret, "whsec_")}
	var wanted []signing
	for _, s := range secrets {
		for _, body := range bodies {
			wanted = append(wanted, signing{Secret: s, ID: eventID, Timestamp: now, Payload: body})
		}
	}
	for _, offset := range []int64{-301, -300, 300, 301} {
		wanted = append(wanted, signing{Secret: secret, ID: eventID, Timestamp: now + offset, Payload: eventBody})
	}
	signatures := signWithNode(t, wanted)
	v := newVerifier(t, at(now), secrets...)

	for i, w := range wanted {
		h := headers(w.ID, strconv.FormatInt(w.Timestamp, 10), signatures[i])
		var want error
		if w.Timestamp < now-300 || w.Timestamp > now+300 {
			want = dodo.ErrStale
		}
		if _, err := v.Verify(h, []byte(w.Payload)); !errors.Is(err, want) {
			t.Errorf("%q at %d: error %v, want %v", w.Payload, w.Timestamp, err, want)
		}
	}

	good := signatures[0]
	for name, tc := range map[string]struct {
		change func(http.Header)
		body   string
		want   error
	}{
		"no id":              {func(h http.Header) { h.Del("webhook-id") }, eventBody, dodo.ErrSignature},
		"no timestamp":       {func(h http.Header) { h.Del("webhook-timestamp") }, eventBody, dodo.ErrSignature},
		"no signature":       {func(h http.Header) { h.Del("webhook-signature") }, eventBody, dodo.ErrSignature},
		"not a number":       {func(h http.Header) { h.Set("webhook-timestamp", "hello") }, eventBody, dodo.ErrMalformed},
		"another signature":  {func(h http.Header) { h.Set("webhook-signature", signatures[1]) }, eventBody, dodo.ErrSignature},
		"partial":            {func(h http.Header) { h.Set("webhook-signature", "v1,") }, eventBody, dodo.ErrSignature},
		"first 8 characters": {func(h http.Header) { h.Set("webhook-signature", good[:11]) }, eventBody, dodo.ErrSignature},
		"another body":       {func(http.Header) {}, `{}`, dodo.ErrSignature},
		"several, one good": {func(h http.Header) {
			h.Set("webhook-signature", "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= "+good)
		}, eventBody, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := headers(eventID, stamp, good)
			tc.change(h)
			if _, err := v.Verify(h, []byte(tc.body)); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
}

type signing struct {
	Secret    string `json:"secret"`
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Payload   string `json:"payload"`
}

// signWithNode runs testdata/standardwebhooks/sign.mjs, which `npm ci` in that
// folder prepares and `make test` does.
func signWithNode(t *testing.T, wanted []signing) []string {
	t.Helper()
	dir := filepath.Join("testdata", "standardwebhooks")
	skip := t.Skipf
	if os.Getenv("CI") == "true" {
		skip = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		skip("no node to sign with: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		skip("run npm ci in internal/dodo/%s: %v", dir, err)
	}
	var input strings.Builder
	for _, w := range wanted {
		if err := json.NewEncoder(&input).Encode(w); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), node, "sign.mjs")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(input.String())
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node sign.mjs: %v\n%s", err, complaint.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(wanted) {
		t.Fatalf("node signed %d times, want %d:\n%s", len(lines), len(wanted), out)
	}
	return lines
}

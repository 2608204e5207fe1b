package redisstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// secret is a password that must never be shown.
const secret = "s3cr3t"

func TestOpenRefusesPrefix(t *testing.T) {
	for _, prefix := range []string{"{", "}", "a{b}:"} {
		if _, err := dial(t.Context(), redisstore.Options{URL: "redis://127.0.0.1:1", KeyPrefix: prefix}); err == nil ||
			!strings.Contains(err.Error(), "braces") {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

func TestOpenUnreachable(t *testing.T) {
	begin := time.Now()
	_, err := dial(t.Context(), redisstore.Options{URL: "redis://user:" + secret + "@127.0.0.1:1/0", StartTimeout: time.Millisecond})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), secret) {
		t.Fatalf("error is %v", err)
	}
	if took := time.Since(begin); took > slack {
		t.Errorf("took %v", took)
	}
}

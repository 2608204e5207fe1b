package redisstore_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// Credentials may change while a store is open: new connections use the new ones.
func TestCredentialsRotate(t *testing.T) {
	server := redistest.Start(t)
	server.MustDo("ACL", "SETUSER", "gate", "on", ">"+secret+"-old", "allkeys", "allchannels", "+@all")
	var current atomic.Pointer[redisstore.Credentials]
	current.Store(&redisstore.Credentials{Username: "gate", Password: secret + "-old"})
	s := open(t, redisstore.Options{
		URL: server.URL(), Password: "not this one", Credentials: func() redisstore.Credentials { return *current.Load() },
	})
	if _, err := s.Commit(t.Context(), give("acc", "old", 1)); err != nil {
		t.Fatal(err)
	}
	server.MustDo("ACL", "SETUSER", "gate", "resetpass", ">"+secret+"-new")
	server.MustDo("CLIENT", "KILL", "USER", "gate")
	if _, err := s.Commit(t.Context(), give("acc", "between", 1)); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("with an old password: %v", err)
	}
	current.Store(&redisstore.Credentials{Username: "gate", Password: secret + "-new"})
	if _, err := s.Commit(t.Context(), give("acc", "new", 1)); err != nil {
		t.Fatal(err)
	}
}

func TestSplitURL(t *testing.T) {
	for url, want := range map[string]struct {
		rest string
		redisstore.Credentials
	}{
		"redis://host":                     {"redis://host", redisstore.Credentials{}},
		" redis://:pw@host:1/2 ":           {"redis://host:1/2", redisstore.Credentials{Password: "pw"}},
		"rediss://me:p%40w@host?addr=b:1":  {"rediss://host?addr=b:1", redisstore.Credentials{Username: "me", Password: "p@w"}},
		"unix://me:pw@/run/redis.sock?db=": {"unix:///run/redis.sock?db=", redisstore.Credentials{Username: "me", Password: "pw"}},
	} {
		rest, c, err := redisstore.SplitURL(url)
		if err != nil || rest != want.rest || c != want.Credentials {
			t.Errorf("%s: %q %+v %v", url, rest, c, err)
		}
	}
	if _, _, err := redisstore.SplitURL("redis://:" + secret + "%@host"); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a broken url: %v", err)
	}
}

package redisconn_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// Credentials may change while a store is open: new connections use the new ones.
func TestCredentialsRotate(t *testing.T) {
	server := redistest.Start(t)
	server.MustDo("ACL", "SETUSER", "gate", "on", ">"+secret+"-old", "allkeys", "allchannels", "+@all")
	var current atomic.Pointer[redisconn.Credentials]
	current.Store(&redisconn.Credentials{Username: "gate", Password: secret + "-old"})
	s := open(t, redisconn.Options{
		URL: server.URL(), Password: "not this one", Credentials: func() redisconn.Credentials { return *current.Load() },
	})
	if err := write(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	server.MustDo("ACL", "SETUSER", "gate", "resetpass", ">"+secret+"-new")
	server.MustDo("CLIENT", "KILL", "USER", "gate")
	if err := write(t.Context(), s); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("with an old password: %v", err)
	}
	current.Store(&redisconn.Credentials{Username: "gate", Password: secret + "-new"})
	if err := write(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func TestSplitURL(t *testing.T) {
	for url, want := range map[string]struct {
		rest string
		redisconn.Credentials
	}{
		"redis://host":                     {"redis://host", redisconn.Credentials{}},
		" redis://:pw@host:1/2 ":           {"redis://host:1/2", redisconn.Credentials{Password: "pw"}},
		"rediss://me:p%40w@host?addr=b:1":  {"rediss://host?addr=b:1", redisconn.Credentials{Username: "me", Password: "p@w"}},
		"unix://me:pw@/run/redis.sock?db=": {"unix:///run/redis.sock?db=", redisconn.Credentials{Username: "me", Password: "pw"}},
	} {
		rest, c, err := redisconn.SplitURL(url)
		if err != nil || rest != want.rest || c != want.Credentials {
			t.Errorf("%s: %q %+v %v", url, rest, c, err)
		}
	}
	if _, _, err := redisconn.SplitURL("redis://:" + secret + "%@host"); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a broken url: %v", err)
	}
}

package redisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

const aclUser = "dodogate" // of the documented rules

// documentedACL are the two rules that docs/caddyfile.md tells an operator to paste: for
// every server, and what a Cluster needs besides. The placeholder of the password is replaced.
func documentedACL(t *testing.T) (all, cluster []string) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile(`(?m)^ACL SETUSER `+aclUser+` .*$`).FindAllString(string(text), -1)
	if len(rules) != 2 {
		t.Fatalf("docs/caddyfile.md has %d rules, want 2", len(rules))
	}
	all, cluster = strings.Fields(rules[0]), strings.Fields(rules[1])
	i := slices.Index(all, ">PASSWORD")
	if i < 0 {
		t.Fatal("the rule sets no password")
	}
	all[i] = ">" + secret
	return all, cluster
}

// restricted gives a server the documented user and returns its URL.
func restricted(t *testing.T, server *redistest.Server, more ...string) string {
	t.Helper()
	all, _ := documentedACL(t)
	server.MustDo(all...)
	setUser(t, server, more...)
	return strings.Replace(server.URL(), "redis://", "redis://"+aclUser+":"+secret+"@", 1)
}

func setUser(t *testing.T, server *redistest.Server, rules ...string) {
	t.Helper()
	if len(rules) > 0 {
		if reply := server.MustDo(append([]string{"ACL", "SETUSER", aclUser}, rules...)...); reply != "OK" {
			t.Fatal(reply)
		}
	}
}

// refuses opens a store, which must be refused for all reasons, and without the password.
func refuses(t *testing.T, opts redisstore.Options, reasons ...string) {
	t.Helper()
	opts.Timeout = patient
	s, err := dial(t.Context(), opts)
	if err == nil {
		_ = s.Close()
		t.Fatalf("opened, want it refused for %q", reasons)
	}
	if errors.Is(err, store.ErrUnavailable) {
		t.Errorf("it is taken for a failure that passes: %v", err)
	}
	for _, reason := range reasons {
		if !regexp.MustCompile(reason).MatchString(err.Error()) {
			t.Errorf("error is %v, want %q", err, reason)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the password is in %v", err)
	}
}

// TestCommandsAreListed: what scripts and Go code send is listed, nothing else is, and
// the documentation says the same.
func TestCommandsAreListed(t *testing.T) {
	var direct, scripted, words, clusterWords []string
	for _, c := range redisstore.Commands() {
		if c.Direct {
			direct = append(direct, c.Name)
		}
		if c.Scripted {
			scripted = append(scripted, c.Name)
		}
		word := "+" + strings.ReplaceAll(strings.ToLower(c.Name), " ", "|")
		if c.Cluster {
			clusterWords = append(clusterWords, word)
		} else {
			words = append(words, word)
		}
	}
	got := append(found(t, "*.lua", `\bcall\('([A-Z]+)'`, nil), found(t, "*.go", `\b(?:run|find|add)\("([A-Z]+)"`, nil)...)
	if got = slices.Compact(sorted(got)); !slices.Equal(got, sorted(scripted)) {
		t.Errorf("scripts call\n%q, listed are\n%q", got, sorted(scripted))
	}
	sent := `\b(?:client|server|p|pipe|node)\.([A-Z]\w+)\(ctx\b`
	except := []string{"PIPELINED", "PROCESS", "DO", "EXEC"}
	for _, name := range slices.Concat(found(t, "*.go", sent, except), found(t, "../../redisconn/*.go", sent, except)) {
		if !slices.Contains(direct, name) {
			t.Errorf("the gateway sends %s, which is not listed", name)
		}
	}
	all, cluster := documentedACL(t)
	allows := func(rule []string) (words []string) {
		for _, word := range rule {
			if strings.HasPrefix(word, "+") {
				words = append(words, word)
			}
		}
		return sorted(words)
	}
	if got := allows(all); !slices.Equal(got, sorted(words)) {
		t.Errorf("documented are\n%q, want\n%q", got, sorted(words))
	}
	if got := allows(cluster); !slices.Equal(got, sorted(clusterWords)) {
		t.Errorf("documented for a Cluster are\n%q, want\n%q", got, sorted(clusterWords))
	}
}

// found are the commands that a pattern finds in the files of this package.
func found(t *testing.T, files, pattern string, except []string) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(files)
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			if name := strings.ToUpper(m[1]); !slices.Contains(except, name) {
				names = append(names, name)
			}
		}
	}
	return slices.Compact(sorted(names))
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// TestConformanceACL: what is documented is enough.
func TestConformanceACL(t *testing.T) {
	url := restricted(t, redistest.Start(t))
	storetest.Run(t, func(t *testing.T, clock func() time.Time) store.Store {
		return open(t, redisstore.Options{URL: url, KeyPrefix: fmt.Sprint("dodogate:test", prefixes.Add(1), ":"), Clock: clock}).Client
	})
}

// TestOpenWithout: what is documented is needed, and named when it is missing.
func TestOpenWithout(t *testing.T) {
	server := redistest.Start(t)
	url := restricted(t, server)
	for _, c := range redisstore.Commands() {
		if c.Cluster {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			setUser(t, server, "-"+strings.ToLower(c.Name))
			defer setUser(t, server, "+"+strings.ToLower(c.Name))
			if c.Without == "" {
				refuses(t, redisstore.Options{URL: url + "/1"}, `redis at `+server.Addr, `ACL forbids the commands `+c.Name+`;`)
				return
			}
			var log bytes.Buffer
			s := open(t, redisstore.Options{URL: url, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if _, err := s.Commit(t.Context(), give("acc"+c.Name, "pay_"+c.Name, 1)); err != nil {
				t.Error(err)
			}
			if strings.Count(log.String(), "command="+c.Name) != 1 {
				t.Errorf("log is %q", log.String())
			}
		})
	}
}

func TestOpenRefusesServer(t *testing.T) {
	for name, c := range map[string]struct {
		args    []string // of the server
		rules   []string // of the user
		opts    redisstore.Options
		reasons []string
	}{
		"several commands": {
			rules:   []string{"-hset", "-evalsha", "-publish", "-subscribe"},
			reasons: []string{`forbids the commands HSET, PUBLISH, EVALSHA, SUBSCRIBE;`},
		},
		"no scripts": {
			rules:   []string{"-@scripting", "-zcount"}, // which only a script calls
			reasons: []string{`forbids the commands ZCOUNT, EVALSHA, EVAL;`},
		},
		"no command at all": {rules: []string{"nocommands"}, reasons: []string{`commands PING, SET, .*TIME`, `SUBSCRIBE`}},
		"renamed commands": {
			args:    []string{"--rename-command", "EVALSHA", "", "--rename-command", "HGETALL", "x", "--rename-command", "RPUSH", ""},
			reasons: []string{`does not have the commands HGETALL, RPUSH, EVALSHA \(`},
		},
		"renamed and forbidden": {
			args:    []string{"--rename-command", "TIME", ""},
			rules:   []string{"-del"},
			reasons: []string{`forbids the commands DEL;`, `does not have the commands TIME `},
		},
		"other keys":        {opts: redisstore.Options{KeyPrefix: "shop:"}, reasons: []string{`keys \(such as shop:.*allow ~shop:\*`, `allow &shop:\*`}},
		"some kinds":        {rules: []string{"resetkeys", "~dodogate:{*", "~dodogate:owner:*"}, reasons: []string{`such as dodogate:event:`, `allow ~dodogate:\*`}},
		"keys to read":      {rules: []string{"resetkeys", "%R~dodogate:*"}, reasons: []string{`allow ~dodogate:\*`}},
		"events to read":    {rules: []string{"resetkeys", "~dodogate:{*", "%R~dodogate:*"}, reasons: []string{`such as dodogate:owner:`}},
		"no channel":        {rules: []string{"resetchannels"}, reasons: []string{`allow &dodogate:\*`}},
		"only one channel":  {rules: []string{"resetchannels", "&dodogate:changes"}, reasons: []string{`allow &dodogate:\*`}},
		"all that there is": {rules: []string{"resetkeys", "resetchannels", "-get"}, reasons: []string{`commands GET;`, `~dodogate`, `&dodogate`}},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, c.args...)
			c.opts.URL = restricted(t, server)
			setUser(t, server, c.rules...)
			refuses(t, c.opts, append(c.reasons, regexp.QuoteMeta(server.Addr))...)
		})
	}
}

// TestOpenLeavesNothing: what is tried at the start is gone after it, and does not
// touch what is there.
func TestOpenLeavesNothing(t *testing.T) {
	server := redistest.Start(t)
	url := restricted(t, server)
	open(t, redisstore.Options{URL: url})
	if keys := server.MustDo("KEYS", "*"); keys != "" {
		t.Errorf("keys are left: %q", keys)
	}
	s := open(t, redisstore.Options{URL: url})
	records(1)(t, s)
	if err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: book.EventParked, Object: "payment:p_1"}, book.Retention{}); err != nil {
		t.Fatal(err)
	}
	before := sorted(strings.Split(server.MustDo("KEYS", "*"), "\n"))
	parked := server.MustDo("ZRANGE", "dodogate:parked", "0", "-1")
	open(t, redisstore.Options{URL: url})
	if after := sorted(strings.Split(server.MustDo("KEYS", "*"), "\n")); !slices.Equal(after, before) {
		t.Errorf("keys were %q, are %q", before, after)
	}
	if now := server.MustDo("ZRANGE", "dodogate:parked", "0", "-1"); now != parked {
		t.Errorf("parked were %q, are %q", parked, now)
	}
}

// TestOpenWhatPasses: a server that cannot write for now has all that is needed.
func TestOpenWhatPasses(t *testing.T) {
	t.Run("a replica", func(t *testing.T) {
		master := redistest.Start(t)
		host, port, _ := net.SplitHostPort(master.Addr)
		replica := redistest.Start(t, "--replicaof", host+" "+port)
		s := open(t, redisstore.Options{URL: restricted(t, replica)})
		if _, err := s.Commit(t.Context(), give("acc", "pay_1", 1)); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a commit on a replica: %v", err)
		}
	})
	t.Run("no memory is left", func(t *testing.T) {
		server := redistest.Start(t, "--maxmemory", "1")
		s := open(t, redisstore.Options{URL: restricted(t, server)})
		if _, err := s.Commit(t.Context(), give("acc", "pay_1", 1)); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a commit without memory: %v", err)
		}
	})
}

// TestOpenCluster: every master is looked at, and a Cluster is told from a server.
func TestOpenCluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	_, more := documentedACL(t)
	var url string
	for _, node := range nodes {
		url = restricted(t, node, more[3:]...)
	}
	all := func(t *testing.T, rules ...string) {
		t.Helper()
		for _, node := range nodes {
			setUser(t, node, rules...)
		}
	}
	t.Run("what is documented is enough", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T, clock func() time.Time) store.Store {
			return open(t, redisstore.Options{URL: url + "?cluster=true", KeyPrefix: fmt.Sprint("dodogate:test", prefixes.Add(1), ":"), Clock: clock})
		})
	})
	t.Run("one master forbids a command that only scripts call", func(t *testing.T) {
		setUser(t, nodes[1], "-zcount")
		defer setUser(t, nodes[1], "+zcount")
		refuses(t, redisstore.Options{URL: url + "?cluster=true"}, `^redis at `+nodes[1].Addr+`.*ZCOUNT;`)
	})
	t.Run("two masters forbid different things", func(t *testing.T) {
		setUser(t, nodes[0], "-evalsha")
		defer setUser(t, nodes[0], "+evalsha")
		setUser(t, nodes[2], "resetchannels")
		defer setUser(t, nodes[2], "&dodogate:*")
		refuses(t, redisstore.Options{URL: url + "?cluster=true"}, nodes[0].Addr+`.*EVALSHA;`, nodes[2].Addr+`.*&dodogate`)
	})
	for _, c := range redisstore.Commands() {
		if !c.Cluster {
			continue
		}
		t.Run("without "+c.Name, func(t *testing.T) {
			word := strings.ReplaceAll(strings.ToLower(c.Name), " ", "|")
			all(t, "-"+word)
			defer all(t, "+"+word)
			if c.Without != "" {
				s := open(t, redisstore.Options{URL: url + "?cluster=true", KeyPrefix: "dodogate:without:"})
				if _, err := s.Commit(t.Context(), give("acc", "pay_1", 1)); err != nil {
					t.Error(err)
				}
				return
			}
			refuses(t, redisstore.Options{URL: url + "?cluster=true"}, c.Name)
		})
	}
	t.Run("addressed as one server", func(t *testing.T) {
		for _, node := range nodes {
			refuses(t, redisstore.Options{URL: node.URL()}, node.Addr, "add cluster=true")
		}
	})
	t.Run("with a database index", func(t *testing.T) {
		for _, node := range nodes {
			refuses(t, redisstore.Options{URL: node.URL() + "/1"}, node.Addr, "only database 0", "add cluster=true")
		}
	})
	t.Run("of one node", func(t *testing.T) {
		refuses(t, redisstore.Options{URL: redistest.StartCluster(t, 1)[0].URL()}, "add cluster=true")
	})
	t.Run("a server addressed as a Cluster", func(t *testing.T) {
		refuses(t, redisstore.Options{URL: redistest.Start(t).URL() + "?cluster=true"}, "take cluster=true out")
	})
}

// TestOpenSentinel: the master is looked at.
func TestOpenSentinel(t *testing.T) {
	master := redistest.Start(t)
	url := restricted(t, master, "-evalsha")
	sentinel := redistest.StartSentinel(t, master, "money")
	refuses(t, redisstore.Options{URL: strings.Replace(url, master.Addr, sentinel.Addr, 1) + "?master_name=money"}, "commands EVALSHA;")
}

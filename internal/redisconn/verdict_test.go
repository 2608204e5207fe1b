package redisconn_test

import (
	"testing"

	"github.com/dodogate/dodogate/internal/redisconn"
)

// TestJudge: servers of several versions and vendors, and their scripts, say the same in
// different words.
func TestJudge(t *testing.T) {
	for text, want := range map[string]string{
		// Redis 6 to 8, Valkey
		"NOPERM this user has no permissions to run the 'hset' command":                                    "forbidden command",
		"NOPERM this user has no permissions to run the 'cluster|slots' command":                           "forbidden command",
		"NOPERM this user has no permissions to run the 'hset' command or its subcommand":                  "forbidden command",
		"NOPERM User monkey-channel has no permissions to run the 'hset' command":                          "forbidden command",
		"NOPERM User unknown has no permissions to run the 'hset' command":                                 "forbidden command",
		"NOPERM this user has no permissions to access one of the keys used as arguments":                  "forbidden key",
		"NOPERM No permissions to access a key":                                                            "forbidden key",
		"NOPERM User a has no permissions to access the 'channel:x' key":                                   "forbidden key",
		"NOPERM this user has no permissions to access one of the channels used as arguments":              "forbidden channel",
		"NOPERM No permissions to access a channel":                                                        "forbidden channel",
		"NOPERM User a has no permissions to access the 'key:x' channel":                                   "forbidden channel",
		"ERR unknown command 'evalsha', with args beginning with: 'channel' 'key' ":                        "unknown command",
		"ERR unknown command `evalsha`, with args beginning with: ":                                        "unknown command",
		"ERR unknown subcommand 'slots'. Try CLUSTER HELP.":                                                "unknown command",
		"ERR max number of clients reached":                                                                "unavailable",
		"LOADING Redis is loading the dataset in memory":                                                   "unavailable",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.":           "unavailable",
		"CLUSTERDOWN The cluster is down":                                                                  "unavailable",
		"NOAUTH Authentication required.":                                                                  "unavailable",
		"WRONGPASS invalid username-password pair or user is disabled.":                                    "unavailable",
		"MOVED 1 127.0.0.1:7000":                                                                           "works",
		"READONLY You can't write against a read only replica.":                                            "works",
		"OOM command not allowed when used memory > 'maxmemory'.":                                          "works",
		"WRONGTYPE Operation against a key holding the wrong kind of value":                                "works",
		"NOSCRIPT No matching script. Please use EVAL.":                                                    "works",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk":  "works",
		"NOREPLICAS Not enough good replicas to write.":                                                    "works",
		"ERR The user executing the script can't run this command or subcommand":                           "forbidden command", // within scripts
		"-NOPERM The user executing the script can't run this command or subcommand":                       "forbidden command",
		"ERR ACL failure in script: User a has no permissions to run the 'hset' command":                   "forbidden command",
		"ERR The user executing the script can't access at least one of the keys mentioned in the command": "forbidden key",
		"ERR The user executing the script can't publish to the channel mentioned in the command":          "forbidden channel",
		"ERR Unknown Redis command called from script":                                                     "unknown command",
		"@user_script: 1: Unknown Redis command called from Lua script":                                    "unknown command",
		"ERR This Redis command is not allowed from script":                                                "unknown command",
		"-READONLY You can't write against a read only replica.":                                           "works",
		"ERR Command is not available: 'EVALSHA'. See https://example.com":                                 "unknown command", // managed services
		"ERR unsupported command":                                                                          "unknown command",
		"ERR command is not allowed":                                                                       "unknown command",
		"ERR SUBSCRIBE is disabled for this kind of service":                                               "unknown command",
	} {
		if got := redisconn.Judge(text); got != want {
			t.Errorf("%q is judged %s, want %s", text, got, want)
		}
	}
}

package redisconn

import (
	"errors"
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"
)

// verdict is what a reply says about the server.
type verdict int

const (
	works verdict = iota
	forbiddenCommand
	forbiddenKey
	forbiddenChannel
	unknownCommand
	unavailable // the server or the network does not work for now
)

// judge reads the reply to a command that is correct.
func judge(err error) verdict {
	if err == nil || errors.Is(err, redis.Nil) {
		return works
	}
	if _, answered := errors.AsType[redis.Error](err); !answered {
		return unavailable
	}
	return judgeText(err.Error())
}

var errorCode = regexp.MustCompile(`^-?([A-Z]+)(?: |$)`)

func judgeText(text string) verdict {
	code := ""
	if m := errorCode.FindStringSubmatch(text); m != nil {
		code = m[1]
	}
	switch code {
	case "WRONGTYPE", "NOSCRIPT", "MOVED", "ASK", "TRYAGAIN", "CROSSSLOT", "OOM", "READONLY", "NOREPLICAS", "MISCONF":
		return works
	case "NOPERM", "ERR", "":
	default: // LOADING, BUSY, CLUSTERDOWN, NOAUTH
		return unavailable
	}
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "max number of clients"):
		return unavailable
	case strings.Contains(lower, "cannot be used with replica instances"): // WAIT
		return works
	case code != "NOPERM" && strings.Contains(lower, "unknown"):
		return unknownCommand
	}
	// Names of users, keys and channels are in quotes, or before the verb.
	reason := lower[strings.LastIndexByte(lower, '\'')+1:]
	switch {
	case strings.Contains(reason, "channel"):
		return forbiddenChannel
	case strings.Contains(reason, "key"):
		return forbiddenKey
	case code == "NOPERM" || strings.Contains(lower, "user executing the script") || strings.Contains(lower, "no permissions"):
		return forbiddenCommand
	default:
		return unknownCommand // as managed services say it
	}
}

var quoted = regexp.MustCompile("['`]([A-Za-z]+)['`|]")

// quotedName is the command that an error names.
func quotedName(err error) string {
	if m := quoted.FindStringSubmatch(err.Error()); m != nil {
		return strings.ToUpper(m[1])
	}
	return ""
}

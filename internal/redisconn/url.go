package redisconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// parameters of a URL, see [Options.URL].
var parameters = []string{"addr", "cluster", "db", "master_name"}

// Errors of the configuration show neither the URL nor the values of its parameters: either may
// contain a password.
var (
	errURL         = errors.New("redis URL is not of the form redis://host:port/database, rediss://… or unix:///path (it is not shown, for it may hold a password)")
	errParameter   = errors.New("redis URL has a parameter that is not known; " + strings.Join(parameters, ", ") + " are")
	errDatabase    = errors.New("redis URL names a database that is not a number")
	errTwoDatabase = errors.New("redis URL names a database in its path and in its parameter db")
	errDB          = errors.New("redis URL's parameter db is not the number of a database")
	errAddr        = errors.New("redis URL's parameter addr is not of the form host:port")
	errClusterWord = errors.New("redis URL's parameter cluster is neither true nor false")
	errMasterName  = errors.New("redis URL's parameter master_name is empty")
	errUnix        = errors.New("redis URL of a socket has parameters of several servers; it can have db")
	errCluster     = errors.New("redis URL names both a Cluster and a Sentinel master: the parameters cluster and master_name exclude each other")
	errIndex       = errors.New("redis URL names a database of a Cluster, which has only database 0: another key prefix keeps sites apart")
)

// CheckURL reports what is wrong with a URL. No error shows a password.
func CheckURL(text string) error {
	_, err := parseURL(text, "")
	return err
}

// parseURL reads a URL. No error shows its password or the separate one.
func parseURL(text, password string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, errURL
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errURL
	}
	o := new(redis.UniversalOptions)
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	if err := checkParameters(u.RawQuery, query, password, o.Password, o.Username); err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "rediss":
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		fallthrough
	case "redis":
		addr, ok := withPort(u.Host)
		if !ok {
			return nil, errURL
		}
		o.Addrs = []string{addr}
		if path := strings.Trim(u.Path, "/"); path != "" {
			if o.DB, err = strconv.Atoi(path); err != nil || o.DB < 0 {
				return nil, errDatabase
			}
			if query.Has("db") {
				return nil, errTwoDatabase
			}
		}
	case "unix":
		if u.Host != "" || u.Path == "" {
			return nil, errURL
		}
		if query.Has("addr") || query.Has("cluster") || query.Has("master_name") {
			return nil, errUnix
		}
		o.Addrs = []string{u.Path}
	default:
		return nil, errURL
	}
	return o, parseQuery(o, query)
}

var parameterName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,39}$`)

// checkParameters names the parameters that are unknown or repeated. A password that contains a ?
// also begins a query; then there is an @ after it, and the names are not shown.
func checkParameters(raw string, query url.Values, secrets ...string) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case slices.Contains(parameters, name):
			if name != "addr" && len(query[name]) > 1 {
				return fmt.Errorf("redis URL has the parameter %s twice", name)
			}
		case strings.Contains(raw, "@") || !parameterName.MatchString(name) || slices.ContainsFunc(secrets, func(secret string) bool {
			return secret != "" && strings.Contains(name, secret)
		}):
			return errParameter
		default:
			return fmt.Errorf("redis URL has the parameter %s, which is not known; %s are", name, strings.Join(parameters, ", "))
		}
	}
	return nil
}

func parseQuery(o *redis.UniversalOptions, query url.Values) error {
	if query.Has("db") {
		n, err := strconv.Atoi(query.Get("db"))
		if err != nil || n < 0 {
			return errDB
		}
		o.DB = n
	}
	for _, addr := range query["addr"] {
		addr, ok := withPort(addr)
		if !ok {
			return errAddr
		}
		o.Addrs = append(o.Addrs, addr)
	}
	if o.MasterName = query.Get("master_name"); o.MasterName == "" && query.Has("master_name") {
		return errMasterName
	}
	switch word := query.Get("cluster"); {
	case word == "true":
		o.IsClusterMode = true
	case word != "false" && query.Has("cluster"):
		return errClusterWord
	}
	switch several := len(o.Addrs) > 1 && o.MasterName == ""; {
	case o.MasterName != "" && o.IsClusterMode:
		return errCluster
	case o.DB != 0 && (o.IsClusterMode || several):
		return errIndex
	}
	return nil
}

var hostForm = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)$`)

// withPort adds Redis' default port when there is none, and reports whether host and port are
// valid.
func withPort(text string) (addr string, ok bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), "6379"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return net.JoinHostPort(host, port), err == nil && n > 0 && hostForm.MatchString(host)
}

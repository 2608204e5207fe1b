package redisstore

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// errPage says that a page begins where no page ended.
var errPage = errors.New("there is no such page")

// AccountIDs implements [store.Directory] by SCAN on one server after the other. Where a
// page ends is the server's number and its cursor.
func (s *Store) AccountIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error) {
	first, text, _ := strings.Cut(after, ":")
	server, err1 := strconv.Atoi("0" + first)
	cursor, err2 := strconv.ParseUint("0"+text, 10, 64)
	if err1 != nil || err2 != nil {
		return nil, "", errPage
	}
	err = s.do(ctx, "list accounts", func(ctx context.Context) error {
		ids, next = nil, ""
		servers, err := s.servers(ctx)
		if err != nil {
			return err
		}
		if server >= len(servers) {
			return nil
		}
		keys, cursor, err := servers[server].Scan(ctx, cursor, globbed(s.prefix)+"{*}:account", int64(limit)).Result()
		if err != nil {
			return err
		}
		for _, key := range keys {
			name := strings.TrimSuffix(strings.TrimPrefix(key, s.prefix+"{"), "}:account")
			if account, err := url.QueryUnescape(name); err == nil {
				ids = append(ids, account)
			}
		}
		switch {
		case cursor != 0:
			next = strconv.Itoa(server) + ":" + strconv.FormatUint(cursor, 10)
		case server+1 < len(servers):
			next = strconv.Itoa(server+1) + ":0"
		}
		return nil
	})
	return ids, next, err
}

// servers are those that have keys, in the same order each time.
func (s *Store) servers(ctx context.Context) ([]*redis.Client, error) {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return []*redis.Client{s.client.(*redis.Client)}, nil
	}
	var (
		one     sync.Mutex
		servers []*redis.Client
	)
	err := cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		one.Lock()
		defer one.Unlock()
		servers = append(servers, node)
		return nil
	})
	slices.SortFunc(servers, func(a, b *redis.Client) int { return strings.Compare(a.Options().Addr, b.Options().Addr) })
	return servers, err
}

// globbed is text as a pattern that only it matches.
func globbed(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

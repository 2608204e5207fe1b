package redisstore

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// errPage says that a page begins where no page ended.
var errPage = errors.New("there is no such page")

// AccountIDs implements [store.Store].
func (s *Store) AccountIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error) {
	return s.accountsWith(ctx, after, "account", limit)
}

// accountsWith lists the accounts that have a key of a name.
func (s *Store) accountsWith(ctx context.Context, after, name string, limit int) (ids []string, next string, err error) {
	keys, next, err := s.scan(ctx, after, "{*}:"+name, limit)
	if err != nil {
		return nil, "", err
	}
	for _, key := range keys {
		id := strings.TrimSuffix(strings.TrimPrefix(key, s.prefix+"{"), "}:"+name)
		if account, err := url.QueryUnescape(id); err == nil {
			ids = append(ids, account)
		}
	}
	return ids, next, nil
}

// scan lists the keys of a pattern behind the prefix, by SCAN on one server after the other. Where
// a page ends is the server's number and its cursor.
func (s *Store) scan(ctx context.Context, after, pattern string, limit int) (keys []string, next string, err error) {
	first, text, _ := strings.Cut(after, ":")
	server, err1 := strconv.Atoi("0" + first)
	cursor, err2 := strconv.ParseUint("0"+text, 10, 64)
	if err1 != nil || err2 != nil {
		return nil, "", errPage
	}
	err = s.do(ctx, "list accounts", func(ctx context.Context) error {
		keys, next = nil, ""
		servers, err := s.conn.Masters(ctx)
		if err != nil {
			return err
		}
		if server >= len(servers) {
			return nil
		}
		found, cursor, err := servers[server].Scan(ctx, cursor, globbed(s.prefix)+pattern, int64(limit)).Result()
		switch {
		case err != nil:
			return err
		case cursor != 0:
			next = strconv.Itoa(server) + ":" + strconv.FormatUint(cursor, 10)
		case server+1 < len(servers):
			next = strconv.Itoa(server+1) + ":0"
		}
		keys = found
		return nil
	})
	return keys, next, err
}

// globbed is text as a pattern that only it matches.
func globbed(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// EventIDs implements [store.Lister].
func (s *Store) EventIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error) {
	keys, next, err := s.scan(ctx, after, "event:*", limit)
	if err != nil {
		return nil, "", err
	}
	for _, key := range keys {
		if id, err := url.QueryUnescape(strings.TrimPrefix(key, s.prefix+"event:")); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, next, nil
}

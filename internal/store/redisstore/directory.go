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
		servers, err := s.conn.Masters(ctx)
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

// globbed is text as a pattern that only it matches.
func globbed(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

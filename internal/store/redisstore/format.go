package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// format is that of the keys in doc.go. It is noted with the first other note, which is the site,
// so that a version that does not know it leaves the store alone.
const (
	format     = "1"
	formatNote = "format"
)

// checkFormat refuses a store that a newer version of dodogate has written. A store without
// a note, of before there was one, is of this format.
func (s *Store) checkFormat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	switch kept, err := s.client.Get(ctx, s.noteKey(formatNote)).Result(); {
	case errors.Is(err, redis.Nil):
		return nil
	case err != nil:
		return s.unavailable(ctx, "read the format of redis at "+s.conn.Addrs(), err)
	case kept != format:
		return s.conn.Refuse(fmt.Sprintf("a newer version of dodogate has written it: it has format %.20q, this version knows %q", kept, format))
	}
	return nil
}

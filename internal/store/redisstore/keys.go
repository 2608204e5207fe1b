package redisstore

import (
	"net/url"
	"strings"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// accountKeys names the keys of one account. They share a hash tag.
type accountKeys struct {
	base                                      string
	account, holds, expiring, entries, closed string
}

func (s *Store) keysOf(account string) accountKeys {
	base := s.prefix + "{" + escape(account) + "}:"
	all := base + "account" + base + "holds" + base + "expiring" + base + "entries" + base + "closed"
	k := accountKeys{base: base}
	for _, key := range []struct {
		to   *string
		name string
	}{{&k.account, "account"}, {&k.holds, "holds"}, {&k.expiring, "expiring"}, {&k.entries, "entries"}, {&k.closed, "closed"}} {
		n := len(base) + len(key.name)
		*key.to, all = all[:n], all[n:]
	}
	return k
}

func (k accountKeys) ended(id string) string { return k.base + "ended:" + escape(id) }
func (k accountKeys) unpaid() string         { return k.base + "unpaid" }
func (k accountKeys) paid() string           { return k.base + "paid" }
func (k accountKeys) failed() string         { return k.base + "failed" }

const objectKey = "object:"

func (k accountKeys) object(ref entitlement.Ref) string {
	return k.base + objectKey + escape(string(ref.Kind)) + ":" + escape(ref.ID)
}
func (k accountKeys) isObject(key string) bool {
	return strings.HasPrefix(key[len(k.base):], objectKey)
}

func (k accountKeys) order(id string) string { return k.base + "order:" + escape(id) }
func (k accountKeys) key(hash string) string { return k.base + "key:" + escape(hash) }

func (s *Store) ownerKey(ref entitlement.Ref) string {
	return s.prefix + "owner:" + escape(string(ref.Kind)) + ":" + escape(ref.ID)
}

func (s *Store) dayKey(of book.DailyKind, day string) string {
	return s.prefix + "day:" + escape(string(of)) + ":" + day
}

func (s *Store) eventKey(id string) string      { return s.prefix + "event:" + escape(id) }
func (s *Store) parkedKey(object string) string { return s.prefix + "parked:" + escape(object) }
func (s *Store) allParkedKey() string           { return s.prefix + "parked" }

// escape writes a name so that it holds no brace or colon, and so that no two
// names look alike afterwards.
func escape(name string) string { return url.QueryEscape(name) }

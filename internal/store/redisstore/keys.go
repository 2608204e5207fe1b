package redisstore

import (
	"net/url"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// accountKeys names the keys of one account. They share a hash tag.
type accountKeys string

func (s *Store) keysOf(account string) accountKeys {
	return accountKeys(s.prefix + "{" + escape(account) + "}:")
}

func (k accountKeys) entries() string { return string(k) + "entries" }

// ledgerKeys are the ends of the first keys of every script about credits, see ledger.lua.
var ledgerKeys = [...]string{"account", "closed", "entries", "holds", "expiring"}

func (k accountKeys) ledger() []string {
	w := newWords()
	for _, name := range ledgerKeys {
		w = w.joined(string(k), name)
	}
	return w.texts()
}
func (k accountKeys) ended(id string) string { return string(k) + "ended:" + escape(id) }
func (k accountKeys) unpaid() string         { return string(k) + "unpaid" }
func (k accountKeys) paid() string           { return string(k) + "paid" }
func (k accountKeys) failed() string         { return string(k) + "failed" }

func (k accountKeys) object(ref entitlement.Ref) string {
	return string(k) + "object:" + escape(string(ref.Kind)) + ":" + escape(ref.ID)
}
func (k accountKeys) order(id string) string { return string(k) + "order:" + escape(id) }
func (k accountKeys) key(hash string) string { return string(k) + "key:" + escape(hash) }

func (s *Store) ownerKey(ref entitlement.Ref) string {
	return s.prefix + "owner:" + escape(string(ref.Kind)) + ":" + escape(ref.ID)
}

func (s *Store) eventKey(id string) string      { return s.prefix + "event:" + escape(id) }
func (s *Store) parkedKey(object string) string { return s.prefix + "parked:" + escape(object) }
func (s *Store) allParkedKey() string           { return s.prefix + "parked" }

// escape writes a name so that it holds no brace or colon, and so that no two
// names look alike afterwards.
func escape(name string) string { return url.QueryEscape(name) }

package redisstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestPlantedDamage damages records of one account by commands of Redis, one at a time. Every
// damage is found, none shows a wrong balance, and the ledger is mended if the rest says how.
func TestPlantedDamage(t *testing.T) {
	const grant = "g:payment:pay_1/0"
	server := redistest.Start(t)
	for name, c := range map[string]struct {
		storetest.Damage
		commands string // "ann:" begins a key of ann's; a line each
	}{
		"the account is gone":                 {commands: "DEL ann:account"},
		"the account and the entries are":     {storetest.Damage{Unmended: true}, "DEL ann:account ann:entries"},
		"the entries are gone":                {commands: "DEL ann:entries"},
		"the last entry is gone":              {commands: "RPOP ann:entries"},
		"the first entry is gone":             {commands: "LPOP ann:entries"},
		"an entry is garbage":                 {commands: "LSET ann:entries 1 garbage"},
		"an entry has another amount":         {commands: "LSET ann:entries 1 2_1700000000000_capture_-1_93_15_payment:pay_1/0spent"},
		"the last entry has another balance":  {commands: "LSET ann:entries -1 4_1700000000000_clawback_-5_950_15_payment:pay_2/0evt"},
		"there is one entry more":             {commands: "RPUSH ann:entries 5_1700000000000_grant_5_98_15_payment:pay_2/0evt"},
		"entries are another type":            {commands: "DEL ann:entries\nSET ann:entries x"},
		"a grant has more left":               {commands: "HSET ann:account " + grant + " 100_5000_0_0_0_-_1700000000000"},
		"a grant has less left":               {commands: "HSET ann:account " + grant + " 100_3_0_0_0_-_1700000000000"},
		"a grant is garbage":                  {commands: "HSET ann:account " + grant + " garbage"},
		"a grant is out of range":             {commands: "HSET ann:account " + grant + " 100_9007199254740992_0_0_0_-_1700000000000"},
		"a grant is gone":                     {commands: "HDEL ann:account " + grant},
		"a grant says that it is held":        {commands: "HSET ann:account " + grant + " 100_3_90_0_0_-_1700000000000"},
		"the debt is another":                 {commands: "HSET ann:account debt 50"},
		"the number of entries is gone":       {commands: "HDEL ann:account seq"},
		"the number of entries is huge":       {commands: "HSET ann:account seq 4000000000"},
		"the revision is garbage":             {commands: "HSET ann:account rev garbage"},
		"the account is of another type":      {commands: "DEL ann:account\nSET ann:account x"},
		"a standing is garbage":               {commands: "HSET ann:account s:payment:pay_1 garbage"},
		"an object is gone":                   {commands: "DEL ann:object:payment:pay_1"},
		"an object has no version":            {commands: "HDEL ann:object:payment:pay_1 version"},
		"a closed grant is garbage":           {commands: "HSET ann:closed payment:pay_2/0 garbage"},
		"the closed grants are gone":          {commands: "DEL ann:closed"},
		"an order is garbage":                 {commands: "HSET ann:order:ord_1 order garbage"},
		"a hold is garbage":                   {commands: "HSET ann:holds h garbage\nZADD ann:expiring 1 h"},
		"a hold holds of what is not there":   {commands: "HSET ann:holds h 1_0_0_5_9_other\nZADD ann:expiring 1 h"},
		"the last entry is another account's": {commands: "LSET ann:entries -1 1_1700000000000_grant_10_10_15_payment:pay_3/0evt"},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := fmt.Sprint("test", prefixes.Add(1), ":")
			storetest.LiveOn(t, open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix}).store)
			for command := range strings.SplitSeq(c.commands, "\n") {
				words := strings.Fields(command)
				for i, word := range words {
					if key, is := strings.CutPrefix(word, "ann:"); is {
						word = prefix + "{ann}:" + key
					} else if i > 2 {
						word = strings.ReplaceAll(word, "_", " ")
						word = strings.ReplaceAll(strings.ReplaceAll(word, "pay ", "pay_"), "ord ", "ord_")
					}
					words[i] = word
				}
				server.MustDo(words...)
			}
			// A store that has read nothing yet.
			c.Want(t, open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix}).store)
		})
	}
}

package notice

import "sync"

// balances are the newest balances that were seen of accounts.
type balances struct {
	mu        sync.Mutex
	byAccount map[string]balance
}

// balance is that of an account behind its entry with the number seq.
type balance struct{ seq, credits int64 }

// mostBalances is how many accounts are remembered: 10 megabytes at most. Of more, some are
// forgotten; if the credits of such an account run low before it is seen again, nobody is told.
const mostBalances = 50_000

// put notes a balance. It returns the one before, if that is known and older.
func (b *balances) put(account string, seq, credits int64) (before int64, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last, known := b.byAccount[account]
	switch {
	case known && last.seq >= seq:
		return 0, false
	case b.byAccount == nil:
		b.byAccount = make(map[string]balance)
	case !known && len(b.byAccount) == mostBalances:
		for other := range b.byAccount {
			delete(b.byAccount, other)
			break
		}
	}
	b.byAccount[account] = balance{seq, credits}
	return last.credits, known
}

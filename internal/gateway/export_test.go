package gateway

import "context"

// For is a context in which calls to Dodo are for a purpose ("checkout", "confirm",
// "prices", "reconcile"), and caused by an account.
func For(ctx context.Context, what, account string) context.Context {
	p := map[string]purpose{"checkout": forCheckout, "confirm": forConfirm, "prices": forPrices, "reconcile": forReconcile}[what]
	return withCall(ctx, callFor(ctx, p, account))
}

// WrongCode notes that Dodo refused a discount code of the account.
func (b *Budget) WrongCode(ctx context.Context, account string) {
	b.wrongCode(callFor(ctx, forCheckout, account))
}

// Remembered is how many accounts, networks and calls are remembered.
func (b *Budget) Remembered() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.callers.buckets) + len(b.codes.counts)
	for p := range b.minute.made {
		n += len(b.minute.made[p])
	}
	return n
}

// Queued is how many deferred charges of decided requests are not made yet.
func (a *Accounts) Queued() (n int) {
	q := &a.deferred.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, of := range q.accounts {
		n += len(of.charges)
	}
	return n
}

package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// ErrOtherEnvironment says that the store has what was bought in Dodo's other environment. Credits
// that were bought with a test card must not pay for anything in live mode.
var ErrOtherEnvironment = errors.New("the store belongs to the other environment")

// checkEnvironment notes the environment in a store that has none noted: a new one, or one of a
// release that noted none. It refuses a store of the other environment.
func (s *siteIdentity) checkEnvironment(ctx context.Context, isNew bool) error {
	if s.environment == "" {
		return nil
	}
	kept, err := s.store.Note(ctx, noteEnvironment, "", "")
	if err == nil && kept == "" {
		kept, err = s.store.Note(ctx, noteEnvironment, "", string(s.environment))
		if err == nil && kept == string(s.environment) && !isNew {
			s.logger.Warn("the store was written by a release that did not record the environment; from now on everything in it counts as bought in this one",
				"environment", kept)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("read environment: %w", err)
	case kept != string(s.environment):
		return fmt.Errorf("%w: %w: it has the accounts and credits of %.20s, and the config says environment %s; "+
			"give %s a store of its own (another key_prefix or database of store redis, another file of store bolt), or write: environment %.20s",
			store.ErrUnavailable, ErrOtherEnvironment, kept, s.environment, s.environment, kept)
	}
	return nil
}

// checkedStore serves no account before the site and environment of the store are known to be
// those of the config. [Events.Open] checks them when a config starts, but cannot if the store is
// away at that moment.
type checkedStore struct {
	store.Store
	site *siteIdentity
}

// Update implements [store.Store].
func (s checkedStore) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if _, err := s.site.own(ctx); err != nil {
		return store.Updated{}, err
	}
	return s.Store.Update(ctx, account, decide)
}

// Receive implements [store.Store].
func (s checkedStore) Receive(ctx context.Context, d store.Delivery, decide store.Decision) (store.Received, error) {
	if _, err := s.site.own(ctx); err != nil {
		return store.Received{}, err
	}
	return s.Store.Receive(ctx, d, decide)
}

// View implements [store.Store].
func (s checkedStore) View(ctx context.Context, account string, look store.Decision) (entitlement.Account, error) {
	if _, err := s.site.own(ctx); err != nil {
		return entitlement.Account{}, err
	}
	return s.Store.View(ctx, account, look)
}

// Ping implements [store.Pinger].
func (s checkedStore) Ping(ctx context.Context) error { return store.Client{Store: s.Store}.Ping(ctx) }

// Unwrap is the store below.
func (s checkedStore) Unwrap() store.Store { return s.Store }

package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// With [Options.MatchEmail], an address that the login vouches for leads purchases that
// were made with exactly this address, and that nothing else leads to an account, to the
// account. Dodo's customers type any address; so only the one that the login has verified
// counts, and the first account that came with it keeps it.

const (
	maxEmail = 320 // bytes, RFC 3696
	// mostClaimedEmails bounds what is remembered of addresses that are noted already.
	mostClaimedEmails = 100_000
)

// claimedEmails remembers which accounts came with which address.
type claimedEmails struct {
	mu     sync.RWMutex
	emails map[string]string // by account
	search sync.Mutex        // one search of parked events at a time
}

func (c *claimedEmails) has(account, email string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known, ok := c.emails[account]
	return ok && known == email
}

func (c *claimedEmails) add(account, email string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.emails == nil || len(c.emails) >= mostClaimedEmails {
		c.emails = make(map[string]string)
	}
	c.emails[account] = email
}

// ClaimEmail notes that the login vouches for the account's e-mail address, and applies what
// waited for it. It does nothing unless [Options.MatchEmail] is set, and asks the store
// only for the first request of an account with an address.
func (e *Events) ClaimEmail(ctx context.Context, account, email string) error {
	if !e.matchEmail || account == "" || len(account) > MaxAccount || email == "" || len(email) > maxEmail || e.emails.has(account, email) {
		return nil
	}
	ref, err := e.emailRef(ctx, email)
	if err != nil {
		return err
	}
	owner, err := e.store.Owner(ctx, ref)
	fresh := err == nil && owner == ""
	if fresh {
		owner, err = e.store.Claim(ctx, ref, account)
	}
	if err != nil {
		return fmt.Errorf("note e-mail address: %w", err)
	}
	if owner != account {
		e.logger.Warn("the login vouches for the e-mail address of another account; purchases with it go to the account that came first",
			"account", account, "first", owner)
	} else if searched, err := e.adopt(ctx, email); err != nil || !searched {
		return err // the next request tries again
	}
	e.emails.add(account, email)
	return nil
}

// adopt applies parked purchases with the address. One that is not found, because much
// is parked, is left to the next redrive. While another search is under way it does nothing
// and returns false.
func (e *Events) adopt(ctx context.Context, email string) (searched bool, err error) {
	if !e.emails.search.TryLock() {
		return false, nil
	}
	defer e.emails.search.Unlock()
	after := ""
	for range maxSearched {
		page, next, err := e.store.Parked(ctx, "", after, redrivePage)
		if err != nil {
			return false, fmt.Errorf("read parked events: %w", err)
		}
		for _, record := range page {
			event, err := dodo.Decode(record.Body)
			if record.Reason != ReasonUnknownAccount || err != nil || event.Fact == nil || event.Fact.Clues.CustomerEmail != email {
				continue
			}
			if _, _, err := e.redrive(ctx, record); err != nil {
				return false, fmt.Errorf("apply parked event: %w", err)
			}
		}
		if after = next; next == "" {
			break
		}
	}
	return true, nil
}

// emailRef names an address without showing it to readers of the store.
func (p *parts) emailRef(ctx context.Context, email string) (entitlement.Ref, error) {
	site, err := p.site.own(ctx)
	digest := sha256.Sum256([]byte(site + "\x00" + email))
	return entitlement.Ref{Kind: entitlement.KindEmail, ID: hex.EncodeToString(digest[:])}, err
}

// contactRef is emailRef for operators, who may write the address in small letters.
func (p *parts) contactRef(ctx context.Context, email string) (entitlement.Ref, error) {
	ref, err := p.emailRef(ctx, strings.ToLower(email))
	ref.Kind = entitlement.KindContact
	return ref, err
}

// leadsTo is the account that a clue leads to; empty for none.
func (e *Events) leadsTo(ctx context.Context, c dodo.Clues) (string, error) {
	refs := clueRefs(c)
	if e.matchEmail && c.CustomerEmail != "" && len(c.CustomerEmail) <= maxEmail {
		ref, err := e.emailRef(ctx, c.CustomerEmail)
		if err != nil {
			return "", err
		}
		refs = append(refs, ref)
	}
	for _, ref := range refs {
		if account, err := e.store.Owner(ctx, ref); err != nil || account != "" {
			return account, err
		}
	}
	return "", nil
}

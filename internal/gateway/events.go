package gateway

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
)

// Events takes facts from Dodo and applies them to accounts. Its methods may be called
// concurrently.
type Events struct {
	*parts
	verifier      *dodo.Verifier
	refundPolicy  config.RefundPolicy
	disputePolicy config.DisputePolicy
	keepEvents    config.KeepEvents
	matchEmail    bool

	confirms  singleflight.Group // by order id
	cooldowns cooldowns          // by order id
	inquiries inquiries          // by account
	redrives  redriveRound
	lease     *passLease
	turns     orderTurns // of asking about open orders
	emails    claimedEmails
	// unansweredLog is how often it is logged that Dodo could not be asked.
	unansweredLog rate.Sometimes
}

func newEvents(p *parts, o Options) *Events {
	return &Events{
		parts: p, lease: newPassLease(p.store), turns: orderTurns{asked: make(map[string]time.Time)}, verifier: o.Verifier, refundPolicy: o.RefundPolicy, disputePolicy: o.DisputePolicy,
		keepEvents: o.KeepEvents, matchEmail: o.MatchEmail,
		cooldowns:     cooldowns{every: confirmCooldown, last: make(map[string]time.Time)},
		inquiries:     inquiries{running: make(map[string]*inquiry), next: make(map[string]time.Time)},
		unansweredLog: rate.Sometimes{Interval: unansweredLogged},
	}
}

// Open reads the store's site and environment, or notes them in a store that has none. It returns
// [ErrOtherSite] or [ErrOtherEnvironment] if the config names others. It is called when a config
// starts, so that a store which does not fit is refused before it serves a customer. Otherwise the
// first use checks them.
func (e *Events) Open(ctx context.Context) error {
	own, err := e.site.own(ctx)
	if err == nil {
		e.logger.Info("the store is open", "site", own)
	}
	return err
}

// Policies are what becomes of credits of refunded and of disputed payments.
func (e *Events) Policies() (config.RefundPolicy, config.DisputePolicy) {
	return e.refundPolicy, e.disputePolicy
}

// VerifyHeaders refuses a delivery by its headers alone, before its body is read:
// [dodo.ErrSignature] or [dodo.ErrStale].
func (e *Events) VerifyHeaders(header http.Header) error { return e.verifier.VerifyHeaders(header) }

// Refused counts a delivery that was refused before [Events.HandleEvent].
func (e *Events) Refused(err error) { e.observer.EventRefused(err) }

// Now is the time of the gateway's clock.
func (e *Events) Now() time.Time { return e.clock() }

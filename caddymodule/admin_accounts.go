package caddymodule

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/ledger"
)

// accountView is an account, and what everything about it follows from.
type accountView struct {
	Account       string                 `json:"account"`
	Known         bool                   `json:"known"`             // anything was ever heard of it
	Verdict       string                 `json:"verdict,omitempty"` // all of this in one sentence
	Credits       int64                  `json:"credits"`           // that can be spent
	Held          int64                  `json:"held"`              // set aside for requests that are under way
	Owed          int64                  `json:"owed"`              // which credits that come pay first
	HasPaid       bool                   `json:"has_paid"`
	Plan          string                 `json:"plan"`
	Plans         []planView             `json:"plans"` // all that give access, the highest first
	PlanStatus    entitlement.PlanStatus `json:"plan_status"`
	PlanExpiresAt time.Time              `json:"plan_expires_at,omitzero"`
	PaymentDate   time.Time              `json:"payment_date,omitzero"`
	LastEntry     int64                  `json:"last_entry"`            // its number; 0: nothing ever happened
	Grants        []grantView            `json:"grants"`                // of which something is left, held or waiting, oldest first
	Standings     []standingView         `json:"standings"`             // what else payments and subscriptions give
	Pending       []orderView            `json:"pending"`               // can still be paid, newest first
	Purchases     []orderView            `json:"purchases"`             // newest first
	Parked        []eventView            `json:"parked"`                // oldest first
	ParkedMore    bool                   `json:"parked_more,omitempty"` // there may be more
	Acts          []actView              `json:"acts"`                  // of operators, newest first
}

// planView is a plan that gives access.
type planView struct {
	Plan      string                 `json:"plan"`
	Status    entitlement.PlanStatus `json:"status"`
	ExpiresAt time.Time              `json:"expires_at,omitzero"` // without: never
}

// grantView is credits given for one reason.
type grantView struct {
	Grant     string    `json:"grant"`
	Amount    int64     `json:"amount"`
	Left      int64     `json:"left"`
	Held      int64     `json:"held"`
	Waiting   int64     `json:"waiting,omitempty"`   // can be spent from starts_at on
	StartsAt  time.Time `json:"starts_at,omitzero"`  // with waiting
	ExpiresAt time.Time `json:"expires_at,omitzero"` // without: never
	CreatedAt time.Time `json:"created_at"`
}

// standingView is what a payment or subscription gives besides credits.
type standingView struct {
	Object     string     `json:"object"`
	Paid       bool       `json:"paid"` // it makes has_paid true by itself
	PaidAt     time.Time  `json:"paid_at,omitzero"`
	Plans      []planTime `json:"plans,omitempty"` // bought for some time
	Plan       string     `json:"plan,omitempty"`  // of a subscription, with all below
	Status     string     `json:"status,omitempty"`
	Access     bool       `json:"access,omitempty"`
	Until      time.Time  `json:"until,omitzero"`
	TrialUntil time.Time  `json:"trial_until,omitzero"`
	AddonPlans []string   `json:"addon_plans,omitempty"` // besides plan
	Features   []string   `json:"features,omitempty"`
	Seats      int64      `json:"seats,omitempty"` // also those that were bought once
}

// planTime is a plan for some time, counted from the payment or from the end of the
// one before.
type planTime struct {
	Plan    string `json:"plan"`
	Seconds int64  `json:"seconds"` // 0: without end
}

// orderView is an order without what leads to its checkout.
type orderView struct {
	Order     string          `json:"order"`
	Product   string          `json:"product"`
	Quantity  int64           `json:"quantity"`
	State     book.OrderState `json:"state"`
	Payment   string          `json:"payment,omitempty"` // of the last attempt
	CreatedAt time.Time       `json:"created_at"`
	ExpiresAt time.Time       `json:"expires_at,omitzero"`
}

// showAccount serves GET /dodo/accounts/<account>.
func showAccount(a *App, r *http.Request) (any, error) {
	account := r.PathValue("account")
	v, err := a.accounts.Inspect(r.Context(), account)
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	view := accountViewOf(account, v)
	view.Verdict, err = a.accounts.Verdict(r.Context(), account, v)
	return view, err
}

func accountViewOf(account string, v gateway.Inspection) accountView {
	now := v.Snapshot
	view := accountView{
		Account: account, Known: v.Known(), Credits: now.Credits, Owed: v.Ledger.Debt, HasPaid: now.HasPaid, Plan: now.Plan, PlanStatus: now.PlanStatus,
		PlanExpiresAt: now.PlanExpiresAt.UTC(), PaymentDate: now.PaymentDate.UTC(), LastEntry: v.Ledger.Seq,
		Plans: []planView{}, Grants: []grantView{}, Standings: []standingView{},
		Pending: viewsOf(v.Pending, showOrder), Purchases: viewsOf(v.Purchases, showOrder),
		Parked: viewsOf(v.Parked, showEventView), ParkedMore: v.ParkedMore,
		Acts: viewsOf(v.Acts, showAct),
	}
	for _, p := range now.Plans {
		view.Plans = append(view.Plans, planView{Plan: p.Name, Status: p.Status, ExpiresAt: p.ExpiresAt.UTC()})
	}
	for _, g := range v.Ledger.Grants {
		if !g.Open() {
			continue
		}
		view.Held += g.Held
		view.Grants = append(view.Grants, grantView{
			Grant: g.ID, Amount: g.Amount, Left: g.Left, Held: g.Held, ExpiresAt: g.ExpiresAt.UTC(), CreatedAt: g.CreatedAt.UTC(),
			Waiting: g.Waiting, StartsAt: g.StartsAt.UTC(),
		})
	}
	slices.SortFunc(view.Grants, func(a, b grantView) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Grant, b.Grant))
	})
	for _, object := range slices.Sorted(maps.Keys(v.Standings)) {
		view.Standings = append(view.Standings, showStanding(object, v.Standings[object]))
	}
	return view
}

func showStanding(object string, s entitlement.Standing) standingView {
	v := standingView{Object: object, Paid: s.Paid, PaidAt: s.PaidAt.UTC(), Seats: s.Seats}
	for _, p := range s.Passes {
		v.Plans = append(v.Plans, planTime{Plan: p.Plan, Seconds: int64(p.Lasts / time.Second)})
	}
	if r := s.Renewal; r != nil {
		v.Plan, v.Status, v.Access, v.Until, v.TrialUntil = r.Plan, string(r.Status), r.Access, r.Until.UTC(), r.TrialUntil.UTC()
		v.AddonPlans, v.Features, v.Seats = r.Plans, r.Features, r.Seats
	}
	return v
}

func showOrder(o book.Order) orderView {
	return orderView{
		Order: o.ID, Product: o.Product, Quantity: o.Quantity, State: o.State, Payment: o.PaymentID,
		CreatedAt: o.CreatedAt.UTC(), ExpiresAt: o.ExpiresAt.UTC(),
	}
}

// entryPage is a page of a ledger, newest first.
type entryPage struct {
	Entries []ledger.Entry `json:"entries"`
	Next    int64          `json:"next,omitempty"` // the before of the page that follows
}

// listEntries serves GET /dodo/accounts/<account>/entries.
func listEntries(a *App, r *http.Request) (any, error) {
	from, limit, err := pageQuery(r, "before")
	if err != nil {
		return nil, err
	}
	before := int64(0)
	if from != "" {
		if before, err = strconv.ParseInt(from, 10, 64); err != nil || before < 1 || before > gateway.MaxEntry {
			return nil, fmt.Errorf("%w: before must be the number of an entry", errAdminRequest)
		}
	}
	entries, next, err := a.accounts.Entries(r.Context(), r.PathValue("account"), before, limit)
	if err != nil {
		return nil, fmt.Errorf("entries: %w", err)
	}
	return entryPage{Entries: append([]ledger.Entry{}, entries...), Next: next}, nil
}

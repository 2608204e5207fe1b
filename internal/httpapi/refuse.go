package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/maypok86/otter/v2"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
)

// Refusal is the answer to a request for something that the account may not have.
// Whoever refuses has asked [gateway.Events.ConfirmAccount] before, and passes on what
// that returned.
type Refusal struct {
	// Account that asks; empty for an anonymous visitor, who is asked to sign in.
	Account string
	// Doubt is why nobody can say whose the request's credentials are, if that is so.
	Doubt error
	// Needs is what it takes.
	Needs entitlement.Requirement
	// Has is what the account may do instead.
	Has entitlement.Snapshot
	// Pending are the account's orders that wait to be paid.
	Pending []book.Order
	// Target tells what a browser asked for, path and query as they came in, and
	// where it goes after buying, if the site allows that. Empty, or nil: nowhere.
	Target func(*http.Request) string
}

// The codes of status 402.
const (
	codePayment = "payment_required"
	codePlan    = "plan_required"
	codeFeature = "feature_required"
	codeCredits = "insufficient_credits"
)

// Refuse answers with 402, with 401 for an anonymous visitor, and for a doubtful one with
// what the doubt is: as a page with
// buy buttons for a browser, as a status of gRPC for its calls, as application/problem+json
// with the same offers for everybody else. It returns the problem's code, and logs nothing.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, no Refusal) (code string) {
	if no.Account == "" {
		p := ProblemOf(no.stranger())
		a.Answer(w, r, p)
		return p.Code
	}
	if contentType := rpcType(r); contentType != "" {
		p := no.problem()
		p.writeRPC(w, contentType)
		return p.Code
	}
	catalog := a.shop.OffersNow(r.Context())
	varyByAccept(w.Header())
	if wants(r) != wantsHTML {
		answer := a.refusalJSON(r.Context(), no, catalog)
		answer.problem.writeBody(w, answer.body)
		return answer.problem.Code
	}
	p := no.problem()
	p.writeHeader(w)
	writePageOf(w, p.Status, "refusal", a.refusalPage(r, no, p, a.offers(r.Context(), no, catalog)), formPolicy)
	return p.Code
}

// stranger is why a request without an account is refused.
func (no Refusal) stranger() error { return cmp.Or(no.Doubt, gateway.ErrAnonymous) }

// refusals are answers that were made before. Accounts that lack the same are told the
// same, and many are: those who have nothing left.
type refusals = otter.Cache[refusalKey, refusalAnswer]

// maxRefusals is how many bytes of answers are remembered. Most have a kilobyte or two;
// each grows with the catalog, and the list of offers that its key holds on to as well.
const maxRefusals = 2 << 20

func newRefusals() *refusals {
	return otter.Must(&otter.Options[refusalKey, refusalAnswer]{
		MaximumWeight: maxRefusals,
		Weigher:       func(_ refusalKey, a refusalAnswer) uint32 { return uint32(min(len(a.body), maxRefusals+1)) },
	})
}

// refusalKey is all that the answer to a refusal without pending orders follows from.
type refusalKey struct {
	catalog  *gateway.Offer // the first of a list that never changes
	plans    string         // that are needed
	plan     string         // the highest that the account has
	features string         // that are needed
	needs    int64          // credits
	has      int64          // credits
	owed     int64          // credits
	paid     bool
}

type refusalAnswer struct {
	problem Problem // without its members
	body    []byte
}

// refusalJSON is the answer to a refusal for a program.
func (a *API) refusalJSON(ctx context.Context, no Refusal, catalog []gateway.Offer) refusalAnswer {
	key, remembers := no.key(catalog)
	if remembers {
		if answer, ok := a.refusals.GetIfPresent(key); ok {
			return answer
		}
	}
	p := no.problem()
	p.Members["offers"] = append([]offerAnswer{}, a.offers(ctx, no, catalog)...)
	answer := refusalAnswer{problem: Problem{Status: p.Status, Code: p.Code}, body: p.json()}
	if remembers {
		a.refusals.Set(key, answer)
	}
	return answer
}

// key is what the answer follows from. One that names orders, subscriptions, or features
// that the account has, is of one account alone, and not remembered.
func (no Refusal) key(catalog []gateway.Offer) (key refusalKey, remembers bool) {
	remembers = len(no.Pending) == 0 && !no.Has.Subscribed
	if len(catalog) > 0 {
		key.catalog = &catalog[0]
	}
	switch need := no.Needs; {
	case len(need.Plans) > 0:
		key.plans, key.plan = strings.Join(need.Plans, " "), no.Has.Plan
	case len(need.Features) > 0:
		key.features = fmt.Sprintf("%q", need.Features) // they may have anything in them
		remembers = remembers && len(no.Has.Features) == 0
	case need.Credits > 0:
		key.needs, key.has, key.owed = need.Credits, no.Has.Credits, no.Has.Debt
	default:
		key.paid = no.Has.HasPaid
	}
	return key, remembers
}

// problem says what is missing. required and available are of the kind that the
// code is about: credits, names of plans or features, or has_paid.
func (no Refusal) problem() Problem {
	p := Problem{Status: http.StatusPaymentRequired, Members: make(map[string]any)}
	switch need := no.Needs; {
	case len(need.Plans) > 0:
		p.Code, p.Detail = codePlan, "This needs the plan "+strings.Join(need.Plans, " or ")+"."
		p.Members["required"], p.Members["available"] = need.Plans, no.Has.Plan
	case len(need.Features) > 0:
		p.Code, p.Detail = codeFeature, "This needs the feature "+strings.Join(need.Features, " or ")+"."
		p.Members["required"], p.Members["available"] = need.Features, append([]string{}, no.Has.Features...)
	case need.Credits > 0:
		p.Code, p.Detail = codeCredits, fmt.Sprintf("This needs %s, and you have %d.", creditsInWords(need.Credits), no.Has.Credits)
		if no.Has.Debt > 0 {
			p.Detail = fmt.Sprintf("This needs %s, and you owe %d from an earlier refund or dispute. What you buy pays for those first.",
				creditsInWords(need.Credits), no.Has.Debt)
		}
		p.Members["required"], p.Members["available"], p.Members["owed"] = need.Credits, no.Has.Credits, no.Has.Debt
	default:
		p.Code, p.Detail = codePayment, "This is for customers who have bought something."
		p.Members["required"], p.Members["available"] = true, no.Has.HasPaid
	}
	pending := make([]string, 0, len(no.Pending))
	for _, o := range no.Pending {
		if o.State == book.OrderOpen {
			pending = append(pending, o.ID)
		}
	}
	p.Members["pending"] = pending
	return p
}

func creditsInWords(n int64) string {
	if n == 1 {
		return "1 credit"
	}
	return fmt.Sprintf("%d credits", n)
}

// refusalPage is the data of pages/refusal.html.
type refusalPage struct {
	Title, Detail, Code string
	Refresh             *refresh // none, but the head asks
	Forms               []form   // one for each offer
	Home                string   // the site
	Waiting             string   // the page of the newest order that waits to be paid
}

var refusalTitles = map[string]string{
	codePayment: "Not bought yet",
	codePlan:    "Not in your plan",
	codeFeature: "Not included yet",
	codeCredits: "Not enough credits",
}

func (a *API) refusalPage(r *http.Request, no Refusal, p Problem, offers []offerAnswer) refusalPage {
	returnTo := "" // the site's default
	if no.Target != nil {
		returnTo = a.landingOf(r, no.Target(r))
	}
	page := refusalPage{Title: refusalTitles[p.Code], Detail: p.Detail, Code: p.Code, Forms: forms(offers, returnTo), Home: a.site.Path("/")}
	for _, o := range no.Pending {
		if o.State == book.OrderOpen {
			page.Waiting = a.base.link("/return", url.Values{orderParam: {o.ID}})
			break
		}
	}
	return page
}

// landingOf is the address of what was asked for, if customers may land there.
// What a form sent cannot be asked for again.
func (a *API) landingOf(r *http.Request, target string) string {
	base, ok := a.site.Base(scheme(r), r.Host)
	if !ok || r.Method != http.MethodGet || !strings.HasPrefix(target, "/") {
		return ""
	}
	landing, err := a.site.Landing(base+a.site.Path(target), base)
	if err != nil {
		return ""
	}
	return landing
}

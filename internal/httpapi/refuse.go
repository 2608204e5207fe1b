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

// Refusal describes a request for something that the account does not have. The caller has
// called [gateway.Events.ConfirmAccount] before, and passes on its results.
type Refusal struct {
	// Account that sent the request; empty for an anonymous visitor, who is asked to sign in.
	Account string
	// Doubt is why the request's credentials cannot be judged; nil if they can.
	Doubt error
	// Needs is the requirement that is not met.
	Needs entitlement.Requirement
	// Has is what the account has instead.
	Has entitlement.Snapshot
	// Pending are the account's unpaid orders.
	Pending []book.Order
	// Target returns the path and query that a browser asked for, as received. The browser
	// returns there after buying, if the site allows it. nil or an empty result: nowhere.
	Target func(*http.Request) string
}

// The codes of status 402.
const (
	codePayment = "payment_required"
	codePlan    = "plan_required"
	codeFeature = "feature_required"
	codeCredits = "insufficient_credits"
)

// Refuse answers with 402; with 401 for an anonymous visitor; and with the problem of the
// doubt if the credentials cannot be judged. A browser gets a page with buy buttons, a gRPC
// call a gRPC status, other clients application/problem+json with the same offers. It returns
// the problem's code, and logs nothing.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, refusal Refusal) (code string) {
	if refusal.Account == "" {
		p := ProblemOf(refusal.anonymousError())
		a.Answer(w, r, p)
		return p.Code
	}
	if contentType := rpcType(r); contentType != "" {
		p := refusal.problem()
		p.writeRPC(w, contentType)
		return p.Code
	}
	catalog := a.shop.OffersNow(r.Context())
	varyByAccept(w.Header())
	if wants(r) != wantsHTML {
		answer := a.refusalJSON(r.Context(), refusal, catalog)
		answer.problem.writeBody(w, answer.body)
		return answer.problem.Code
	}
	p := refusal.problem()
	p.writeHeader(w)
	writePageOf(w, p.Status, "refusal", a.refusalPage(r, refusal, p, a.offers(r.Context(), refusal, catalog)), formPolicy)
	return p.Code
}

// anonymousError is why a request without an account is refused.
func (refusal Refusal) anonymousError() error { return cmp.Or(refusal.Doubt, gateway.ErrAnonymous) }

// refusalCache holds answers for reuse. Accounts that lack the same things get the same
// answer, and there are many: those that have nothing left.
type refusalCache = otter.Cache[refusalKey, refusalAnswer]

// maxRefusalBytes is how many bytes of answers are cached. Most are one or two kilobytes; each
// grows with the catalog, and so does the list of offers that its key refers to.
const maxRefusalBytes = 2 << 20

func newRefusalCache() *refusalCache {
	return otter.Must(&otter.Options[refusalKey, refusalAnswer]{
		MaximumWeight: maxRefusalBytes,
		Weigher:       func(_ refusalKey, a refusalAnswer) uint32 { return uint32(min(len(a.body), maxRefusalBytes+1)) },
	})
}

// refusalKey is everything that determines the answer to a refusal without pending orders.
type refusalKey struct {
	catalog  *gateway.Offer // the first offer of a list that never changes
	plans    string         // required
	plan     string         // the account's highest
	features string         // required
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
func (a *API) refusalJSON(ctx context.Context, refusal Refusal, catalog []gateway.Offer) refusalAnswer {
	key, cacheable := refusal.key(catalog)
	if cacheable {
		if answer, ok := a.refusalCache.GetIfPresent(key); ok {
			return answer
		}
	}
	p := refusal.problem()
	p.Members["offers"] = append([]offerAnswer{}, a.offers(ctx, refusal, catalog)...)
	answer := refusalAnswer{problem: Problem{Status: p.Status, Code: p.Code}, body: p.json()}
	if cacheable {
		a.refusalCache.Set(key, answer)
	}
	return answer
}

// key is the cache key of the answer. The answer is not cacheable if it depends on the
// account's own orders, subscriptions or features.
func (refusal Refusal) key(catalog []gateway.Offer) (key refusalKey, cacheable bool) {
	cacheable = len(refusal.Pending) == 0 && !refusal.Has.Subscribed
	if len(catalog) > 0 {
		key.catalog = &catalog[0]
	}
	switch need := refusal.Needs; {
	case len(need.Plans) > 0:
		key.plans, key.plan = strings.Join(need.Plans, " "), refusal.Has.Plan
	case len(need.Features) > 0:
		key.features = fmt.Sprintf("%q", need.Features) // a name may contain any character
		cacheable = cacheable && len(refusal.Has.Features) == 0
	case need.Credits > 0:
		key.needs, key.has, key.owed = need.Credits, refusal.Has.Credits, refusal.Has.Debt
	default:
		key.paid = refusal.Has.HasPaid
	}
	return key, cacheable
}

// problem says what is missing. Members required and available have the kind that the code is
// about: credits, names of plans or features, or has_paid.
func (refusal Refusal) problem() Problem {
	p := Problem{Status: http.StatusPaymentRequired, Members: make(map[string]any)}
	switch need := refusal.Needs; {
	case len(need.Plans) > 0:
		p.Code, p.Detail = codePlan, "This needs the plan "+strings.Join(need.Plans, " or ")+"."
		p.Members["required"], p.Members["available"] = need.Plans, refusal.Has.Plan
	case len(need.Features) > 0:
		p.Code, p.Detail = codeFeature, "This needs the feature "+strings.Join(need.Features, " or ")+"."
		p.Members["required"], p.Members["available"] = need.Features, append([]string{}, refusal.Has.Features...)
	case need.Credits > 0:
		p.Code, p.Detail = codeCredits, fmt.Sprintf("This needs %s, and you have %d.", creditsInWords(need.Credits), refusal.Has.Credits)
		if refusal.Has.Debt > 0 {
			p.Detail = fmt.Sprintf("This needs %s, and you owe %d from an earlier refund or dispute. What you buy pays for those first.",
				creditsInWords(need.Credits), refusal.Has.Debt)
		}
		p.Members["required"], p.Members["available"], p.Members["owed"] = need.Credits, refusal.Has.Credits, refusal.Has.Debt
	default:
		p.Code, p.Detail = codePayment, "This is for customers who have bought something."
		p.Members["required"], p.Members["available"] = true, refusal.Has.HasPaid
	}
	pending := make([]string, 0, len(refusal.Pending))
	for _, o := range refusal.Pending {
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
	Refresh             *refresh // always nil; the template's head needs the field
	Forms               []form   // one for each offer
	Home                string   // the site
	Waiting             string   // the page of the newest unpaid order
}

var refusalTitles = map[string]string{
	codePayment: "Not bought yet",
	codePlan:    "Not in your plan",
	codeFeature: "Not included yet",
	codeCredits: "Not enough credits",
}

func (a *API) refusalPage(r *http.Request, refusal Refusal, p Problem, offers []offerAnswer) refusalPage {
	returnTo := "" // the site's default
	if refusal.Target != nil {
		returnTo = a.landingForTarget(r, refusal.Target(r))
	}
	page := refusalPage{Title: refusalTitles[p.Code], Detail: p.Detail, Code: p.Code, Forms: formsOf(offers, returnTo), Home: a.site.Path("/")}
	for _, o := range refusal.Pending {
		if o.State == book.OrderOpen {
			page.Waiting = a.base.link("/return", url.Values{orderParam: {o.ID}})
			break
		}
	}
	return page
}

// landingForTarget is the address of the requested page, if customers may land there. A form's
// target cannot be requested again.
func (a *API) landingForTarget(r *http.Request, target string) string {
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

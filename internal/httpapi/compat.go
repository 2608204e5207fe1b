package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
)

// compat holds the routes of a hand-written integration, at the paths where its front end and
// Dodo expect them. They translate requests into the use cases of our own routes, and the
// answers back. The use cases decide what may be bought, by whom, and what it gives. The zero
// value has no routes.
type compat struct {
	routes   map[string]route // by the path, in lower case and without a slash at the end
	patterns []PathPattern    // of all routes
	landing  *config.Compat   // where a customer lands; nil: on our own pages
}

// CheckCompat reports whether a site can serve the routes of an integration in addition to its
// own.
func CheckCompat(basePath string, c *config.Compat) error {
	base, err := newBasePath(cmp.Or(basePath, DefaultBasePath))
	if err != nil {
		return err
	}
	_, err = (&API{base: base}).newCompat(c)
	return err
}

func (a *API) newCompat(c *config.Compat) (compat, error) {
	if err := c.Validate(); err != nil {
		return compat{}, err
	}
	made := compat{routes: a.expressRoutes(), landing: c}
	if c.Style == config.FastAPI {
		made.routes = a.fastAPIRoutes()
	}
	for path := range made.routes {
		if a.base.contains(path) {
			return compat{}, fmt.Errorf("the base path %s and compat %s would both have %s; choose another base path", a.base.path, c.Style, path)
		}
		pattern, err := NewPathPattern(path)
		if err != nil {
			return compat{}, err
		}
		made.patterns = append(made.patterns, pattern)
	}
	return made, nil
}

// contains reports whether a path is the base path or below it.
func (b basePath) contains(path string) bool {
	return path == b.lower || strings.HasPrefix(path, b.lower+"/")
}

// route is the route at a decoded path, with or without a trailing slash.
func (c *compat) route(decoded string) (route, bool) {
	if len(c.routes) == 0 {
		return route{}, false
	}
	clean, _ := canonical(decoded)
	at, known := c.routes[clean]
	return at, known
}

// name is the route's name in logs.
func (c *compat) name(decoded string) string {
	clean, _ := canonical(decoded)
	if _, known := c.routes[clean]; known {
		return clean
	}
	return "other"
}

// compatRequest is what an old front end asks to buy.
type compatRequest struct {
	credits int64
	plan    string
	visitor string // where the visitor came from, for the metadata
}

// compatCheckout creates a checkout for the fields of the body. answer builds the response for
// the front end.
func (a *API) compatCheckout(w http.ResponseWriter, r *http.Request, wish *compatRequest, takes fields, answer func(context.Context, *book.Order) any) error {
	who, err := signedIn(r.Context())
	if err != nil {
		return err
	}
	req, err := a.checkoutRequest(r)
	if err != nil {
		return err
	}
	if err := a.readLenient(w, r, takes); err != nil {
		return err
	}
	req.Credits, req.Plan = wish.credits, wish.plan
	if wish.visitor != "" {
		req.Metadata = map[string]string{visitorField: wish.visitor}
	}
	order, err := a.shop.Checkout(r.Context(), who, *req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer(r.Context(), order))
}

// writeProblemAs writes a problem as one JSON object of another form.
func writeProblemAs(w http.ResponseWriter, p Problem, status int, body any) {
	p.writeHeader(w)
	text, err := json.Marshal(body)
	if err != nil {
		text = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// withAlternatives adds what a customer can do instead of paying twice. Old front ends ignore
// it and show the sentence.
func (p Problem) withAlternatives(answer map[string]any) map[string]any {
	if p.Code == codeSubscribed {
		maps.Copy(answer, p.Members)
	}
	return answer
}

// bannerURL is where the front end shows the result of an order: its landing place with the
// parameter for the result. It is empty while the result is unknown, and for sites whose
// customers land on our own pages.
func (c *compat) bannerURL(v visit, order book.Order) string {
	if c.landing == nil {
		return ""
	}
	word := c.landing.Processing
	switch {
	case order.State == book.OrderPaid:
		word = c.landing.WordOfSuccess()
	case order.State == book.OrderFailed:
		word = c.landing.WordOfFailed()
	case order.State == book.OrderCancelled, v.cancelled:
		word = c.landing.WordOfCancelled()
	}
	u, err := url.Parse(order.ReturnTo)
	if err != nil || word == "" {
		return ""
	}
	u.RawQuery = withParameter(u.RawQuery, c.landing.LandingParameter(), word)
	return u.String()
}

// withParameter sets a parameter, and leaves the rest of a query unchanged.
func withParameter(query, name, value string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); pair != "" && (err != nil || key != name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(append(kept, name+"="+value), "&")
}

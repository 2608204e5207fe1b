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

// compat are the routes of a hand-written integration, at the paths where its front end
// and Dodo expect them. They translate what is asked into the use cases of our own routes,
// and the answers back: what may be bought, by whom and what it gives is decided there.
// The zero value has none.
type compat struct {
	routes   map[string]route // by the path, in lower case and without a slash at the end
	patterns []PathPattern    // of all routes
	landing  *config.Compat   // where a customer lands; nil: on our own pages
}

// CheckCompat says whether a site can have the routes of an integration besides its own.
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

// route is the route at a decoded path, with or without a slash at its end.
func (c *compat) route(decoded string) (route, bool) {
	if len(c.routes) == 0 {
		return route{}, false
	}
	clean, _ := canonical(decoded)
	at, known := c.routes[clean]
	return at, known
}

// name is what logs call the route at a path.
func (c *compat) name(decoded string) string {
	clean, _ := canonical(decoded)
	if _, known := c.routes[clean]; known {
		return clean
	}
	return "other"
}

// compatWish is what a front end says of a purchase.
type compatWish struct {
	credits int64
	plan    string
	visitor string // where the visitor came from, for the metadata
}

// compatCheckout makes a checkout of what the body asks for. answer is what the front end
// gets.
func (a *API) compatCheckout(w http.ResponseWriter, r *http.Request, wish *compatWish, takes fields, answer func(context.Context, *book.Order) any) error {
	who, err := signedIn(r.Context())
	if err != nil {
		return err
	}
	req, err := a.checkoutRequest(r)
	if err != nil {
		return err
	}
	if err := a.readForgiving(w, r, takes); err != nil {
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

// sayAs writes a problem as one JSON object of another form.
func sayAs(w http.ResponseWriter, p Problem, status int, body any) {
	p.writeHeader(w)
	text, err := json.Marshal(body)
	if err != nil {
		text = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// withWays adds to the answer what a customer who would pay twice can do instead. The old
// front ends pass over it, and show the sentence.
func (p Problem) withWays(answer map[string]any) map[string]any {
	if p.Code == codeSubscribed {
		maps.Copy(answer, p.Members)
	}
	return answer
}

// banner is where the front end shows what became of an order: its landing place, with
// the parameter that says so. It is empty while that is not known, and for sites whose
// customers land on our own pages.
func (c *compat) banner(v visit, order book.Order) string {
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

// withParameter sets a parameter, and leaves the rest of a query as it is written.
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

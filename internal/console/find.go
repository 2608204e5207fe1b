package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// match is something that a search found.
type match struct {
	What    string
	Address string // of its page
	Name    string
}

// findPage is the data of find.html.
type findPage struct {
	Text    string
	Matches []match
}

// prefixes are how ids begin, and of what.
var prefixes = map[string]entitlement.Kind{
	"pay_": entitlement.KindPayment, "sub_": entitlement.KindSubscription, "cus_": entitlement.KindCustomer,
	"cks_": entitlement.KindSession, "ord_": entitlement.KindOrder,
}

// find looks for an account by its id, by the id of something that belongs to it, and for
// an event by its id.
func find(r *request) (view, error) {
	text := strings.TrimSpace(r.input.Get("q"))
	if text == "" {
		return view{}, fmt.Errorf("%w: there is nothing to look for", errInput)
	}
	p := findPage{Text: text}
	v, err := r.Accounts.Inspect(r.Context(), text)
	if err != nil {
		return view{}, fmt.Errorf("look for an account: %w", err)
	}
	if v.Known() {
		p.add("Account", "account", text)
	}
	for prefix, kind := range prefixes {
		if !strings.HasPrefix(text, prefix) {
			continue
		}
		account, err := r.Store.Owner(r.Context(), entitlement.Ref{Kind: kind, ID: text})
		switch {
		case err != nil:
			return view{}, fmt.Errorf("look for the %s: %w", kind, err)
		case account != "":
			p.add("Account of the "+string(kind), "account", account)
		}
	}
	switch _, err := r.Events.Event(r.Context(), text); {
	case err == nil:
		p.add("Event", "event", text)
	case !errors.Is(err, store.ErrNotFound):
		return view{}, fmt.Errorf("look for an event: %w", err)
	}
	found := view{Title: "Found", page: "find.html", Data: p}
	if len(p.Matches) == 0 {
		found.Title, found.Status = "Nothing found", http.StatusNotFound
	}
	return found, nil
}

func (p *findPage) add(what, page, id string) {
	p.Matches = append(p.Matches, match{what, Pages + page + "?" + url.Values{"id": {id}}.Encode(), id})
}

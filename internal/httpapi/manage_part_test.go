package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// portals notes where links to the portal lead back to.
type portals struct {
	gateway.Provider
	back string
}

func (p *portals) PortalLink(ctx context.Context, customer, returnURL string) (string, error) {
	p.back = returnURL
	return p.Provider.PortalLink(ctx, customer, returnURL)
}

// TestManagingAtPart: customers of a part of the site that has an address of its own get
// back to it from the portal, after a cancellation and after a change, as from a checkout.
func TestManagingAtPart(t *testing.T) {
	noted := new(portals)
	s := newSite(t, func(set *setting) {
		sellsPlans(set)
		set.between = func(dodo gateway.Provider) gateway.Provider {
			noted.Provider = dodo
			return noted
		}
	})
	s.buys(alice, "basic")
	part, err := s.gate.Site().Under("https://club.example/members")
	must(t, err)
	s.api, err = s.gate.api(httpapi.Options{Site: &part})
	must(t, err)
	const home = "https://club.example/members/"

	s.post("/payments/portal", `{}`).by(alice).do().json(http.StatusOK)
	if noted.back != home {
		t.Errorf("the portal leads back to %s", noted.back)
	}
	s.post("/payments/portal", `{"return_to":"`+home+`account"}`).by(alice).do().json(http.StatusOK)
	for _, undo := range []string{"", "undo=true"} {
		a := s.post("/payments/subscription/cancel", undo).by(alice).asForm().do()
		if to := a.Header().Get("Location"); a.Code != http.StatusSeeOther || to != home {
			t.Errorf("cancel %s: %d to %s", undo, a.Code, to)
		}
	}
	if page := s.post("/payments/subscription/change", "product=pro").by(alice).asForm().do().page(http.StatusOK); !strings.Contains(page, home) {
		t.Errorf("the page does not lead back:\n%s", page)
	}
	a := s.post("/payments/subscription/change", "product=pro&confirm=true").by(alice).asForm().do()
	if to := a.Header().Get("Location"); a.Code != http.StatusSeeOther || to != home {
		t.Errorf("change: %d to %s", a.Code, to)
	}
}

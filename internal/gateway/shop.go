package gateway

import (
	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
)

// Shop is what customers buy and manage. It grants nothing by itself: what was bought is
// granted by the facts that [Events] takes from Dodo. Its methods may be called concurrently.
type Shop struct {
	*parts
	events    *Events
	accounts  *Accounts
	pages     config.Site // where customers see us
	prover    *dodo.Prover
	proration config.Proration
	offers    offerList
}

func newShop(p *parts, o Options, events *Events, accounts *Accounts) *Shop {
	s := &Shop{parts: p, events: events, accounts: accounts, pages: o.Site, prover: o.Prover, proration: o.Proration}
	s.offers.known.offers = offersAt(o.Catalog, nil)
	return s
}

// Site is where customers see us.
func (s *Shop) Site() *config.Site { return &s.pages }

// Catalog is what is for sale.
func (s *Shop) Catalog() config.Catalog { return s.catalog }

package gateway

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
)

// Offer is a product as customers see it.
type Offer struct {
	config.Product
	Title       string // the operator's, else Dodo's, else the name
	Description string // the operator's, else Dodo's
	// Price in minor units of Currency; Priced is false where Dodo does not sell
	// the product or cannot be asked.
	Price    int64
	Currency string
	Priced   bool
	// Recurring: it is a subscription, charged in every period Every, after TrialDays that
	// are free. Known as far as Priced.
	Recurring bool
	Every     dodo.Period
	TrialDays int64
	// Features that buying it grants, by Dodo's list of products; none while Dodo has
	// not been asked. Not to be changed.
	Features []string
}

// IsSubscription reports whether the product is a subscription. Where Dodo does not say,
// a plan whose length the catalog does not say is taken for one.
func (o Offer) IsSubscription() bool {
	if o.Priced {
		return o.Recurring
	}
	return o.Plan != "" && o.Lasts == 0
}

// Prices change seldom and only in Dodo's dashboard.
const (
	pricesFresh = 5 * time.Minute
	pricesRetry = 10 * time.Second
)

// Offers are the products that are not hidden, in the operator's order, with
// Dodo's price as of a few minutes ago. When Dodo cannot be asked the last known
// price is given, or none. The list is shared and read only; it is another one when
// prices were read anew.
func (s *Shop) Offers(ctx context.Context) []Offer { return s.pricesOf(ctx).offers }

// KnownOffers are the [Shop.Offers] as they were last read. Dodo is never asked.
func (s *Shop) KnownOffers() []Offer {
	s.offers.mu.Lock()
	defer s.offers.mu.Unlock()
	return s.offers.known.offers
}

func (s *Shop) pricesOf(ctx context.Context) priceList {
	return s.offers.get(s.clock, func() (priceList, error) { return s.readOffers(context.WithoutCancel(ctx)) })
}

// sold is a product as Dodo sells it, also a hidden one; false where Dodo does not sell it
// or cannot be asked.
func (s *Shop) sold(ctx context.Context, id string) (dodo.Product, bool) {
	p, ok := s.pricesOf(ctx).sold[id]
	return p, ok
}

// OffersNow are the [Shop.Offers] with the last known prices, or none. It never
// waits for Dodo; when prices are due it has them read for the next caller.
func (s *Shop) OffersNow(ctx context.Context) []Offer {
	known, due := s.offers.begin(s.clock())
	if due {
		go func() {
			offers, err := s.readOffers(context.WithoutCancel(ctx))
			s.offers.end(s.clock(), offers, err)
		}()
	}
	return known.offers
}

func (s *Shop) readOffers(ctx context.Context) (priceList, error) {
	sold, err := s.provider.Products(withCall(ctx, call{purpose: forPrices}))
	if err != nil {
		s.logger.Warn("prices could not be read", "error", err)
		return priceList{}, err
	}
	prices := make(map[string]dodo.Product, len(sold))
	for _, p := range sold {
		prices[p.ID] = p
	}
	offers := offersAt(s.catalog, prices)
	for _, o := range offers {
		if !o.Priced {
			s.logger.Warn("Dodo does not sell this product, so nobody can buy it: compare its id with the dashboard's, of the same environment",
				"product", o.Name, "id", o.ID)
		}
	}
	return priceList{offers, prices}, nil
}

func offersAt(catalog config.Catalog, prices map[string]dodo.Product) []Offer {
	var offers []Offer
	for _, p := range catalog.Products() {
		if p.Hidden {
			continue
		}
		sold, priced := prices[p.ID]
		offers = append(offers, Offer{
			Product:     p,
			Title:       cmp.Or(p.Title, sold.Name, p.Name),
			Description: cmp.Or(p.Description, sold.Description),
			Price:       sold.Price, Currency: sold.Currency, Priced: priced, Features: sold.Features,
			Recurring: sold.Recurring, Every: sold.Every, TrialDays: sold.TrialDays,
		})
	}
	return offers
}

// priceList are the offers, and what Dodo sells by its ids, from one reading.
type priceList struct {
	offers []Offer
	sold   map[string]dodo.Product
}

// offerList remembers offers with their prices. One caller at a time reads them;
// the others make do with the last ones, so that none waits for a Dodo that hangs.
type offerList struct {
	mu      sync.Mutex
	known   priceList
	next    time.Time // when to read again
	reading bool
}

func (l *offerList) get(clock func() time.Time, read func() (priceList, error)) priceList {
	known, due := l.begin(clock())
	if !due {
		return known
	}
	list, err := read()
	return l.end(clock(), list, err)
}

// soldNow is a product as it was last sold, if that is known.
func (l *offerList) soldNow(id string) (dodo.Product, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.known.sold[id]
	return p, ok
}

// begin returns what is known, and whether the caller is to read them now.
func (l *offerList) begin(now time.Time) (known priceList, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reading || now.Before(l.next) {
		return l.known, false
	}
	l.reading = true
	return l.known, true
}

// end takes what was read, and returns what is known then.
func (l *offerList) end(now time.Time, list priceList, err error) priceList {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = false
	if err != nil {
		l.next = now.Add(pricesRetry)
		return l.known
	}
	l.known, l.next = list, now.Add(pricesFresh)
	return l.known
}

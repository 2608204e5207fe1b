package entitlement

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/config"
)

// Period is one reported billing period, and what was subscribed to in it.
type Period struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Bought is the largest quantity of each product, by Dodo's id. After a change of plan
	// within the period it has more than one product.
	Bought map[string]int64 `json:"bought"`
	// Prices is the highest price of the period that Dodo reported with each product, before
	// tax.
	Prices map[string]config.Amounts `json:"prices,omitempty"`
	// Choices are the products, quantities and add-ons that were seen in it, by [Choice.key].
	Choices map[string]Choice `json:"choices,omitempty"`
}

// Choice is what is subscribed to: a quantity of a product, with its add-ons.
type Choice struct {
	ProductID string `json:"product_id"`
	Quantity  int64  `json:"quantity"`
	Addons    Addons `json:"addons,omitempty"`
	// First and Last are the times of the first and the newest body with this choice.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Price is the charge for a whole period, by currency and before tax; nil if Dodo did not
	// say or there is a discount.
	Price config.Amounts `json:"price,omitempty"`
	// Cycle is the approximate length of a period; 0 if Dodo does not say.
	Cycle time.Duration `json:"cycle,omitempty"`
}

func (c Choice) key() string {
	key := c.ProductID + "/" + strconv.FormatInt(c.Quantity, 10)
	if c.Addons != "" {
		key += "/" + string(c.Addons)
	}
	return key
}

// compare orders by when the choice was made. Of two at the same instant, the one that gives
// less comes first, so that the assumption favours nobody.
func (c Choice) compare(d Choice) int {
	return cmp.Or(c.First.Compare(d.First), cmp.Compare(c.Quantity, d.Quantity), cmp.Compare(c.ProductID, d.ProductID), cmp.Compare(c.Addons, d.Addons))
}

func (c Choice) merge(d Choice) Choice {
	if d.First.Before(c.First) {
		c.First = d.First
	}
	if d.Last.After(c.Last) {
		c.Last = d.Last
	}
	c.Price, c.Cycle = mergeMaps(c.Price, d.Price, maxOf), max(c.Cycle, d.Cycle)
	return c
}

// period is the period that a body reports.
func (s SubscriptionState) period() Period {
	c := Choice{ProductID: s.ProductID, Quantity: s.Quantity, Addons: s.Addons, First: s.At, Last: s.At, Cycle: s.Cycle}
	p := Period{Start: s.PeriodStart, End: s.PeriodEnd, Bought: map[string]int64{s.ProductID: s.Quantity}}
	if s.Currency != "" {
		if !s.Discounted {
			c.Price = config.Amounts{s.Currency: s.Price}
		}
		p.Prices = map[string]config.Amounts{s.ProductID: {s.Currency: s.Price}}
	}
	p.Choices = map[string]Choice{c.key(): c}
	return p
}

func (p Period) merge(q Period) Period {
	m := Period{Start: p.Start, End: p.End}
	if q.End.After(p.End) {
		m.End = q.End
	}
	if q.Start.Before(p.Start) {
		m.Start = q.Start
	}
	m.Bought = mergeMaps(p.Bought, q.Bought, maxOf)
	m.Prices = mergeMaps(p.Prices, q.Prices, func(a, b config.Amounts) config.Amounts { return mergeMaps(a, b, maxOf) })
	m.Choices = mergeMaps(p.Choices, q.Choices, Choice.merge)
	return m
}

func (p Period) compare(q Period) int {
	return cmp.Or(p.Start.Compare(q.Start), p.End.Compare(q.End))
}

// choices are the choices of the period, oldest first. None is older than the period.
func (p Period) choices() []Choice {
	all := make([]Choice, 0, len(p.Choices))
	for _, c := range p.Choices {
		if c.First.Before(p.Start) {
			c.First = p.Start
		}
		if c.Last.Before(c.First) {
			c.Last = c.First
		}
		all = append(all, c)
	}
	slices.SortFunc(all, Choice.compare)
	return all
}

func maxOf(a, b int64) int64 { return max(a, b) }

package dodosim

import "slices"

// The conditions for products in the stories of this file.
func licensed(p Product) bool { return sold(p) && p.LicenseKeys }
func grants(p Product) bool   { return sold(p) && len(p.granted()) > 0 }

func grantsAtOnce(p Product) bool {
	return sold(p) && slices.ContainsFunc(p.granted(), func(i Integration) bool { return i.Kind.atOnce() })
}

func grantsLater(p Product) bool {
	return sold(p) && slices.ContainsFunc(p.granted(), func(i Integration) bool { return !i.Kind.atOnce() })
}

// granted buys a product with a grant.
func (c *scene) granted(fits need, otherwise Product) *Error {
	session, refusal := c.checkout(fits, otherwise)
	if refusal == nil {
		_, refusal = c.pays(session, CardVisa)
	}
	return refusal
}

func (c *scene) license() *Error { return c.granted(licensed, stockLicense) }

// failGrant buys a product whose grant then fails.
func (c *scene) failGrant() *Error {
	if refusal := c.granted(grantsLater, stockAccess); refusal != nil {
		return refusal
	}
	for _, g := range slices.Backward(c.grants) {
		if g.Status == grantPending {
			c.rejectGrant(g, c.now)
			return nil
		}
	}
	return nil
}

// revokeGranted revokes a grant of the account, or of a new purchase.
func (c *scene) revokeGranted() *Error {
	for _, g := range slices.Backward(c.grants) {
		if g.revocable() && c.isAccounts(c.sourceOf(g)) {
			g.withdrawn = true
			c.revoke(g, "manual", c.now)
			return nil
		}
	}
	if refusal := c.granted(grants, stockFeature); refusal != nil {
		return refusal
	}
	g := c.grants[len(c.grants)-1]
	g.withdrawn = true
	c.revoke(g, "manual", c.now)
	return nil
}

// sourceOf is the metadata of the purchase that a grant belongs to.
func (c *scene) sourceOf(g *grant) metadata {
	if p := c.payments[valueOrEmpty(g.PaymentID)]; p != nil {
		return p.Metadata
	}
	if sub := c.subscriptions[valueOrEmpty(g.SubscriptionID)]; sub != nil {
		return sub.Metadata
	}
	return nil
}

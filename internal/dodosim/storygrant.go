package dodosim

import "slices"

// What products must give for the stories of this file.
func licensed(p Product) bool { return sold(p) && p.LicenseKeys }
func grants(p Product) bool   { return sold(p) && len(p.granted()) > 0 }

func grantsAtOnce(p Product) bool {
	return sold(p) && slices.ContainsFunc(p.granted(), func(i Integration) bool { return i.Kind.atOnce() })
}

func grantsLater(p Product) bool {
	return sold(p) && slices.ContainsFunc(p.granted(), func(i Integration) bool { return !i.Kind.atOnce() })
}

// granted buys something that is granted.
func (c *scene) granted(fits need, otherwise Product) *Error {
	session, refusal := c.checkout(fits, otherwise)
	if refusal == nil {
		_, refusal = c.pays(session, CardVisa)
	}
	return refusal
}

func (c *scene) license() *Error { return c.granted(licensed, stockLicense) }

// failGrant buys access somewhere that then cannot be given.
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

// revokeGranted takes a grant of the account away, or one that is bought for that.
func (c *scene) revokeGranted() *Error {
	for _, g := range slices.Backward(c.grants) {
		if g.revocable() && c.theirs(c.sourceOf(g)) {
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

// sourceOf is the metadata of what a grant was bought by.
func (c *scene) sourceOf(g *grant) metadata {
	if p := c.payments[text(g.PaymentID)]; p != nil {
		return p.Metadata
	}
	if sub := c.subscriptions[text(g.SubscriptionID)]; sub != nil {
		return sub.Metadata
	}
	return nil
}

package dodo

import (
	"context"
	"time"

	dodopayments "github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"
)

// FeatureGrant is one grant of a feature flag.
type FeatureGrant struct {
	ID   string
	Fact *Fact // nil when it cannot be understood
}

// FeatureFlags reads one page of the ids of all feature flags that products can be
// given.
func (c *Client) FeatureFlags(ctx context.Context, page int) (Page[string], error) {
	params := dodopayments.EntitlementListParams{
		IntegrationType: dodopayments.F(dodopayments.EntitlementListParamsIntegrationTypeFeatureFlag),
		PageNumber:      dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize),
	}
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.entitlements.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list feature flags", send, func(item *listed, in scope) string { return want(&item.ID, in, "id") })
}

// FeatureGrants reads one page of all grants of the feature flag with that id. The
// list says everything about them.
func (c *Client) FeatureGrants(ctx context.Context, flag string, page int) (Page[FeatureGrant], error) {
	params := dodopayments.EntitlementGrantListParams{PageNumber: dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize)}
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.entitlements.Grants.List(ctx, flag, params, raw...)
		return err
	}
	return readPage(ctx, c, "list feature grants", send, func(item *listed, in scope) FeatureGrant {
		grant := FeatureGrant{ID: want(&item.ID, in, "id")}
		hint := in.hint()
		if fact := readFeature(item, hint, "", time.Time{}); hint.clear() {
			grant.Fact = &fact
		}
		return grant
	})
}

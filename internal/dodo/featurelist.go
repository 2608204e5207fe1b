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
	Fact *Fact // nil if it cannot be understood
}

// FeatureFlags reads one page of the ids of all feature flags.
func (c *Client) FeatureFlags(ctx context.Context, page int) (Page[string], error) {
	params := dodopayments.EntitlementListParams{
		IntegrationType: dodopayments.F(dodopayments.EntitlementListParamsIntegrationTypeFeatureFlag),
		PageNumber:      dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize),
	}
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.entitlements.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list feature flags", send, func(item *listItem, in scope) string { return requiredID(&item.ID, in, "id") })
}

// FeatureGrants reads one page of all grants of the feature flag with that id. The list is
// complete: no further read is needed.
func (c *Client) FeatureGrants(ctx context.Context, flag string, page int) (Page[FeatureGrant], error) {
	params := dodopayments.EntitlementGrantListParams{PageNumber: dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize)}
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.entitlements.Grants.List(ctx, flag, params, raw...)
		return err
	}
	return readPage(ctx, c, "list feature grants", send, func(item *listItem, in scope) FeatureGrant {
		grant := FeatureGrant{ID: requiredID(&item.ID, in, "id")}
		hint := in.lenient()
		if fact := readFeature(item, hint, "", time.Time{}); hint.isEmpty() {
			grant.Fact = &fact
		}
		return grant
	})
}

package dodosim_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/shared"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// answer is what a call of the SDK has returned.
type answer[T any] struct {
	value *T
	err   error
}

func whole[T any](value *T, err error) answer[T] { return answer[T]{value, err} }

// in fails the test unless the call has succeeded and the SDK's own decoder misses nothing
// in what came back.
func (a answer[T]) in(t *testing.T) *T {
	t.Helper()
	if a.err != nil {
		t.Fatal(a.err)
	}
	for _, missed := range lacking(a.value) {
		t.Errorf("%T%s", *a.value, missed)
	}
	return a.value
}

// TestOfficialSDKStory is the whole way of a sale by the Go SDK with only the base URL
// changed: checkout, payment, webhook, refund, renewal, plan change, dispute and portal.
// Each answer, and each webhook, has all that the SDK's decoder requires.
func TestOfficialSDKStory(t *testing.T) {
	shop, ctx := department(t, 0), t.Context()
	client := shop.client()
	for _, product := range whole(client.Products.List(ctx, dodopayments.ProductListParams{PageSize: dodopayments.F(int64(100))})).in(t).Items {
		whole(client.Products.Get(ctx, product.ProductID)).in(t)
	}
	ada := whole(client.Customers.New(ctx, dodopayments.CustomerNewParams{
		Email: dodopayments.F("ada@example.com"), Name: dodopayments.F("Ada"),
	})).in(t)
	once := shop.buyBySDK(ada.CustomerID, "pdt_kit")
	sub := shop.buyBySDK(ada.CustomerID, "pdt_studio")
	shop.flush()

	payment := whole(client.Payments.Get(ctx, once.PaymentID)).in(t)
	if payment.TotalAmount != 4900 || payment.Metadata["order_id"] != shared.UnionString("ord_1") {
		t.Errorf("%+v", payment)
	}
	shop.refundBySDK(once.PaymentID)
	before := whole(client.Subscriptions.Get(ctx, sub.SubscriptionID)).in(t)
	shop.sim.Advance(31 * day)
	after := whole(client.Subscriptions.Get(ctx, sub.SubscriptionID)).in(t)
	if !after.PreviousBillingDate.Equal(before.NextBillingDate) {
		t.Errorf("not renewed: %v, after %v", after.PreviousBillingDate, before.NextBillingDate)
	}
	whole(client.Subscriptions.GetCreditUsage(ctx, sub.SubscriptionID)).in(t)
	shop.changeBySDK(sub.SubscriptionID)

	whole(client.Disputes.Get(ctx, shop.dispute(sub.PaymentID))).in(t)
	if list := whole(client.Disputes.List(ctx, dodopayments.DisputeListParams{})).in(t); len(list.Items) != 1 {
		t.Errorf("%+v", list)
	}
	portal := whole(client.Customers.CustomerPortal.New(ctx, ada.CustomerID, dodopayments.CustomerCustomerPortalNewParams{})).in(t)
	shop.visit(portal.Link)
	whole(client.Customers.Get(ctx, ada.CustomerID)).in(t)
	whole(client.Customers.GetPaymentMethods(ctx, ada.CustomerID)).in(t)
	whole(client.Customers.ListCreditEntitlements(ctx, ada.CustomerID)).in(t)
	whole(client.Customers.ListEntitlements(ctx, ada.CustomerID)).in(t)
	whole(client.Entitlements.List(ctx, dodopayments.EntitlementListParams{})).in(t)
	whole(client.Meters.List(ctx, dodopayments.MeterListParams{})).in(t)

	shop.flush()
	types := make(map[string]bool)
	for _, d := range shop.sim.Deliveries() {
		shop.unwraps(d)
		types[d.Type] = d.Acknowledged() || types[d.Type]
	}
	for _, name := range strings.Fields("payment.succeeded subscription.active subscription.renewed subscription.plan_changed refund.succeeded dispute.opened") {
		if !types[name] {
			t.Error("no", name)
		}
	}
}

// buyBySDK buys a product for a customer, who clicks on the page.
func (s *shop) buyBySDK(customer, product string) dodosim.Attempt {
	s.t.Helper()
	cart := dodopayments.CheckoutSessionRequestParam{
		ProductCart: dodopayments.F([]dodopayments.ProductItemReqParam{
			{ProductID: dodopayments.F(product), Quantity: dodopayments.F(int64(1))},
		}),
		Customer:  dodopayments.F[dodopayments.CustomerRequestUnionParam](dodopayments.AttachExistingCustomerParam{CustomerID: dodopayments.F(customer)}),
		Metadata:  dodopayments.F(dodopayments.MetadataParam{"order_id": shared.UnionString("ord_1")}),
		ReturnURL: dodopayments.F("https://shop.example/back"),
	}
	sessions, ctx := s.client().CheckoutSessions, s.t.Context()
	whole(sessions.Preview(ctx, dodopayments.CheckoutSessionPreviewParams{CheckoutSessionRequest: cart})).in(s.t)
	session := whole(sessions.New(ctx, dodopayments.CheckoutSessionNewParams{CheckoutSessionRequest: cart})).in(s.t)
	attempt := s.pay(session.SessionID)
	if status := whole(sessions.Get(ctx, session.SessionID)).in(s.t); status.PaymentID != attempt.PaymentID || status.PaymentStatus != "succeeded" {
		s.t.Errorf("%+v", status)
	}
	return attempt
}

// changeBySDK puts a subscription on another plan.
func (s *shop) changeBySDK(id string) {
	s.t.Helper()
	subs, ctx := s.client().Subscriptions, s.t.Context()
	plan := dodopayments.UpdateSubscriptionPlanReqParam{
		ProductID: dodopayments.F("pdt_team"), Quantity: dodopayments.F(int64(2)),
		ProrationBillingMode: dodopayments.F(dodopayments.UpdateSubscriptionPlanReqProrationBillingModeDifferenceImmediately),
	}
	preview := whole(subs.PreviewChangePlan(ctx, id, dodopayments.SubscriptionPreviewChangePlanParams{UpdateSubscriptionPlanReq: plan})).in(s.t)
	if err := subs.ChangePlan(ctx, id, dodopayments.SubscriptionChangePlanParams{UpdateSubscriptionPlanReq: plan}); err != nil {
		s.t.Fatal(err)
	}
	if sub := whole(subs.Get(ctx, id)).in(s.t); sub.ProductID != "pdt_team" || sub.Quantity != 2 {
		s.t.Errorf("%+v", sub)
	}
	charges := whole(s.client().Payments.List(ctx, dodopayments.PaymentListParams{
		SubscriptionID: dodopayments.F(id), PageNumber: dodopayments.F(int64(0)),
	})).in(s.t)
	if got := charges.Items[0].TotalAmount; got != preview.ImmediateCharge.Summary.TotalAmount || got != 7000 {
		s.t.Error("charged", got, "where the preview had", preview.ImmediateCharge.Summary.TotalAmount)
	}
}

// refundBySDK gives a line of a payment back, and then the rest.
func (s *shop) refundBySDK(payment string) {
	s.t.Helper()
	client, ctx := s.client(), s.t.Context()
	lines := whole(client.Payments.GetLineItems(ctx, payment)).in(s.t)
	part := whole(client.Refunds.New(ctx, dodopayments.RefundNewParams{
		PaymentID: dodopayments.F(payment),
		Items:     dodopayments.F([]dodopayments.RefundNewParamsItem{{ItemID: dodopayments.F(lines.Items[0].ItemsID), Amount: dodopayments.F(int64(900))}}),
	})).in(s.t)
	rest := whole(client.Refunds.New(ctx, dodopayments.RefundNewParams{PaymentID: dodopayments.F(payment)})).in(s.t)
	if !part.IsPartial || part.Amount+rest.Amount != 4900 {
		s.t.Errorf("%+v, then %+v", part, rest)
	}
	if list := whole(client.Refunds.List(ctx, dodopayments.RefundListParams{})).in(s.t); len(list.Items) != 2 {
		s.t.Errorf("%+v", list)
	}
	if p := whole(client.Payments.Get(ctx, payment)).in(s.t); p.RefundStatus != "full" {
		s.t.Errorf("%+v", p)
	}
}

// visit opens a link that has to lead to a page.
func (s *shop) visit(link string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	page, err := httpclient.Default.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	if err != nil || page.StatusCode != http.StatusOK || !slices.Contains(page.Header["Content-Type"], "text/html; charset=utf-8") {
		s.t.Errorf("%d %s %v", page.StatusCode, body, err)
	}
}

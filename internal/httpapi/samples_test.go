package httpapi_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
)

// samplesDir has one payload of every event type, and awkward ones.
const samplesDir = "../dodo/testdata/webhook-samples"

// sampleProducts are what the samples speak of.
var sampleProducts = []config.Product{
	{Name: "pack10", ID: "pdt_e9mUw084cWnu0tz", Credits: 10},
	{Name: "pro", ID: "pdt_RUST4raxbl0Rfe4VQi1z", Plan: "pro", Credits: 500},
	{Name: "basic", ID: "pdt_test", Plan: "basic", Credits: 20, Lasts: config.Duration(30 * 24 * time.Hour)},
}

// What Alice has had from Dodo before a sample comes.
type before string

const (
	nothing before = ""
	bought  before = "bought" // the payment that the sample is about, one pack10
	active  before = "active" // the sample's subscription, told a minute ago, in the same period
)

// effects says for every file of the samples what becomes of Alice, who is the
// customer in them: her credits, her plan and its status, whether she has paid, her
// features; and of the event in the journal.
var effects = map[string]struct {
	before before
	want   string
}{
	"abandoned_checkout.detected.json":                                   {nothing, "0 none none unpaid: ignored"},
	"abandoned_checkout.recovered.json":                                  {nothing, "0 none none unpaid: ignored"},
	"credit.added.json":                                                  {nothing, "0 none none unpaid: ignored"},
	"credit.balance_low.json":                                            {nothing, "0 none none unpaid: ignored"},
	"credit.deducted.json":                                               {nothing, "0 none none unpaid: ignored"},
	"credit.expired.json":                                                {nothing, "0 none none unpaid: ignored"},
	"credit.manual_adjustment.json":                                      {nothing, "0 none none unpaid: ignored"},
	"credit.overage_charged.json":                                        {nothing, "0 none none unpaid: ignored"},
	"credit.overage_reset.json":                                          {nothing, "0 none none unpaid: ignored"},
	"credit.rolled_over.json":                                            {nothing, "0 none none unpaid: ignored"},
	"credit.rollover_forfeited.json":                                     {nothing, "0 none none unpaid: ignored"},
	"dispute.accepted.json":                                              {bought, "0 none none unpaid: applied"},
	"dispute.cancelled.json":                                             {bought, "10 none none paid: applied"},
	"dispute.challenged.json":                                            {bought, "0 none none unpaid: applied"},
	"dispute.expired.json":                                               {bought, "0 none none unpaid: applied"},
	"dispute.lost.json":                                                  {bought, "0 none none unpaid: applied"},
	"dispute.opened.json":                                                {bought, "0 none none unpaid: applied"},
	"dispute.won.json":                                                   {bought, "10 none none paid: applied"},
	"dunning.recovered.json":                                             {nothing, "0 none none unpaid: ignored"},
	"dunning.started.json":                                               {nothing, "0 none none unpaid: ignored"},
	"entitlement_grant.created.json":                                     {nothing, "0 none none unpaid: ignored"},
	"entitlement_grant.delivered.json":                                   {nothing, "0 none none unpaid: ignored"},
	"entitlement_grant.failed.json":                                      {nothing, "0 none none unpaid: ignored"},
	"entitlement_grant.revoked.json":                                     {nothing, "0 none none unpaid: ignored"},
	"license_key.created.json":                                           {nothing, "0 none none unpaid: ignored"},
	"payment.cancelled.json":                                             {nothing, "0 none none unpaid: applied"},
	"payment.failed.json":                                                {nothing, "0 none none unpaid: applied"},
	"payment.processing.json":                                            {nothing, "0 none none unpaid: applied"},
	"payment.succeeded.json":                                             {nothing, "10 none none paid: applied"},
	"payout.created.json":                                                {nothing, "0 none none unpaid: ignored"},
	"payout.failed.json":                                                 {nothing, "0 none none unpaid: ignored"},
	"payout.in_progress.json":                                            {nothing, "0 none none unpaid: ignored"},
	"payout.on_hold.json":                                                {nothing, "0 none none unpaid: ignored"},
	"payout.success.json":                                                {nothing, "0 none none unpaid: ignored"},
	"refund.failed.json":                                                 {bought, "10 none none paid: applied"},
	"refund.succeeded.json":                                              {bought, "0 none none unpaid: applied"},
	"subscription.active.json":                                           {nothing, "500 pro active paid: applied"},
	"subscription.cancelled.json":                                        {active, "500 none cancelled unpaid: applied"},
	"subscription.expired.json":                                          {active, "500 none expired unpaid: applied"},
	"subscription.failed.json":                                           {active, "500 none expired unpaid: applied"},
	"subscription.on_hold.json":                                          {active, "500 none on_hold unpaid: applied"},
	"subscription.past_due.json":                                         {active, "0 pro past_due paid: applied"},
	"subscription.paused.json":                                           {active, "500 none paused unpaid: applied"},
	"subscription.plan_changed.json":                                     {active, "500 pro active paid: applied"},
	"subscription.renewed.json":                                          {active, "500 pro active paid: applied"},
	"subscription.unpaused.json":                                         {active, "500 pro active paid: applied"},
	"subscription.update_payment_method.json":                            {active, "500 pro active paid: applied"},
	"subscription.updated.json":                                          {active, "500 pro active paid: applied"},
	"variants/cli/dispute.accepted.json":                                 {bought, "0 none none unpaid: applied"},
	"variants/cli/dispute.cancelled.json":                                {bought, "10 none none paid: applied"},
	"variants/cli/dispute.challenged.json":                               {bought, "0 none none unpaid: applied"},
	"variants/cli/dispute.expired.json":                                  {bought, "0 none none unpaid: applied"},
	"variants/cli/dispute.lost.json":                                     {bought, "0 none none unpaid: applied"},
	"variants/cli/dispute.opened.json":                                   {bought, "0 none none unpaid: applied"},
	"variants/cli/dispute.won.json":                                      {bought, "10 none none paid: applied"},
	"variants/cli/license_key.created.json":                              {nothing, "0 none none unpaid: ignored"},
	"variants/cli/payment.cancelled.json":                                {nothing, "20 basic active paid: applied"},
	"variants/cli/payment.failed.json":                                   {nothing, "20 basic active paid: applied"},
	"variants/cli/payment.processing.json":                               {nothing, "20 basic active paid: applied"},
	"variants/cli/payment.succeeded.json":                                {nothing, "20 basic active paid: applied"},
	"variants/cli/refund.failed.json":                                    {bought, "0 none none unpaid: applied"},
	"variants/cli/refund.succeeded.json":                                 {bought, "0 none none unpaid: applied"},
	"variants/cli/subscription.active.json":                              {nothing, "20 basic active paid: applied"},
	"variants/cli/subscription.cancelled.json":                           {active, "20 basic cancelled paid: applied"},
	"variants/cli/subscription.expired.json":                             {active, "20 none expired unpaid: applied"},
	"variants/cli/subscription.failed.json":                              {active, "20 none expired unpaid: applied"},
	"variants/cli/subscription.on_hold.json":                             {active, "20 none on_hold unpaid: applied"},
	"variants/cli/subscription.plan_changed.json":                        {active, "20 basic active paid: applied"},
	"variants/cli/subscription.renewed.json":                             {active, "20 basic active paid: applied"},
	"variants/cli/subscription.updated.json":                             {active, "20 basic active paid: applied"},
	"variants/credit.added.amounts-as-numbers.json":                      {nothing, "0 none none unpaid: ignored"},
	"variants/dispute.opened.without-customer.json":                      {bought, "0 none none unpaid: applied"},
	"variants/entitlement_grant.created.discord-pending.json":            {nothing, "0 none none unpaid: ignored"},
	"variants/entitlement_grant.created.openapi-example.json":            {nothing, "0 none none unpaid: ignored"},
	"variants/entitlement_grant.delivered.digital-files.json":            {nothing, "0 none none unpaid: ignored"},
	"variants/entitlement_grant.delivered.feature-flag.json":             {active, "0 none expired unpaid advanced_reports: applied"},
	"variants/entitlement_grant.delivered.openapi-example.json":          {nothing, "0 none none unpaid: ignored"},
	"variants/entitlement_grant.failed.openapi-example.json":             {nothing, "0 none none unpaid: ignored"},
	"variants/entitlement_grant.revoked.openapi-example.json":            {nothing, "0 none none unpaid: ignored"},
	"variants/payment.failed.subscription-renewal.json":                  {active, "0 none expired unpaid: applied"},
	"variants/payment.succeeded.late-delivery-after-partial-refund.json": {nothing, "6 none none paid: applied"},
	"variants/payment.succeeded.sparse-nulls.json":                       {nothing, "10 none none paid: applied"},
	"variants/payment.succeeded.subscription-first-charge.json":          {active, "500 pro active paid: applied"},
	"variants/payment.succeeded.subscription-renewal.json":               {active, "0 none expired unpaid: applied"},
	"variants/payment.succeeded.trial-zero-amount.json":                  {active, "500 pro active paid: applied"},
	"variants/refund.succeeded.partial.json":                             {bought, "6 none none paid: applied"},
	"variants/subscription.active.with-credits-as-numbers.json":          {nothing, "500 pro active paid: applied"},
	"variants/subscription.active.with-credits.json":                     {nothing, "500 pro active paid: applied"},
	"variants/subscription.updated.cancel-scheduled.json":                {active, "500 pro active paid: applied"},
	"variants/unknown-event-type.json":                                   {nothing, "0 none none unpaid: ignored"},
}

func TestEverySample(t *testing.T) {
	eachStore(t, func(t *testing.T, open opener) {
		eachSample(t, func(t *testing.T, name, body string) {
			row, ok := effects[name]
			if !ok {
				t.Error("the table does not say what this file does")
			}
			event := parse(t, body)
			s := newSampleSite(t, open, event.at().Add(time.Hour))
			s.bindCustomer(alice, event)
			switch row.before {
			case bought:
				payment := parse(t, readSample(t, "payment.succeeded.json"))
				payment.data()["payment_id"] = event.data()["payment_id"]
				s.bindCustomer(alice, payment)
				s.signed("msg_before", payment.String()).do().json(200)
			case active:
				earlier := parse(t, body)
				if event.data()["product_id"] == nil { // not a subscription itself
					earlier = parse(t, readSample(t, "subscription.active.json"))
					earlier.data()["subscription_id"] = event.data()["subscription_id"]
					s.bindCustomer(alice, earlier)
				}
				earlier["type"], earlier.data()["status"] = "subscription.active", "active"
				earlier["timestamp"] = event.at().Add(-time.Minute)
				s.signed("msg_before", earlier.String()).do().json(200)
			}
			s.signed("msg_sample", body).do().json(200)
			if got := s.seen(alice, "msg_sample"); got != row.want {
				t.Errorf("%q: {%q, %q},", name, row.before, got)
			}
		})
		for name := range effects {
			if _, err := os.Stat(filepath.Join(samplesDir, name)); err != nil {
				t.Error(err)
			}
		}
	})
}

// failedPayments are the samples of payments that failed, or that the customer gave up.
var failedPayments = []string{"payment.cancelled.json", "payment.failed.json", "variants/payment.failed.subscription-renewal.json"}

// TestEverySampleOfNobody: money that nobody here is known to have paid is parked. A payment that
// failed is none.
func TestEverySampleOfNobody(t *testing.T) {
	eachStore(t, func(t *testing.T, open opener) {
		s := newSampleSite(t, open, time.Date(2025, 8, 4, 6, 0, 0, 0, time.UTC))
		eachSample(t, func(t *testing.T, name, body string) {
			s := s.in(t)
			id := fmt.Sprintf("msg_%x", sha256.Sum256([]byte(body)))
			s.signed(id, body).do().json(200)
			want := "0 none none unpaid: parked unknown_account"
			if strings.HasSuffix(effects[name].want, ": ignored") || slices.Contains(failedPayments, name) {
				want = "0 none none unpaid: ignored"
			}
			if got := s.seen(alice, id); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			event, data := parse(t, body), parse(t, body).data()
			for kind, id := range map[entitlement.Kind]any{entitlement.KindPayment: data["payment_id"], entitlement.KindSubscription: data["subscription_id"]} {
				if id, _ := id.(string); id != "" {
					if owner, err := s.store.Owner(t.Context(), entitlement.Ref{Kind: kind, ID: id}); err != nil || owner != "" {
						t.Errorf("the %s of %s belongs to %q, %v", kind, event["type"], owner, err)
					}
				}
			}
		})
	})
}

func eachSample(t *testing.T, test func(t *testing.T, name, body string)) {
	t.Helper()
	must(t, filepath.WalkDir(samplesDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		rel, err := filepath.Rel(samplesDir, path)
		name := filepath.ToSlash(rel)
		t.Run(name, func(t *testing.T) { test(t, name, readSample(t, name)) })
		return err
	}))
}

func readSample(t *testing.T, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(samplesDir, name))
	must(t, err)
	return string(body)
}

// payload is the body of a webhook, to be changed.
type payload map[string]any

func parse(t *testing.T, body string) payload {
	t.Helper()
	var p payload
	must(t, json.Unmarshal([]byte(body), &p))
	return p
}

func (p payload) data() map[string]any { return p["data"].(map[string]any) }

func (p payload) at() time.Time {
	at, _ := time.Parse(time.RFC3339, p["timestamp"].(string))
	return at
}

func (p payload) String() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// newSampleSite sells what the samples are about.
// sampleBusinesses are those of Dodo's samples.
var sampleBusinesses = []string{"biz_123abc", "bus_H4ekzPSlcg", "bus_P3SXLcppjXgagmHS", "bus_P3SXLcppjXgagmHSVaH3N", "bus_test"}

func newSampleSite(t *testing.T, open opener, now time.Time) *site {
	t.Helper()
	return newSite(t, func(set *setting) {
		set.products, set.store, set.now = sampleProducts, open, now
		set.businesses = sampleBusinesses
		set.sold = []dodosim.Product{{ID: "pdt_e9mUw084cWnu0tz", Price: 400, Currency: "USD"}}
	})
}

// bindCustomer makes an account known as the customer in a payload: the account
// tries to buy something, by the address that the site's login vouches for, and
// its card is declined.
func (s *site) bindCustomer(account string, p payload) {
	s.t.Helper()
	customer, ok := p.data()["customer"].(map[string]any)
	if !ok {
		return
	}
	s.sim.HoldWebhooks(true)
	who := gateway.Identity{Account: account, Email: customer["email"].(string), EmailVerified: true}
	m := s.post("/payments/checkout", `{"product":"pack10"}`).as(who).do().json(201)
	attempt, err := s.sim.Pay(m["session_id"].(string), dodosim.CardDeclined)
	must(s.t, err)
	events := s.sim.Events()
	d, err := s.sim.Redeliver(s.t.Context(), events[len(events)-1].ID)
	must(s.t, err)
	declined := parse(s.t, string(d.Body))
	if declined["type"] != "payment.failed" || declined.data()["payment_id"] != attempt.PaymentID || d.Status != 200 {
		s.t.Fatal(declined, d.Status)
	}
	declined["business_id"] = p["business_id"]
	declined.data()["customer"].(map[string]any)["customer_id"] = customer["customer_id"]
	s.signed("msg_declined", declined.String()).do().json(200)
	ref := entitlement.Ref{Kind: entitlement.KindCustomer, ID: customer["customer_id"].(string)}
	if owner, err := s.store.Owner(s.t.Context(), ref); err != nil || owner != account {
		s.t.Fatalf("%s is %q, %v", ref, owner, err)
	}
}

// seen is what an account sees, and what the journal says of an event.
func (s *site) seen(account, event string) string {
	s.t.Helper()
	e, err := s.store.Event(s.t.Context(), event)
	must(s.t, err)
	if e.State == book.EventReceived {
		s.t.Errorf("event %s is not settled", event)
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s", s.has(account), e.State, e.Reason))
}

// has is what an account sees.
func (s *site) has(account string) string {
	s.t.Helper()
	m := s.get("/payments/status").by(account).do().json(200)
	paid := map[any]string{true: "paid", false: "unpaid"}[m["has_paid"]]
	plans := strings.Trim(fmt.Sprint(m["plans"]), "[]") // the highest first
	if highest, _, _ := strings.Cut(plans, " "); cmp.Or(highest, "none") != m["plan"] {
		s.t.Errorf("the plan is %v, of %v", m["plan"], m["plans"])
	}
	seen := fmt.Sprintf("%v %v %v %s", m["credits"], strings.ReplaceAll(cmp.Or(plans, "none"), " ", ","), m["plan_status"], paid)
	for _, feature := range m["features"].([]any) {
		seen += fmt.Sprint(" ", feature)
	}
	return seen
}

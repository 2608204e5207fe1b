package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/bench/load"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// purchase is an order that will be paid.
type purchase struct {
	account, order, payment string
}

// purchases are n of them, over all accounts. Each series has ids of its own.
func (b *bench) purchases(series string, n int) []purchase {
	all := make([]purchase, n)
	for i := range all {
		// An order id is "ord_" and 22 characters of base64.
		name := fmt.Sprintf("%.8s%014d", series+"--------", i)
		all[i] = purchase{account: account(i % b.accounts), order: "ord_" + name, payment: "pay_" + name}
	}
	return all
}

// place stores the orders as a checkout does, so that the payments find them.
func place(ctx context.Context, s store.Client, orders []purchase) error {
	return all(len(orders), func(i int) error { return placeOne(ctx, s, orders[i]) })
}

func placeOne(ctx context.Context, s store.Client, p purchase) error {
	now := time.Now()
	order := book.Order{
		ID: p.order, Account: p.account, Product: productName, Quantity: 1, ReturnTo: "http://127.0.0.1/",
		Terms: map[string]entitlement.Terms{productID: {Credits: productGives}},
		State: book.OrderOpen, CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour),
	}
	if _, _, err := s.CreateOrder(ctx, order, book.Key{}); err != nil {
		return err
	}
	order.SessionID = "cks_" + p.order
	order.CheckoutURL = "http://127.0.0.1/" + order.SessionID
	return s.OpenOrder(ctx, order, book.Key{})
}

// signer makes the webhooks that tell of paid orders.
type signer struct {
	prover  *dodo.Prover
	webhook *standardwebhooks.Webhook
}

func newSigner() (*signer, error) {
	prover, err := dodo.NewProver([][]byte{dodo.DeriveKey(apiKey)})
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhookSecret, "whsec_"))
	if err != nil {
		return nil, err
	}
	webhook, err := standardwebhooks.NewWebhookRaw(key)
	return &signer{prover, webhook}, err
}

// deliveries are the webhooks for orders, signed now: they are good for five
// minutes.
func (s *signer) deliveries(addr, path string, paid []purchase) ([]load.Exchange, error) {
	all := make([]load.Exchange, len(paid))
	now := time.Now()
	for i, p := range paid {
		body, err := s.body(p)
		if err != nil {
			return nil, err
		}
		id := "evt_" + p.payment
		signature, err := s.webhook.Sign(id, now, body)
		if err != nil {
			return nil, err
		}
		all[i] = load.Exchange{Status: 200, Request: request(addr, "POST", path, "", body,
			"webhook-id: "+id, "webhook-timestamp: "+strconv.FormatInt(now.Unix(), 10), "webhook-signature: "+signature)}
	}
	return all, nil
}

// body is a payment.succeeded as Dodo sends it, with all the fields that nobody
// here reads.
func (s *signer) body(p purchase) ([]byte, error) {
	metadata, err := json.Marshal(s.prover.Metadata(dodo.Claim{Site: siteID, Order: p.order, Account: p.account, Product: productName}))
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, paidBody, p.payment, metadata), nil
}

const paidBody = `{"business_id":"bus_bench","type":"payment.succeeded","timestamp":"2026-01-02T03:04:06.182629Z","data":{` +
	`"payload_type":"Payment","business_id":"bus_bench","brand_id":"bus_bench","payment_id":"%[1]s",` +
	`"status":"succeeded","created_at":"2026-01-02T03:04:05.152232Z","updated_at":null,` +
	`"total_amount":500,"currency":"USD","tax":null,"settlement_amount":500,"settlement_currency":"USD","settlement_tax":null,` +
	`"billing":{"city":"New York","country":"US","state":"New York","street":"1 Main Street","zipcode":"10001"},` +
	`"card_holder_name":"John Doe","card_issuing_country":"GB","card_last_four":"4242","card_network":"VISA","card_type":"CREDIT",` +
	`"checkout_session_id":null,"custom_field_responses":null,` +
	`"customer":{"customer_id":"cus_bench","email":"test@example.com","metadata":{},"name":"Test user","phone_number":null},` +
	`"digital_products_delivered":false,"discount_id":null,"discounts":null,"disputes":[],"error_code":null,"error_message":null,` +
	`"invoice_id":"inv_bench","invoice_url":"https://api.dodopayments.com/invoices/payments/%[1]s","is_update_payment_method":false,` +
	`"metadata":%[2]s,"payment_link":"https://test.checkout.dodopayments.com/x","payment_method":"card","payment_method_id":null,` +
	`"payment_method_type":null,"payment_provider":"dodo","product_cart":[{"product_id":"` + productID + `","quantity":1}],` +
	`"refund_status":null,"refunds":[],"retry_attempt":0,"subscription_id":null}}`

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
	"github.com/dodogate/dodogate/bench/rig"
)

// order is what the provider was asked for: the metadata of a checkout, which comes back
// with the payment.
type order struct {
	account  string
	metadata json.RawMessage
}

// orders has a gateway sell n orders, over all accounts, and returns what the provider was
// asked for. The provider has the role [roleQuick]. Because the gateway makes the orders
// itself, older binaries can take part.
func (b *bench) orders(ctx context.Context, gateway, provider string, n int) ([]order, error) {
	wishes := make([]load.Exchange, n)
	for i := range wishes {
		wishes[i] = wish(gateway, i%b.accounts)
	}
	if _, err := b.once(ctx, gateway, wishes); err != nil {
		return nil, fmt.Errorf("checkouts: %w", err)
	}
	text, err := rig.Get("http://" + provider + "/checkouts/metadata")
	if err != nil {
		return nil, err
	}
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	if len(all) != n {
		return nil, fmt.Errorf("the provider was asked for %d checkouts instead of %d", len(all), n)
	}
	orders := make([]order, n)
	for i, metadata := range all {
		var m struct {
			Account string `json:"dodogate_account"`
		}
		if err := json.Unmarshal(metadata, &m); err != nil {
			return nil, err
		}
		orders[i] = order{m.Account, metadata}
	}
	return orders, nil
}

// wish asks a gateway for a checkout.
func wish(gateway string, n int) load.Exchange {
	return load.Exchange{Status: 201, Prefix: []byte(`{"order_id":"ord_`),
		Request: request(gateway, "POST", "/payments/checkout", account(n), []byte(`{"product":"`+productName+`"}`))}
}

// withoutGateway are n orders that no gateway has seen, with metadata of the same length.
func (b *bench) withoutGateway(n int) []order {
	orders := make([]order, n)
	for i := range orders {
		user := account(i % b.accounts)
		orders[i] = order{user, fmt.Appendf(nil, `{"dodogate_account":%q,"dodogate_order":"ord_%022d","dodogate_product":%q,"dodogate_proof":"%043d","dodogate_site":%q}`,
			user, i, productName, i, siteID)}
	}
	return orders
}

// signer makes the webhooks that tell of paid orders.
type signer struct{ webhook *standardwebhooks.Webhook }

func newSigner() (*signer, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhookSecret, "whsec_"))
	if err != nil {
		return nil, err
	}
	webhook, err := standardwebhooks.NewWebhookRaw(key)
	return &signer{webhook}, err
}

// deliveries are the webhooks for orders, signed now: they are good for five
// minutes. The payments are numbered from first.
func (s *signer) deliveries(addr, path string, paid []order, first int) ([]load.Exchange, error) {
	all := make([]load.Exchange, len(paid))
	now := time.Now()
	for i, o := range paid {
		payment := fmt.Sprintf("pay_%022d", first+i)
		body := fmt.Appendf(nil, paidBody, payment, o.metadata) // with all the fields that Dodo sends and nobody here reads
		id := "evt_" + payment
		signature, err := s.webhook.Sign(id, now, body)
		if err != nil {
			return nil, err
		}
		all[i] = load.Exchange{Status: 200, Request: request(addr, "POST", path, "", body,
			"webhook-id: "+id, "webhook-timestamp: "+strconv.FormatInt(now.Unix(), 10), "webhook-signature: "+signature)}
	}
	return all, nil
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

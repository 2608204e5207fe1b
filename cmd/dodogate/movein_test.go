package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/internal/testing/pgtest"
)

// oldCustomers is a database with 10,000 users of each of the two hand-written
// integrations, as those made their tables.
func oldCustomers(t *testing.T) string {
	url := pgtest.Start(t)
	pgtest.Exec(t, url, `
CREATE TABLE profiles(id text PRIMARY KEY, full_name text, credits integer DEFAULT 3, dodo_customer_id text);
INSERT INTO profiles SELECT 'user_' || n, 'User ' || n, n % 50, CASE WHEN n % 2 = 0 THEN 'cus_' || n END FROM generate_series(1, 10000) n;
CREATE TABLE credit_purchases(id serial, user_id text, credits_purchased integer, amount_paid decimal(10,2), payment_id text UNIQUE, purchase_date timestamptz);
INSERT INTO credit_purchases(user_id, credits_purchased, amount_paid, payment_id, purchase_date)
	SELECT 'user_' || n, 10, 5.00, 'pay_' || n, now() - interval '40 days' FROM generate_series(1, 10000, 4) n;
CREATE TABLE users(id serial PRIMARY KEY, email text UNIQUE, has_paid boolean DEFAULT false, payment_date timestamp, dodo_payment_id text,
	subscription_plan text DEFAULT 'none', plan_expires_at timestamp, dodo_subscription_id text);
INSERT INTO users(email, has_paid, payment_date, dodo_payment_id, subscription_plan, plan_expires_at, dodo_subscription_id)
	SELECT 'u' || n || '@example.com', n % 3 = 0, CASE WHEN n % 3 = 0 THEN timestamp '2026-01-01' END, CASE WHEN n % 3 = 0 THEN 'pay_f' || n END,
	CASE n % 3 WHEN 0 THEN 'monthly' WHEN 1 THEN 'pending_monthly' ELSE 'none' END,
	CASE WHEN n % 3 = 0 THEN timestamp '2150-01-31' END, CASE WHEN n % 3 = 0 THEN 'sub_' || n END FROM generate_series(1, 10000) n;`)
	return url
}

// webhook sends what Dodo would.
func (o *office) webhook(ts *testscript.TestScript, id, file string) {
	now := time.Now()
	body := strings.NewReplacer("@NOW@", now.UTC().Format(time.RFC3339), "@IN30D@", now.Add(30*24*time.Hour).UTC().Format(time.RFC3339)).
		Replace(ts.ReadFile(file))
	signer, err := standardwebhooks.NewWebhook(demoSecret)
	ts.Check(err)
	signature, err := signer.Sign(id, now, []byte(body))
	ts.Check(err)
	req, err := http.NewRequest(http.MethodPost, "http://"+o.site+"/payments/webhook", strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signature)
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	ts.Check(err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("webhook: %s", resp.Status)
	}
}

// request asks the site as somebody.
func (o *office) request(ts *testscript.TestScript, account string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+o.site+"/", nil)
	ts.Check(err)
	req.Header.Set("X-Test-User", account)
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, err = ts.Stdout().Write(append(body, '\n'))
	ts.Check(err)
}

// A shop that is built with Dodo's npm SDK, with nothing changed but the base URL, goes
// through all that it can go through. Usage: node story.mjs <base URL> <API key>
//
// What no SDK can do, others do for it: the script prints {"do": "pay", …} and waits for a
// line with what came of it. See TestJavaScriptStory. At its end it prints {"done": …}.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import DodoPayments from "dodopayments";
import { Recorder } from "./recorder.mjs";

const [baseURL, bearerToken] = process.argv.slice(2);
const client = new DodoPayments({ baseURL, bearerToken, maxRetries: 0 });
const recorder = new Recorder(client);
const call = recorder.call.bind(recorder);

const replies = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function ask(what) {
  console.log(JSON.stringify(what));
  return JSON.parse((await replies.next()).value);
}

// The shop's webhook endpoint, which knows an event only by the SDK's unwrap.
const events = [];
let key;
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const event = client.webhooks.unwrap(Buffer.concat(chunks).toString("utf8"), { headers: request.headers, key });
  events.push(event);
  // documented apart from the object, or in the long form of disputes only
  const { payload_type, ...data } = event.data;
  if (event.type.startsWith("dispute.")) ["brand_id", "customer", "payment_provider", "reason"].forEach((name) => delete data[name]);
  recorder.keep(event.type, 'ReturnType<DodoPayments["webhooks"]["unwrap"]>', { ...event, data });
  response.writeHead(204).end();
});
server.listen(0, "127.0.0.1");
await once(server, "listening");

// got is the types of the events since the last time, in alphabetical order: they overtake
// each other.
const got = () => events.splice(0).map((event) => event.type).sort();

const endpoint = await call("webhooks.create", { url: `http://127.0.0.1:${server.address().port}/hook`, metadata: { of: "story" } });
({ secret: key } = await call("webhooks.retrieveSecret", endpoint.id));
await call("webhooks.headers.update", endpoint.id, { headers: { "X-Shop": "story" } });
assert.equal((await call("webhooks.headers.retrieve", endpoint.id)).headers["X-Shop"], "story");
await call("webhooks.update", endpoint.id, { description: "the story's" });
assert.equal((await call("webhooks.list")).data.length, 1);

// The catalog has each kind of price.
const products = await call("products.list", { page_number: 0, page_size: 100 });
const kinds = new Set();
for (const { product_id } of products.items) {
  kinds.add((await call("products.retrieve", product_id)).price.type);
}
assert.deepEqual([...kinds].sort(), ["one_time_price", "recurring_price", "usage_based_price"]);

// Checkout, payment, webhook.
const ada = await call("customers.create", { email: "ada@example.com", name: "Ada" });
await call("customers.update", ada.customer_id, { phone_number: "+49123", metadata: { tier: "gold" } });
assert.equal((await call("customers.retrieve", ada.customer_id)).metadata.tier, "gold");
assert.equal((await call("customers.list", { email: "ada@example.com", page_number: 0 })).items.length, 1);
const coupon = await call("discounts.create", { type: "percentage", amount: 2000, code: "fifth" });
assert.equal((await call("discounts.retrieveByCode", "FIFTH")).discount_id, coupon.discount_id);
await call("discounts.update", coupon.discount_id, { usage_limit: 5 });
await call("discounts.retrieve", coupon.discount_id);
const cart = {
  product_cart: [{ product_id: "pdt_kit", quantity: 2 }],
  customer: { customer_id: ada.customer_id },
  discount_codes: ["FIFTH"],
  metadata: { order_id: "ord_1" },
  return_url: "https://shop.example/back",
};
assert.equal((await call("checkoutSessions.preview", cart)).total_price, 7840);
const session = await call("checkoutSessions.create", cart);
assert.ok(session.checkout_url.startsWith(baseURL));
assert.equal((await call("checkoutSessions.retrieve", session.session_id)).payment_status, null);
assert.equal((await ask({ do: "pay", session: session.session_id, card: "4000000000000002" })).status, "failed");
const bought = await ask({ do: "pay", session: session.session_id });
assert.equal((await call("checkoutSessions.retrieve", session.session_id)).payment_status, "succeeded");
const payment = await call("payments.retrieve", bought.payment_id);
assert.equal(payment.total_amount, 7840);
assert.equal(payment.metadata.order_id, "ord_1");
assert.equal(payment.checkout_session_id, session.session_id);
assert.deepEqual(got(), [
  "credit.added", "entitlement_grant.created", "entitlement_grant.created", "entitlement_grant.created", "entitlement_grant.created",
  "entitlement_grant.delivered", "entitlement_grant.delivered", "entitlement_grant.delivered", "license_key.created", "payment.failed", "payment.succeeded",
]);

// A subscription, its renewal, and all that can be done to it.
const monthly = await call("checkoutSessions.create", { product_cart: [{ product_id: "pdt_studio", quantity: 1 }], customer: { email: "bob@example.com" } });
const { subscription_id } = await ask({ do: "pay", session: monthly.session_id, card: "4000000000000341" });
const started = await call("subscriptions.retrieve", subscription_id);
assert.equal(started.status, "active");
assert.deepEqual(got(), ["credit.added", "payment.succeeded", "subscription.active", "subscription.renewed", "subscription.updated"]);
await call("subscriptions.update", subscription_id, { next_billing_date: started.next_billing_date, metadata: { seat: "7" } });
const link = await call("subscriptions.updatePaymentMethod", subscription_id, { payment_method: { type: "new", return_url: "https://shop.example/card" } });
assert.equal((await ask({ do: "pay", session: link.payment_id })).status, "succeeded");
got();
await ask({ do: "advance", days: 31 });
const renewed = got();
assert.ok(renewed.includes("payment.succeeded") && renewed.includes("subscription.renewed"), renewed);
const sub = await call("subscriptions.retrieve", subscription_id);
assert.equal(sub.previous_billing_date, started.next_billing_date);
const usage = await call("subscriptions.retrieveCreditUsage", subscription_id);
assert.equal(usage.items[0].credit_entitlement_name, "Pictures");
const plan = { product_id: "pdt_team", quantity: 3, proration_billing_mode: "difference_immediately" };
const preview = await call("subscriptions.previewChangePlan", subscription_id, plan);
await call("subscriptions.changePlan", subscription_id, plan);
const changed = await call("subscriptions.retrieve", subscription_id);
assert.equal(changed.product_id, "pdt_team");
const charges = await call("payments.list", { subscription_id, page_number: 0 });
assert.equal(charges.items[0].total_amount, preview.immediate_charge.summary.total_amount);
await ask({ do: "flush" });
assert.ok(got().includes("subscription.plan_changed"));
const later = { product_id: "pdt_pro", quantity: 1, proration_billing_mode: "full_immediately", effective_at: "next_billing_date" };
await call("subscriptions.changePlan", subscription_id, later);
assert.equal((await call("subscriptions.retrieve", subscription_id)).scheduled_change.product_id, "pdt_pro");
await assert.rejects(call("subscriptions.changePlan", subscription_id, later), DodoPayments.ConflictError);
await call("subscriptions.cancelChangePlan", subscription_id);
for (const status of ["paused", "active"]) {
  assert.equal((await call("subscriptions.update", subscription_id, { status })).status, status);
}
assert.equal((await call("subscriptions.update", subscription_id, { cancel_at_next_billing_date: true })).status, "active");
await ask({ do: "advance", days: 31 });
assert.equal((await call("subscriptions.retrieve", subscription_id)).status, "cancelled");
assert.ok(got().includes("subscription.cancelled"));
assert.equal((await call("subscriptions.list", { status: "cancelled", page_number: 0 })).items.length, 1);

// On demand.
const mandate = await call("checkoutSessions.create", {
  product_cart: [{ product_id: "pdt_pro", quantity: 1 }],
  customer: { customer_id: ada.customer_id },
  subscription_data: { on_demand: { mandate_only: true } },
});
const demand = await ask({ do: "pay", session: mandate.session_id });
const { payment_id: charged } = await call("subscriptions.charge", demand.subscription_id, { product_price: 1234 });
assert.equal((await call("payments.retrieve", charged)).total_amount, 1234);
assert.equal((await call("customers.retrievePaymentMethods", ada.customer_id)).items.length, 1);

// A subscription without a checkout, with add-ons.
const seat = await call("addons.create", { name: "Seat", price: 500, currency: "USD", tax_category: "saas" });
await call("addons.update", seat.id, { price: 600 });
assert.equal((await call("addons.retrieve", seat.id)).price, 600);
assert.ok((await call("addons.list", { page_number: 0 })).items.some((item) => item.id === seat.id));
const legacy = await call("subscriptions.create", {
  product_id: "pdt_pro", quantity: 1, addons: [{ addon_id: seat.id, quantity: 2 }],
  billing: { country: "IN" }, customer: { email: "cleo@example.com", name: "Cleo" }, payment_link: true, metadata: { order_id: "ord_2" },
});
assert.equal((await call("subscriptions.retrieve", legacy.subscription_id)).status, "pending");
assert.equal((await ask({ do: "pay", session: legacy.payment_id, card: "4576238912771450" })).subscription_id, legacy.subscription_id);
const seated = await call("subscriptions.retrieve", legacy.subscription_id);
assert.deepEqual([seated.status, seated.addons, seated.recurring_pre_tax_amount], ["active", [{ addon_id: seat.id, quantity: 2 }], 3200]);
const tomorrow = new Date(Date.parse(seated.previous_billing_date) + 24 * 3600 * 1000).toISOString();
await call("subscriptions.update", legacy.subscription_id, { next_billing_date: tomorrow });
await ask({ do: "advance", days: 2 });
assert.equal((await call("payments.list", { subscription_id: legacy.subscription_id, page_number: 0 })).items[0].status, "processing");
await ask({ do: "advance", days: 2 });
assert.equal((await call("payments.list", { subscription_id: legacy.subscription_id, page_number: 0 })).items[0].status, "succeeded");
const bare = { product_id: "pdt_pro", quantity: 1, proration_billing_mode: "do_not_bill" };
await call("subscriptions.previewChangePlan", legacy.subscription_id, { ...bare, proration_billing_mode: "full_immediately", addons: [{ addon_id: seat.id, quantity: 4 }] });
await call("subscriptions.changePlan", legacy.subscription_id, bare);
assert.deepEqual((await call("subscriptions.retrieve", legacy.subscription_id)).addons, []);
await call("subscriptions.update", legacy.subscription_id, { status: "cancelled" });

// Usage, counted and charged.
const metered = await call("checkoutSessions.create", { product_cart: [{ product_id: "pdt_api", quantity: 1 }], customer: { customer_id: ada.customer_id } });
const api = await ask({ do: "pay", session: metered.session_id });
const calls = Array.from({ length: 14 }, (_, i) => ({ event_id: `call_${i}`, customer_id: ada.customer_id, event_name: "call" }));
assert.equal((await call("usageEvents.ingest", { events: calls })).ingested_count, 14);
await call("usageEvents.retrieve", "call_3");
const [meter] = (await call("meters.list", { page_number: 0 })).items;
await call("meters.retrieve", meter.id);
assert.equal((await call("usageEvents.list", { meter_id: meter.id, page_number: 0, page_size: 100 })).items.length, 14);
await ask({ do: "advance", days: 31 });
assert.equal((await call("payments.list", { subscription_id: api.subscription_id, page_number: 0 })).items[0].total_amount, 2);

// A payment without a checkout, and refunds.
const direct = await call("payments.create", {
  billing: { country: "US" }, customer: { customer_id: ada.customer_id }, payment_link: true, product_cart: [{ product_id: "pdt_book", quantity: 1 }],
});
await ask({ do: "pay", session: direct.payment_id });
const lines = await call("payments.retrieveLineItems", direct.payment_id);
const refund = await call("refunds.create", { payment_id: direct.payment_id, items: [{ item_id: lines.items[0].items_id, amount: 500 }], reason: "a stain" });
assert.equal((await call("refunds.retrieve", refund.refund_id)).is_partial, true);
assert.equal((await call("refunds.list", { page_number: 0 })).items.length, 1);
got();
await call("refunds.create", { payment_id: direct.payment_id });
await ask({ do: "flush" });
assert.deepEqual(got(), ["refund.succeeded"]);
assert.equal((await call("payments.retrieve", direct.payment_id)).refund_status, "full");
await assert.rejects(call("refunds.create", { payment_id: direct.payment_id }), DodoPayments.BadRequestError);

// Disputes.
const { dispute_id } = await ask({ do: "dispute", payment: bought.payment_id });
assert.equal((await call("disputes.retrieve", dispute_id)).dispute_status, "dispute_opened");
await ask({ do: "lose", dispute: dispute_id });
assert.equal((await call("disputes.list", { page_number: 0 })).items[0].dispute_status, "dispute_lost");
assert.deepEqual(got(), ["dispute.lost", "dispute.opened"]);

// What the customer has.
const portal = await call("customers.customerPortal.create", ada.customer_id, { return_url: "https://shop.example/account" });
const page = await fetch(portal.link);
assert.equal(page.status, 200);
assert.match(page.headers.get("content-type"), /text\/html/);
await call("customers.listCreditEntitlements", ada.customer_id);
await call("customers.listEntitlements", ada.customer_id);
await call("customers.listEntitlementGrants", ada.customer_id, { page_number: 0 });
await call("customers.wallets.ledgerEntries.create", ada.customer_id, { amount: 700, currency: "USD", entry_type: "credit", reason: "sorry" });
await call("customers.wallets.ledgerEntries.list", ada.customer_id, { page_number: 0 });
assert.equal((await call("customers.wallets.list", ada.customer_id)).total_balance_usd, 700);

// Entitlements, licences and credits.
const flags = await call("entitlements.list", { page_number: 0, page_size: 100 });
const github = flags.items.find((item) => item.integration_type === "github");
await call("entitlements.retrieve", github.id);
const [grant] = (await call("entitlements.grants.list", github.id, { page_number: 0 })).items;
assert.equal((await call("entitlements.grants.revoke", grant.id, { id: github.id })).status, "Revoked");
const [license] = (await call("licenseKeys.list", { page_number: 0 })).items;
await call("licenseKeys.retrieve", license.id);
await call("licenseKeys.update", license.id, { activations_limit: 5 });
await call("licenseKeys.create", { key: "OWN-KEY", customer_id: ada.customer_id, product_id: "pdt_kit" });
const instance = await call("licenses.activate", { license_key: license.key, name: "laptop" });
assert.equal((await call("licenses.validate", { license_key: license.key, license_key_instance_id: instance.id })).valid, true);
await call("licenseKeyInstances.list", { page_number: 0 });
await call("licenseKeyInstances.retrieve", instance.id);
await call("licenseKeyInstances.update", instance.id, { name: "desktop" });
await call("licenses.deactivate", { license_key: license.key, license_key_instance_id: instance.id });
const credit = await call("creditEntitlements.create", { name: "Minutes", unit: "minute", precision: 1, overage_enabled: false, rollover_enabled: false });
await call("creditEntitlements.update", credit.id, { unit: "min" });
await call("creditEntitlements.retrieve", credit.id);
await call("creditEntitlements.list", { page_number: 0 });
const entry = { credit_entitlement_id: credit.id, entry_type: "credit", amount: "2.5", idempotency_key: "once" };
await call("creditEntitlements.balances.createLedgerEntry", ada.customer_id, entry);
await assert.rejects(call("creditEntitlements.balances.createLedgerEntry", ada.customer_id, entry), DodoPayments.ConflictError);
assert.equal((await call("creditEntitlements.balances.retrieve", ada.customer_id, { credit_entitlement_id: credit.id })).balance, "2.5");
await call("creditEntitlements.balances.list", credit.id, { page_number: 0 });
await call("creditEntitlements.balances.listGrants", ada.customer_id, { credit_entitlement_id: credit.id, page_number: 0 });
await call("creditEntitlements.balances.listLedger", ada.customer_id, { credit_entitlement_id: credit.id, page_number: 0 });
await call("creditEntitlements.delete", credit.id);
await call("creditEntitlements.undelete", credit.id);
await call("discounts.list", { page_number: 0 });
await call("discounts.delete", coupon.discount_id);

// The SDK tells refusals apart.
await assert.rejects(call("payments.retrieve", "pay_0"), DodoPayments.NotFoundError);
await assert.rejects(call("checkoutSessions.create", { product_cart: [] }), DodoPayments.UnprocessableEntityError);
await assert.rejects(new DodoPayments({ baseURL, bearerToken: "wrong", maxRetries: 0 }).products.list(), DodoPayments.AuthenticationError);

await ask({ do: "flush" });
await call("webhooks.retrieve", endpoint.id);
await call("webhooks.delete", endpoint.id);
server.close();
assert.deepEqual(recorder.mismatches(), []);

// The comparison with types can fail.
const { total_amount, ...lacking } = payment;
const doubtful = new Recorder(client);
for (const spoilt of [lacking, { ...payment, currency: "XXX" }, { ...payment, total_amonut: 5 }, null]) {
  doubtful.keep("spoilt", 'Awaited<ReturnType<DodoPayments["payments"]["retrieve"]>>', spoilt);
}
const found = doubtful.mismatches();
assert.equal(found.length, 4);
[/'total_amount' is missing/, /"XXX"/, /"total_amonut"' does not exist/, /undefined/].forEach((wanted, i) => assert.match(found[i], wanted));
console.log(JSON.stringify({ done: recorder.count }));
process.exit(0);

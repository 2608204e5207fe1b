// Shows webhooks to Dodo's own JavaScript packages, as a shop that is built with them would.
// Each line of standard input is {"secret": "whsec_…", "headers": {…}, "body": "…"}; the line
// printed for it is a list of what they find wrong with it, each as "<field>: <why>".
import { createInterface } from "node:readline";
import * as schemas from "@dodopayments/core/schemas";
import { verifyWebhookPayload } from "@dodopayments/core/webhook";
import DodoPayments from "dodopayments";
import { Webhook } from "standardwebhooks";

const client = new DodoPayments({ bearerToken: "unused", environment: "test_mode" });

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await faults(JSON.parse(line))));
}

async function faults({ secret, headers, body }) {
  const found = [];
  const attempt = async (name, check) => {
    try {
      await check();
    } catch (err) {
      found.push(`${name}: ${err.message}`);
    }
  };
  await attempt("standardwebhooks", () => new Webhook(secret).verify(body, headers));
  await attempt("dodopayments", () => client.webhooks.unwrap(body, { headers, key: secret }));
  const event = JSON.parse(body);
  const known = schemas[`${camel(event.type)}PayloadSchema`];
  for (const issue of known?.safeParse(event).error?.issues ?? []) {
    found.push(`${issue.path.join(".")}: ${issue.code} ${issue.received}`);
  }
  // The package's own entry point has to agree, also about types that it does not know.
  if (found.length === 0) {
    await attempt("@dodopayments/core", () => verifyWebhookPayload({ webhookKey: secret, headers, body }));
  }
  return found;
}

// camel is payment.succeeded as PaymentSucceeded.
function camel(type) {
  return type.split(/[._]/).map((word) => word[0].toUpperCase() + word.slice(1)).join("");
}

// Signs webhooks with the reference JavaScript library. Each line of standard input is
// {"secret": "whsec_…", "id": "…", "timestamp": <seconds>, "payload": "…"}; the line printed
// for it is the webhook-signature header.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, id, timestamp, payload } = JSON.parse(line);
  console.log(new Webhook(secret).sign(id, new Date(timestamp * 1000), payload));
}

// Signs events with Stripe's SDK for Node and posts them; reads its orders as JSON on stdin and
// prints the status and body of each answer as JSON. An order is { event, secret, ageSeconds,
// tamper }: the last two spoil what is sent.

import { text } from "node:stream/consumers";

import Stripe from "stripe";

const { url, orders } = JSON.parse(await text(process.stdin));
const stripe = new Stripe("sk_test_never_sent");
const answers = [];

for (const { event, secret, ageSeconds = 0, tamper = false } of orders) {
  const payload = JSON.stringify(event, null, 2);
  const timestamp = Math.floor(Date.now() / 1000) - ageSeconds;
  const header = stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json; charset=utf-8", "Stripe-Signature": header },
    body: tamper ? `${payload} ` : payload,
    signal: AbortSignal.timeout(10_000),
  });
  answers.push({ status: answer.status, body: await answer.json() });
}

console.log(JSON.stringify(answers));

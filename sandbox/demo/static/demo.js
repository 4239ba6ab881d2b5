// The shop: who is signed in, what they can buy, what they have, and what came of a purchase.

import { ApiError, clientFor, freshKey } from "./api.js";
import * as draw from "./draw.js";
import { listen } from "./stream.js";

const RETRY_MILLISECONDS = 2000;
const WAIT_FIRST_MILLISECONDS = 400;
const WAIT_GROWS = 1.4;
const WAIT_MAX_MILLISECONDS = 5000;
const SHOWN = 8;
const RETURN_TO = `${location.origin}/demo/`;

const at = (id) => document.getElementById(id);
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

let client = clientFor(localStorage.getItem("demo user") || "demo");
let catalogue = [];
let names = new Map();
let had = [];
let stopListening = () => {};
let askNow = () => {};
const drawn = new Map();

function complain(error) {
  if (!(error instanceof ApiError)) console.error(error);
  at("problem").textContent = error.message;
  at("problem").hidden = false;
}

function content() {
  at("problem").hidden = true;
}

/** Run what a button stands for; the button rests meanwhile, and an error is shown. */
async function act(button, work) {
  button.disabled = true;
  content();
  try {
    await work();
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

/** Draw into a list, but only what has changed: focus and selection stay where they are. */
function place(id, value, make) {
  const text = JSON.stringify(value);
  if (drawn.get(id) === text) return;
  drawn.set(id, text);
  at(id).replaceChildren(...make(value));
}

function showBalance(balance) {
  const text = draw.count(balance);
  const figure = at("balance");
  if (figure.textContent === text) return;
  const first = figure.textContent === "–";
  figure.textContent = text;
  if (first) return;
  figure.classList.remove("changed");
  requestAnimationFrame(() => figure.classList.add("changed"));
}

async function refresh() {
  const asked = client;
  const [tokens, ledger, subscriptions, payments] = await Promise.all([
    asked.get("/billing/tokens/"),
    asked.get(`/billing/tokens/ledger/?limit=${SHOWN}`),
    asked.get(`/billing/subscriptions/?limit=${SHOWN}`),
    asked.get(`/billing/payments/?limit=${SHOWN}`),
  ]);
  if (asked !== client) return;
  showBalance(tokens.balance);
  place("ledger", ledger.items, draw.ledger);
  had = subscriptions.items.filter((item) => item.is_active).map((item) => item.plan_id);
  showPlans();
  place("subscriptions", subscriptions.items, (items) => draw.subscriptions(items, names));
  place("payments", payments.items, (items) => draw.payments(items, names));
}

let asking = null;
let isStale = false;

/** Ask for everything; once more where a change came while it was asked for. */
async function freshen() {
  isStale = true;
  asking ??= refreshOften();
  try {
    await asking;
    if (at("problem").dataset.from === "refresh") content();
    at("problem").dataset.from = "";
  } catch (error) {
    complain(error);
    at("problem").dataset.from = "refresh";
    setTimeout(freshen, RETRY_MILLISECONDS);
  }
}

async function refreshOften() {
  try {
    while (isStale) {
      isStale = false;
      await refresh();
    }
  } finally {
    asking = null;
  }
}

const STREAM = {
  connecting: ["", "connecting"],
  live: ["good", "live"],
  delayed: ["warn", "told late"],
  polling: ["warn", "asking every 2 s"],
};

/** Hear of this user's changes; what a message does not carry, such as the ledger, is asked for. */
function follow() {
  stopListening();
  stopListening = listen(client, {
    refresh: freshen,
    hear: (message) => {
      if (message.type.startsWith("tokens.")) showBalance(message.data.balance);
      askNow();
      freshen();
    },
    show: (status) => {
      const [tone, text] = STREAM[status];
      at("stream").dataset.status = status;
      at("stream").className = `tag ${tone}`;
      at("stream").textContent = text;
    },
  });
}

/** Every page of a list: a catalogue may be longer than one. */
async function all(path) {
  const items = [];
  let cursor = null;
  do {
    const answer = await client.get(cursor ? `${path}?cursor=${encodeURIComponent(cursor)}` : path);
    items.push(...answer.items);
    cursor = answer.next_cursor;
  } while (cursor);
  return items;
}

/** The plans as they are sold in the chosen currency. */
function showPlans() {
  const currency = at("currency").value;
  const sold = catalogue.filter((plan) => currency in plan.prices);
  const priced = sold.map((plan) => ({ ...plan, currency, amount: plan.prices[currency] }));
  const full = catalogue.filter((plan) => plan.plan_type === "full").map((plan) => plan.id);
  const hasPlan = had.some((id) => full.includes(id));
  place("plans", [priced, had], () => draw.plans(priced, had, hasPlan, buy, changePlan));
}

async function openShop() {
  const [full, packages, config] = await Promise.all([
    all("/billing/plans/full/"),
    all("/billing/plans/token/"),
    client.get("/billing/config/"),
  ]);
  catalogue = [...full, ...packages];
  names = new Map(catalogue.map((plan) => [plan.id, plan.name]));
  const currencies = [...new Set(catalogue.flatMap((plan) => Object.keys(plan.prices)))].sort();
  const options = currencies.map((code) => draw.el("option", { value: code }, code.toUpperCase()));
  at("currency").replaceChildren(...options);
  const kept = localStorage.getItem("demo currency");
  at("currency").value = [kept, config.currency].find((code) => currencies.includes(code)) || "";
  showPlans();
}

function buy(plan, button) {
  return act(button, async () => {
    const session = await client.post("/billing/stripe/checkout-session/", {
      plan_type: plan.plan_type,
      plan_id: plan.id,
      currency: plan.currency,
      success_url: `${RETURN_TO}?session_id={CHECKOUT_SESSION_ID}`,
      cancel_url: `${RETURN_TO}?canceled=yes`,
    });
    location.assign(session.url);
    // The button rests until the other page is there.
    await pause(WAIT_MAX_MILLISECONDS);
  });
}

/** The portal, where plans are switched; `flow` leads straight to a task in it. */
function openPortal(button, flow) {
  return act(button, async () => {
    const wanted = { return_url: RETURN_TO, ...(flow && { flow }) };
    const portal = await client.post("/billing/stripe/customer-portal/", wanted);
    location.assign(portal.url);
    await pause(WAIT_MAX_MILLISECONDS);
  });
}

const manage = (button) => openPortal(button);
const changePlan = (button) => openPortal(button, "update");

function spend(button) {
  return act(button, async () => {
    const amount = at("amount").valueAsNumber;
    const body = { amount, reason: "Spent on the demo page" };
    await client.post("/billing/tokens/debit/", body, { "Idempotency-Key": freshKey() });
    await freshen();
  });
}

const TOLD = {
  open: ["waiting", "Waiting for the payment…"],
  processing: ["waiting", "Processing: your payment is on its way. This page will tell."],
  failed: ["bad", "The payment failed, and nothing was charged. Please try again."],
  expired: ["warn", "The checkout page expired, and nothing was charged."],
};

function tell(state, kind, text) {
  const box = at("purchase");
  box.dataset.state = state;
  box.className = `notice purchase ${kind}`;
  box.textContent = text;
  box.hidden = false;
}

function thanks(session) {
  const plan = names.get(session.plan_id) || "Your purchase";
  const tokens = session.tokens_granted
    ? `${draw.count(session.tokens_granted)} tokens are yours.`
    : "It is yours now.";
  return `${plan} is complete. ${tokens}`;
}

/** A pause that a change cuts short. */
const pauseForChange = (milliseconds) =>
  Promise.race([pause(milliseconds), new Promise((done) => (askNow = done))]);

/**
 * Ask when something has changed, and at growing intervals, until the purchase has taken effect or
 * cannot any more.
 */
async function waitFor(sessionId) {
  tell("waiting", "waiting", "Welcome back. Checking your payment…");
  // Where the eye is, the keyboard and a screen reader shall be too.
  at("purchase").focus({ preventScroll: true });
  let wait = WAIT_FIRST_MILLISECONDS;
  for (;;) {
    const path = `/billing/stripe/checkout-session/${encodeURIComponent(sessionId)}/`;
    const session = await client.get(path);
    if (session.status === "complete") {
      tell("complete", "", thanks(session));
      break;
    }
    const [kind, text] = TOLD[session.status] || TOLD.processing;
    tell(session.status, kind, text);
    if (kind !== "waiting") break;
    await pauseForChange(wait);
    wait = Math.min(wait * WAIT_GROWS, WAIT_MAX_MILLISECONDS);
  }
  // What is over is not told again when the page is loaded anew.
  history.replaceState(null, "", RETURN_TO);
  await freshen();
}

async function comeBack() {
  const query = new URLSearchParams(location.search);
  const sessionId = query.get("session_id");
  if (sessionId) {
    await waitFor(sessionId);
  } else if (query.has("canceled")) {
    tell("canceled", "warn", "You came back without paying, and nothing was charged.");
    history.replaceState(null, "", RETURN_TO);
  }
}

at("user").value = client.user;
at("who").addEventListener("submit", (event) => {
  event.preventDefault();
  client = clientFor(at("user").value.trim());
  localStorage.setItem("demo user", client.user);
  at("purchase").hidden = true;
  at("balance").textContent = "–";
  content();
  follow();
});
at("spend").addEventListener("submit", (event) => {
  event.preventDefault();
  spend(event.submitter || at("spend").querySelector("button"));
});
at("manage").addEventListener("click", (event) => manage(event.currentTarget));
// The browser's own way back shows the page as it was left, with buttons at rest.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());

at("currency").addEventListener("change", () => {
  localStorage.setItem("demo currency", at("currency").value);
  showPlans();
});
try {
  await openShop();
} catch (error) {
  complain(error);
}
follow();
comeBack().catch(complain);

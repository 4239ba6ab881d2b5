// Draws what the API answered. Nothing here asks for anything, and no text is taken for markup.

/** An element with attributes and children; text stays text. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const numbers = new Intl.NumberFormat("en");
export const count = (number) => numbers.format(number);

// How many of Stripe's minor units a unit has, as a power of ten; of every other currency it is 2,
// whatever people write: https://docs.stripe.com/currencies.
const NO_DECIMALS = new Set(
  "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "),
);
const THREE_DECIMALS = new Set("bhd jod kwd omr tnd".split(" "));

/** An amount in minor units, with as many decimals as people write in its currency. */
export function money(minor, currency) {
  const digits = NO_DECIMALS.has(currency) ? 0 : THREE_DECIMALS.has(currency) ? 3 : 2;
  return new Intl.NumberFormat("en", { style: "currency", currency }).format(minor / 10 ** digits);
}

/** A text whose long ids are cut in the middle: they tell one from another, no more. */
const shortened = (text) =>
  text.replace(/\b[a-z]{2,5}_\w{12,}/g, (id) => `${id.slice(0, 8)}…${id.slice(-4)}`);

const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const minutes = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const day = (iso) => (iso ? days.format(new Date(iso)) : "–");
const minute = (iso) => minutes.format(new Date(iso));

const TONES = {
  active: "good",
  trialing: "good",
  past_due: "bad",
  unpaid: "bad",
  paid: "good",
  failed: "bad",
  disputed: "bad",
  pending: "warn",
  partially_refunded: "warn",
};
const tag = (word) =>
  el("span", { class: `tag ${TONES[word] || ""}` }, word.replaceAll("_", " "));

function line(what, under, figures, underFigures) {
  return el(
    "li",
    { class: "line" },
    el("div", { class: "what" }, ...what, el("div", { class: "small soft" }, under)),
    el(
      "div",
      { class: "figures number" },
      figures,
      underFigures && el("div", { class: "small soft" }, underFigures),
    ),
  );
}

const empty = (text) => el("li", { class: "empty" }, text);

/** What a plan's trial gives, in words; null where there is none. */
function trial(plan) {
  if (!plan.trial_days) return null;
  const tokens = plan.trial_tokens ? ` with ${count(plan.trial_tokens)} tokens` : "";
  const days = plan.trial_days === 1 ? "The first day is" : `The first ${plan.trial_days} days are`;
  return el("span", { class: "trial small" }, `${days} free${tokens}, once`);
}

/** What the button of a plan says: whoever has a full plan changes it, and buys no second one. */
function deed(plan, subscribes, hasPlan) {
  if (plan.plan_type !== "full") return subscribes ? "Subscribe" : "Buy";
  return hasPlan ? "Change plan" : "Choose";
}

/**
 * The plans of one currency, those in `had` marked. A button calls `buy` with its plan, or, where a
 * full plan is there already, `change`.
 */
export function plans(items, had, hasPlan, buy, change) {
  if (!items.length) return [empty("Nothing is sold in this currency. Load a catalogue first.")];
  return items.map((plan) => {
    const subscribes = plan.interval !== null && plan.interval !== undefined;
    const what = deed(plan, subscribes, hasPlan);
    const isHad = had.includes(plan.id);
    const period =
      plan.interval_count > 1 ? `${plan.interval_count} ${plan.interval}s` : plan.interval;
    const gives = `${count(plan.tokens)} tokens${subscribes ? ` every ${period}` : ""}`;
    return el(
      "li",
      { class: "sheet plan" },
      el(
        "div",
        { class: "apart" },
        el("h3", {}, plan.name),
        isHad ? el("span", { class: "tag good" }, "yours") : null,
      ),
      el("p", { class: "small soft" }, plan.description || ""),
      el(
        "p",
        { class: "price number" },
        money(plan.amount, plan.currency),
        subscribes ? el("small", {}, ` per ${period}`) : null,
      ),
      el(
        "p",
        { class: "gives soft number" },
        gives,
        hasPlan && plan.plan_type === "full" ? null : trial(plan),
      ),
      el(
        "button",
        {
          class: `button ${plan.plan_type === "full" && !isHad ? "main" : ""}`,
          type: "button",
          "aria-label": what === "Change plan" ? `${what}: ${plan.name}` : `${what} ${plan.name}`,
          onclick: (event) =>
            what === "Change plan" ? change(event.currentTarget) : buy(plan, event.currentTarget),
        },
        what,
      ),
    );
  });
}

function fate(item) {
  if (item.status === "canceled") return `Ended on ${day(item.canceled_at)}`;
  if (item.cancel_at_period_end) return `Ends on ${day(item.current_period_end)}`;
  if (item.cancel_at) return `Ends on ${day(item.cancel_at)}`;
  if (item.status === "trialing") return `Trial ends on ${day(item.trial_end)}`;
  return `Renews on ${day(item.current_period_end)}`;
}

/** The subscriptions, each under its plan's name. */
export function subscriptions(items, names) {
  if (!items.length) return [empty("There is no subscription yet.")];
  return items.map((item) => {
    const ending = item.is_active && (item.cancel_at_period_end || item.cancel_at);
    const name = names.get(item.plan_id) || "A plan that is not in the catalogue";
    const state = ending ? el("span", { class: "tag warn" }, "ends soon") : tag(item.status);
    return line([el("strong", {}, name)], fate(item), state);
  });
}

/** The ledger's last entries. */
export function ledger(items) {
  if (!items.length) return [empty("No token has moved yet.")];
  return items.map((entry) => {
    const sign = entry.delta > 0 ? "+" : "−";
    const delta = `${sign}${count(Math.abs(entry.delta))}`;
    return line(
      [entry.kind[0].toUpperCase() + entry.kind.slice(1)],
      [minute(entry.created_at), shortened(entry.reason || "")].filter(Boolean).join(" · "),
      el("span", { class: entry.delta > 0 ? "up" : "down" }, delta),
      count(entry.balance_after),
    );
  });
}

/** The payments, each under its plan's name. */
export function payments(items, names) {
  if (!items.length) return [empty("Nothing has been paid yet.")];
  return items.map((item) => {
    const given = item.amount_refunded;
    const under = [minute(item.created_at), given && `${money(given, item.currency)} refunded`];
    return line(
      [names.get(item.plan_id) || "Payment", tag(item.status)],
      under.filter(Boolean).join(" · "),
      money(item.amount, item.currency),
      item.tokens ? `${count(item.tokens)} tokens` : null,
    );
  });
}

import { money, type Plan } from "@fiko/billing-client";
import { type Snapshot, useSubscription } from "@fiko/billing-react";
import { useState } from "react";

import { billing, messageOf } from "./billing";
import { Notice } from "./Notice";

/** Everything on sale, and the way to Stripe. */
export function Plans({ plans }: { plans: Snapshot<Plan[]> }) {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState("");
  const subscription = useSubscription();
  // Whoever has a full plan changes it in the portal: checkout sells no second one.
  const current = plans.data?.find((plan) => plan.id === subscription.data?.plan_id);
  const hasPlan = subscription.data?.is_active === true && current?.plan_type === "full";

  async function change(): Promise<void> {
    setBusy(true);
    setFailure("");
    try {
      const portal = await billing.portal({
        return_url: `${window.location.origin}/`,
        flow: "update",
      });
      window.location.assign(portal.url);
    } catch (error) {
      setFailure(messageOf(error));
      setBusy(false);
    }
  }

  async function buy(plan: Plan): Promise<void> {
    setBusy(true);
    setFailure("");
    try {
      const session = await billing.checkout({
        plan_type: plan.plan_type,
        plan_id: plan.id,
        // Stripe puts the session's id in place of the word in braces.
        success_url: `${window.location.origin}/success?session_id={CHECKOUT_SESSION_ID}`,
        cancel_url: `${window.location.origin}/`,
      });
      window.location.assign(session.url);
    } catch (error) {
      setFailure(messageOf(error));
      setBusy(false);
    }
  }

  return (
    <section aria-labelledby="plans">
      <h2 id="plans">Plans and packages</h2>
      <Notice of={plans} />
      {failure && (
        <p className="failure" role="alert">
          {failure}
        </p>
      )}
      {plans.data && (
        <ul className="cards">
          {plans.data.map((plan) => (
            <li key={plan.id}>
              <h3>{plan.name}</h3>
              <p className="price">
                {priceOf(plan)}
                {plan.interval && <span className="quiet"> per {periodOf(plan)}</span>}
              </p>
              <p>{plan.tokens.toLocaleString()} tokens</p>
              {!hasPlan && plan.trial_days > 0 && <p>{trialOf(plan)}</p>}
              <p className="quiet">{plan.description}</p>
              {hasPlan && plan.plan_type === "full" ? (
                <button
                  disabled={busy}
                  aria-label={`Change plan: ${plan.name}`}
                  onClick={() => void change()}
                >
                  Change plan
                </button>
              ) : (
                <button disabled={busy || plan.amount === null} onClick={() => void buy(plan)}>
                  {plan.interval ? "Subscribe" : "Buy"}
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function priceOf(plan: Plan): string {
  return plan.amount === null || plan.currency === null
    ? "not on sale"
    : money(plan.amount, plan.currency);
}

/** What is free at first. */
function trialOf(plan: Plan): string {
  const tokens = plan.trial_tokens ? `, with ${plan.trial_tokens.toLocaleString()} tokens` : "";
  return `${plan.trial_days} days free${tokens}`;
}

/** How long a paid period is: `month`, `3 months`. */
function periodOf(plan: Plan): string {
  const count = plan.interval_count ?? 1;
  return count > 1 ? `${count} ${plan.interval}s` : `${plan.interval}`;
}

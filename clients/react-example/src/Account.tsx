import type { Plan, Subscription } from "@fiko/billing-client";
import { useState } from "react";

import { billing, messageOf, useLoaded } from "./billing";
import { Notice } from "./Notice";

const load = async () => {
  const [balance, subscriptions] = await Promise.all([billing.balance(), billing.subscriptions()]);
  return { balance, active: subscriptions.items.filter((each) => each.is_active) };
};

/** The balance, what is subscribed to, and the way to Stripe's portal. */
export function Account({ plans }: { plans: Plan[] }) {
  const account = useLoaded(load);
  const [failure, setFailure] = useState("");

  async function manage(): Promise<void> {
    setFailure("");
    try {
      const portal = await billing.portal({ return_url: `${window.location.origin}/` });
      window.location.assign(portal.url);
    } catch (error) {
      setFailure(messageOf(error));
    }
  }

  return (
    <section aria-labelledby="account">
      <h2 id="account">Your account</h2>
      <Notice of={account} />
      {account.state === "loaded" && (
        <>
          <p className="price">{account.value.balance.balance.toLocaleString()} tokens</p>
          {account.value.active.map((subscription) => (
            <p key={subscription.id}>
              {nameOf(subscription, plans)}: {subscription.status}
              {endOf(subscription)}
            </p>
          ))}
          <button onClick={() => void manage()}>Manage subscription and payment</button>
          {failure && (
            <p className="failure" role="alert">
              {failure}
            </p>
          )}
        </>
      )}
    </section>
  );
}

function nameOf({ plan_id }: Subscription, plans: Plan[]): string {
  return plans.find((plan) => plan.id === plan_id)?.name ?? `Plan ${plan_id ?? "unknown"}`;
}

function endOf(subscription: Subscription): string {
  if (!subscription.current_period_end) {
    return "";
  }
  const day = new Date(subscription.current_period_end).toLocaleDateString();
  return subscription.cancel_at_period_end ? `, ends on ${day}` : `, renews on ${day}`;
}

import type { Plan, Subscription } from "@fiko/billing-client";
import { useAccess, useBalance, useMessages, useSubscription } from "@fiko/billing-react";
import { useState } from "react";

import { billing, messageOf } from "./billing";
import { Notice } from "./Notice";

/** The balance, what is subscribed to, and the way to Stripe's portal; all of it changes by itself. */
export function Account({ plans }: { plans: Plan[] }) {
  const balance = useBalance();
  const subscription = useSubscription();
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
      <Notice of={balance} />
      {balance.data && (
        <p className="price" aria-live="polite">
          {balance.data.balance.toLocaleString()} tokens
        </p>
      )}
      {subscription.data?.is_active && (
        <p>
          {nameOf(subscription.data, plans)}: {subscription.data.status}
          {endOf(subscription.data)}
        </p>
      )}
      <Features />
      <FailedPayment />
      {balance.data && (
        <button onClick={() => void manage()}>Manage subscription and payment</button>
      )}
      {failure && (
        <p className="failure" role="alert">
          {failure}
        </p>
      )}
    </section>
  );
}

/** What the user may use, where the catalogue has features. */
function Features() {
  const features = Object.entries(useAccess().data?.features ?? {});
  return (
    features.length > 0 && (
      <ul className="quiet">
        {features.map(([name, { allowed, limit, why }]) => (
          <li key={name}>
            {name.replaceAll("_", " ")}: {allowed ? (limit ?? "yes") : `no. ${why.text}`}
          </li>
        ))}
      </ul>
    )
  );
}

/** Says that a payment failed, while the user is there, and where it can be made good. */
function FailedPayment() {
  const [payUrl, setPayUrl] = useState<string | null>(null);
  useMessages((message) => {
    if (message.type === "payment.failed" && "pay_url" in message.data) {
      setPayUrl(message.data.pay_url);
    }
  });
  return (
    payUrl && (
      <p className="failure" role="alert">
        A payment failed. <a href={payUrl}>Pay it here</a>
      </p>
    )
  );
}

function nameOf({ plan_id }: Subscription, plans: Plan[]): string {
  return plans.find((plan) => plan.id === plan_id)?.name ?? `Plan ${plan_id ?? "unknown"}`;
}

function endOf(subscription: Subscription): string {
  const { status, trial_end, current_period_end } = subscription;
  const end = status === "trialing" ? trial_end : current_period_end;
  if (!end) {
    return "";
  }
  const day = new Date(end).toLocaleDateString();
  if (status === "trialing" && !subscription.cancel_at_period_end) {
    return `, free until ${day}`;
  }
  return subscription.cancel_at_period_end ? `, ends on ${day}` : `, renews on ${day}`;
}

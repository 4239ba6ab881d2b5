import type { CheckoutStatus } from "@fiko/billing-client";
import { useBalance, useCheckout } from "@fiko/billing-react";

import { messageOf } from "./billing";

/** Where Stripe sends buyers back to: changes by itself until the purchase has taken effect. */
export function Success({ sessionId }: { sessionId: string }) {
  const purchase = useCheckout(sessionId);
  const balance = useBalance();
  return (
    <section aria-live="polite">
      {purchase.isLoading && <p>Thank you. Asking for the payment…</p>}
      {purchase.error !== undefined && <p className="failure">{messageOf(purchase.error)}</p>}
      {purchase.data && <p>{SAYINGS[purchase.data.status](purchase.data)}</p>}
      {balance.data && <p className="price">{balance.data.balance.toLocaleString()} tokens</p>}
      <a href="/">Back to your account</a>
    </section>
  );
}

const SAYINGS: Record<CheckoutStatus["status"], (purchase: CheckoutStatus) => string> = {
  complete: ({ tokens_granted }) =>
    tokens_granted
      ? `Done: ${tokens_granted.toLocaleString()} tokens were added to your balance.`
      : "Done: your subscription is active.",
  processing: () => "The payment is on its way, maybe for days. This page tells when it is there.",
  failed: () => "The payment failed; nothing was charged. You can try again.",
  expired: () => "This checkout has expired; nothing was charged.",
  open: () => "The payment has not been made yet.",
};

import { useCallback } from "react";

import { billing, useLoaded } from "./billing";

/** Where Stripe sends buyers back to: waits until the purchase has taken effect. */
export function Success({ sessionId }: { sessionId: string }) {
  const load = useCallback(
    (signal: AbortSignal) => billing.waitForCheckout(sessionId, { signal }),
    [sessionId],
  );
  const purchase = useLoaded(load);
  return (
    <section aria-live="polite">
      {purchase.state === "loading" && <p>Thank you. Waiting for the payment to be confirmed…</p>}
      {purchase.state === "failed" && <p className="failure">{purchase.message}</p>}
      {purchase.state === "loaded" && <p>{SAYINGS[purchase.value.status](purchase.value)}</p>}
      <a href="/">Back to your account</a>
    </section>
  );
}

type Purchase = Awaited<ReturnType<typeof billing.waitForCheckout>>;

const SAYINGS: Record<Purchase["status"], (purchase: Purchase) => string> = {
  complete: ({ tokens_granted }) =>
    tokens_granted
      ? `Done: ${tokens_granted.toLocaleString()} tokens were added to your balance.`
      : "Done: your subscription is active.",
  processing: () => "The payment is on its way. The tokens follow when it arrives, maybe in days.",
  failed: () => "The payment failed; nothing was charged. You can try again.",
  expired: () => "This checkout has expired; nothing was charged.",
  open: () => "The payment has not been made yet.",
};

/** The one client of this app, and a hook that loads what does not change by itself. */

import { BillingProblem, createBillingClient } from "@fiko/billing-client";
import type { Snapshot } from "@fiko/billing-react";
import { useEffect, useState } from "react";

export const billing = createBillingClient({
  baseUrl: import.meta.env.VITE_BILLING_URL ?? "http://127.0.0.1:8000",
  // A real app passes a function here that gives the signed-in user's token.
  token: import.meta.env.VITE_BILLING_TOKEN ?? "",
});

/** Loads anew whenever `load` is another function: give it a constant or a memoised one. */
export function useLoaded<Data>(load: () => Promise<Data>): Snapshot<Data> {
  const [loaded, setLoaded] = useState<Snapshot<Data>>(LOADING);
  useEffect(() => {
    let isGone = false;
    setLoaded(LOADING);
    load().then(
      (data) => isGone || setLoaded({ data, error: undefined, isLoading: false }),
      (error: unknown) => isGone || setLoaded({ data: undefined, error, isLoading: false }),
    );
    return () => {
      isGone = true;
    };
  }, [load]);
  return loaded;
}

const LOADING = { data: undefined, error: undefined, isLoading: true };

/** Where the API's own words, which speak to developers, are not ours. */
const SAYINGS: Record<string, string> = {
  already_subscribed: "You have a subscription already; change it under “Manage subscription”.",
  other_stripe_account: "You bought at another Stripe account, which has to be asked to change it.",
  not_authenticated: "The token is missing or no longer valid: see the README on VITE_BILLING_TOKEN.",
};

/** What to tell a person about an error. */
export function messageOf(error: unknown): string {
  if (error instanceof BillingProblem) {
    return SAYINGS[error.code] ?? error.message;
  }
  return "The billing service cannot be reached. Is it running, and does CORS_ORIGINS name this page?";
}

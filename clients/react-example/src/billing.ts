/** The one client of this app, and the hook that loads things with it. */

import { BillingProblem, createBillingClient } from "@fiko/billing-client";
import { useEffect, useState } from "react";

export const billing = createBillingClient({
  baseUrl: import.meta.env.VITE_BILLING_URL ?? "http://127.0.0.1:8000",
  // A real app passes a function here that gives the signed-in user's token.
  token: import.meta.env.VITE_BILLING_TOKEN ?? "",
});

export type Loaded<Value> =
  | { state: "loading" }
  | { state: "failed"; message: string }
  | { state: "loaded"; value: Value };

/** Loads anew whenever `load` is another function: give it a constant or a memoised one. */
export function useLoaded<Value>(load: (signal: AbortSignal) => Promise<Value>): Loaded<Value> {
  const [loaded, setLoaded] = useState<Loaded<Value>>({ state: "loading" });
  useEffect(() => {
    const gone = new AbortController();
    setLoaded({ state: "loading" });
    load(gone.signal).then(
      (value) => gone.signal.aborted || setLoaded({ state: "loaded", value }),
      (error: unknown) =>
        gone.signal.aborted || setLoaded({ state: "failed", message: messageOf(error) }),
    );
    return () => gone.abort();
  }, [load]);
  return loaded;
}

/** Where the API's own words, which speak to developers, are not ours. */
const SAYINGS: Record<string, string> = {
  already_subscribed: "You have a subscription already; change it under “Manage subscription”.",
  not_authenticated: "The token is missing or no longer valid: see the README on VITE_BILLING_TOKEN.",
};

/** What to tell a person about an error. */
export function messageOf(error: unknown): string {
  if (error instanceof BillingProblem) {
    return SAYINGS[error.code] ?? error.message;
  }
  return "The billing service cannot be reached. Is it running, and does CORS_ORIGINS name this page?";
}

/** An amount of minor units as people of the browser's language write it. */
export function money(amount: number, currency: string): string {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(amount / 10 ** digits);
}

import type { Plan } from "@fiko/billing-client";
import { BillingProvider } from "@fiko/billing-react";

import { Account } from "./Account";
import { billing, useLoaded } from "./billing";
import { Plans } from "./Plans";
import { Success } from "./Success";

/** Two pages: the shop, and the one that Stripe sends buyers back to. */
export function App() {
  const sessionId = new URLSearchParams(window.location.search).get("session_id");
  return (
    <BillingProvider client={billing}>
      <main>
        <h1>Fiko Billing</h1>
        {window.location.pathname === "/success" && sessionId ? (
          <Success sessionId={sessionId} />
        ) : (
          <Shop />
        )}
      </main>
    </BillingProvider>
  );
}

const load = async (): Promise<Plan[]> => {
  const [plans, packages] = await Promise.all([billing.fullPlans(), billing.tokenPackages()]);
  return [...plans.items, ...packages.items];
};

function Shop() {
  const plans = useLoaded(load);
  return (
    <>
      <Account plans={plans.data ?? []} />
      <Plans plans={plans} />
    </>
  );
}

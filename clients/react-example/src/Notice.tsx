import type { Snapshot } from "@fiko/billing-react";

import { messageOf } from "./billing";

/** What to show while something loads, or when asking for it failed. */
export function Notice({ of }: { of: Snapshot<unknown> }) {
  if (of.error !== undefined) {
    return (
      <p className="failure" role="alert">
        {messageOf(of.error)}
      </p>
    );
  }
  return of.isLoading ? <p className="quiet">Loading…</p> : null;
}

import type { Loaded } from "./billing";

/** What to show while something loads, or instead of it when that failed. */
export function Notice({ of }: { of: Loaded<unknown> }) {
  if (of.state === "failed") {
    return (
      <p className="failure" role="alert">
        {of.message}
      </p>
    );
  }
  return of.state === "loading" ? <p className="quiet">Loading…</p> : null;
}

"use client";

import type {
  Access,
  Balance,
  CheckoutStatus,
  FeatureAccess,
  Message,
  StreamStatus,
  Subscription,
} from "@fiko/billing-client";
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";

import { useProvided } from "./provider.js";
import { NOTHING_YET, type Slice, type Snapshot } from "./slice.js";
import type { BillingStore } from "./store.js";

/** `data` is the subscription that counts; null when there never was one. */
export interface SubscriptionSnapshot extends Snapshot<Subscription | null> {
  /** All of them, newest first. */
  all: readonly Subscription[];
}

/** `data` is undefined also for a feature that is not in the catalogue. */
export interface FeatureSnapshot extends Snapshot<FeatureAccess> {
  /** Whether the user may use it; false while nothing is known. */
  isAllowed: boolean;
}

/** The user's token balance. */
export function useBalance(): Snapshot<Balance> {
  return useSlice(useProvided().store.balance);
}

/**
 * The subscription that counts: the newest active one, a plan before a package, else the newest.
 * `is_active` says whether to let the user in.
 */
export function useSubscription(): SubscriptionSnapshot {
  const { data: all, error, isLoading } = useSlice(useProvided().store.subscriptions);
  return { data: all && current(all), all: all ?? [], error, isLoading };
}

/** What the user may use: everything, or one feature. */
export function useAccess(): Snapshot<Access>;
export function useAccess(feature: string): FeatureSnapshot;
export function useAccess(feature?: string): Snapshot<Access> | FeatureSnapshot {
  const { data, error, isLoading } = useSlice(useProvided().store.access);
  if (feature === undefined) {
    return { data, error, isLoading };
  }
  const features = data?.features ?? {};
  const one = Object.hasOwn(features, feature) ? features[feature] : undefined;
  return { data: one, isAllowed: one?.allowed ?? false, error, isLoading };
}

/**
 * How a purchase stands, for the page that Stripe sends buyers back to: it changes by itself until
 * the purchase is over, be that in a second or, with a bank debit, in days.
 */
export function useCheckout(sessionId: string): Snapshot<CheckoutStatus> {
  const { client, store } = useProvided();
  const [snapshot, setSnapshot] = useState<Snapshot<CheckoutStatus>>(NOTHING_YET);
  useEffect(() => {
    const gone = new AbortController();
    const show = (data: CheckoutStatus): void =>
      setSnapshot({ data, error: undefined, isLoading: false });
    setSnapshot(NOTHING_YET);
    client
      .waitForCheckout(sessionId, {
        signal: gone.signal,
        timeoutMs: Infinity,
        onStatus: show,
        hurry: (askNow) => store.hearMessages(askNow),
      })
      .catch((error: unknown) => {
        if (!gone.signal.aborted) {
          setSnapshot(({ data }) => ({ data, error, isLoading: false }));
        }
      });
    return () => gone.abort();
  }, [client, store, sessionId]);
  return snapshot;
}

/** Calls a function for every message while the component is there: to tell of failed payments. */
export function useMessages(listener: (message: Message) => void): void {
  const { store } = useProvided();
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => store.hearMessages((message) => latest.current(message)), [store]);
}

/** How the stream stands: whether what is shown is up to date. */
export function useStreamStatus(): StreamStatus {
  const { store } = useProvided();
  const hear = useCallback((changed: () => void) => store.hearStatus(changed), [store]);
  return useSyncExternalStore(hear, store.status, () => "connecting");
}

function useSlice<Data>(slice: Slice<Data> & Parameters<BillingStore["hearSlice"]>[0]) {
  const { store } = useProvided();
  const hear = useCallback((changed: () => void) => store.hearSlice(slice, changed), [store, slice]);
  // On a server nothing is known, and a page begins as the server made it.
  return useSyncExternalStore<Snapshot<Data>>(hear, slice.snapshot, () => NOTHING_YET);
}

function current(all: readonly Subscription[]): Subscription | null {
  const active = all.filter((each) => each.is_active);
  return active.find((each) => each.plan_type === "full") ?? active[0] ?? all[0] ?? null;
}

/**
 * React hooks on a user's billing state: they ask for it once and then hear of its changes, on one
 * stream for all of them.
 */

export { BillingProvider } from "./provider.js";
export {
  type FeatureSnapshot,
  type SubscriptionSnapshot,
  useAccess,
  useBalance,
  useCheckout,
  useMessages,
  useStreamStatus,
  useSubscription,
} from "./hooks.js";
export type { Snapshot } from "./slice.js";

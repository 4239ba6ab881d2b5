/** What a user is told of changes. */

import type { components } from "./schema.js";

type Schemas = components["schemas"];

/** Is no longer this user's: another's, or part of another payment. */
export interface Removed {
  id: string;
  removed: true;
}

interface MessageOf<Type extends string, Data> {
  type: Type;
  /** Whose state it is. */
  user: string;
  /** Grows with every message of the user, without a hole. */
  version: number;
  created_at: string;
  /** The whole state as the API shows it, so that an older message never has to be known. */
  data: Data;
}

/** A payment that failed; `pay_url` is the page where its buyer can pay, where there is one. */
export type FailedPayment = Schemas["Payment"] & { pay_url: string | null };

export type TokensMessage = MessageOf<
  "tokens.changed" | "tokens.low" | "tokens.exhausted",
  Schemas["Balance"]
>;
export type SubscriptionMessage = MessageOf<
  "subscription.changed" | "trial.ending",
  Schemas["Subscription"] | Removed
>;
export type AccessMessage = MessageOf<"access.changed", Schemas["Access"]>;
export type PaymentMessage = MessageOf<
  "payment.paid" | "payment.refunded" | "payment.disputed",
  Schemas["Payment"] | Removed
>;
export type PaymentFailedMessage = MessageOf<"payment.failed", FailedPayment | Removed>;

/** A message of the stream. A newer API may send types that are not named here: ignore them. */
export type Message =
  | TokensMessage
  | SubscriptionMessage
  | AccessMessage
  | PaymentMessage
  | PaymentFailedMessage;

/** Whether the data of a message says that something is no longer this user's. */
export function isRemoved(data: object): data is Removed {
  return "removed" in data && data.removed === true;
}

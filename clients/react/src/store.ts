/** A user's state in one place, on one stream: what the hooks read. */

import {
  type Access,
  type Balance,
  type BillingClient,
  type BillingStream,
  isRemoved,
  type Message,
  type StreamStatus,
  type Subscription,
} from "@fiko/billing-client";

import { Slice } from "./slice.js";

// A stream is asked to say where it is first, so that the state is asked for once. One that takes
// longer does not hold up the page.
const PATIENCE_MS = 1_000;
// Pages that change take their hooks down and put others up; the stream stays meanwhile.
const LINGER_MS = 1_000;
const SUBSCRIPTIONS_MAX = 200;

export class BillingStore {
  readonly balance: Slice<Balance>;
  readonly subscriptions: Slice<Subscription[]>;
  readonly access: Slice<Access>;
  readonly #client: BillingClient;
  readonly #messageListeners = new Set<(message: Message) => void>();
  readonly #statusListeners = new Set<() => void>();
  #stream: BillingStream | undefined;
  #isSynced = false;
  #users = 0;
  #lingering: ReturnType<typeof setTimeout> | undefined;

  constructor(client: BillingClient) {
    this.#client = client;
    this.balance = new Slice(() => client.balance(), takeBalance);
    this.access = new Slice(() => client.access(), takeAccess);
    this.subscriptions = new Slice(
      async () => (await client.subscriptions({ limit: SUBSCRIPTIONS_MAX })).items,
      takeSubscription,
    );
  }

  /** How the stream stands. */
  readonly status = (): StreamStatus => this.#stream?.status ?? "connecting";

  /** Keeps a part of the state up for a listener, until what is returned is called. */
  hearSlice(slice: Slice<Balance> | Slice<Subscription[]> | Slice<Access>, changed: () => void) {
    const isFirst = !slice.isHeard;
    const leave = slice.listen(changed);
    const close = this.#use();
    if (isFirst && this.#isSynced) {
      slice.refresh();
    } else if (isFirst) {
      slice.refreshIn(PATIENCE_MS);
    }
    return () => {
      leave();
      close();
    };
  }

  /** Passes every message on to a listener. */
  hearMessages(listener: (message: Message) => void): () => void {
    return this.#add(this.#messageListeners, listener);
  }

  /** Tells a listener when the stream's status changes. */
  hearStatus(changed: () => void): () => void {
    return this.#add(this.#statusListeners, changed);
  }

  #add<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
    listeners.add(listener);
    const close = this.#use();
    return () => {
      listeners.delete(listener);
      close();
    };
  }

  /** Keeps the stream open until what is returned is called. */
  #use(): () => void {
    this.#users += 1;
    clearTimeout(this.#lingering);
    this.#stream ??= this.#client.stream({
      onRefresh: () => {
        this.#isSynced = true;
        this.#slices().forEach((slice) => slice.refresh());
      },
      onMessage: (message) => {
        this.#slices().forEach((slice) => slice.apply(message));
        [...this.#messageListeners].forEach((listener) => listener(message));
      },
      onStatus: () => [...this.#statusListeners].forEach((listener) => listener()),
    });
    return () => {
      this.#users -= 1;
      if (this.#users === 0) {
        this.#lingering = setTimeout(() => this.#close(), LINGER_MS);
      }
    };
  }

  #close(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.#isSynced = false;
  }

  #slices(): { refresh: () => void; apply: (message: Message) => void }[] {
    return [this.balance, this.subscriptions, this.access];
  }
}

const stores = new WeakMap<BillingClient, BillingStore>();

/** The one store of a client, however many providers there are for it. */
export function storeOf(client: BillingClient): BillingStore {
  const store = stores.get(client) ?? new BillingStore(client);
  stores.set(client, store);
  return store;
}

function takeBalance(balance: Balance, message: Message): Balance {
  switch (message.type) {
    case "tokens.changed":
    case "tokens.low":
    case "tokens.exhausted":
      return message.data;
    default:
      return balance;
  }
}

function takeAccess(access: Access, message: Message): Access {
  return message.type === "access.changed" ? message.data : access;
}

function takeSubscription(kept: Subscription[], message: Message): Subscription[] {
  if (message.type !== "subscription.changed" && message.type !== "trial.ending") {
    return kept;
  }
  const { data } = message;
  if (isRemoved(data)) {
    return kept.filter((each) => each.id !== data.id);
  }
  const isKept = kept.some((each) => each.id === data.id);
  // The newest comes first, and one that was not known is new.
  return isKept ? kept.map((each) => (each.id === data.id ? data : each)) : [data, ...kept];
}

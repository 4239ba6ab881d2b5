/**
 * Typed client of the Fiko Billing API.
 *
 * Addresses, parameters and answers come from `schema.ts`, which is generated from the API's
 * OpenAPI document; nothing here repeats them. Errors are thrown as `BillingProblem`.
 */

import createClient, { type Client, type Middleware } from "openapi-fetch";

import { Pauses } from "./pauses.js";
import { BillingProblem, comeBackMs } from "./problems.js";
import type { components, paths } from "./schema.js";
import { type BillingStream, keepStream, type StreamOptions } from "./stream.js";

export * from "./messages.js";
export { minorDigits, money } from "./money.js";
export { BillingProblem } from "./problems.js";
export type { components, operations, paths } from "./schema.js";
export type { BillingStream, StreamOptions, StreamStatus } from "./stream.js";

type Schemas = components["schemas"];
type SessionPath = paths["/billing/stripe/checkout-session/{session_id}/"];
type CheckoutPath = paths["/billing/stripe/checkout-session/"];
type PortalPath = paths["/billing/stripe/customer-portal/"];

export type Plan = Schemas["Plan"];
export type Subscription = Schemas["Subscription"];
export type Payment = Schemas["Payment"];
export type Balance = Schemas["Balance"];
export type Access = Schemas["Access"];
export type FeatureAccess = Schemas["FeatureAccess"];
export type LedgerEntry = Schemas["LedgerEntry"];
export type Config = Schemas["Config"];
export type CheckoutRequest = CheckoutPath["post"]["requestBody"]["content"]["application/json"];
export type CheckoutSession = CheckoutPath["post"]["responses"][200]["content"]["application/json"];
export type CheckoutStatus = SessionPath["get"]["responses"][200]["content"]["application/json"];
export type PortalRequest = NonNullable<
  PortalPath["post"]["requestBody"]
>["content"]["application/json"];
export type PortalSession = PortalPath["post"]["responses"][200]["content"]["application/json"];

export interface BillingOptions {
  /** Where the API answers, such as `https://billing.example.com`. */
  baseUrl: string;
  /** The user's JWT, or a function that gives one that is still valid. */
  token: string | (() => string | Promise<string>);
  /** Replaces the global `fetch`, in tests for example. */
  fetch?: (request: Request) => Promise<Response>;
}

export interface PageOptions {
  /** How many items at most, 1 to 200. */
  limit?: number;
  /** The `next_cursor` of the page before. */
  cursor?: string;
}

export interface Page<Item> {
  items: Item[];
  /** Null on the last page. */
  next_cursor: string | null;
}

export interface WaitOptions {
  /** Gives up after this long; 2 minutes unless told. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Is told each status that is found on the way. */
  onStatus?: (status: CheckoutStatus) => void;
  /**
   * Lets a stream have it ask at once: is given a function to call at each message, and returns
   * one that is called in the end. The pauses grow longer then.
   */
  hurry?: (askNow: () => void) => () => void;
}

const WAIT_TIMEOUT_MS = 120_000;
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 5_000;
const PAUSE_MS_MAX_HURRIED = 30_000;

/** What a frontend does with the API. */
export class BillingClient {
  /** Every operation with its types, for what has no method here. */
  readonly api: Client<paths>;

  constructor(options: BillingOptions) {
    this.api = createClient<paths>({
      baseUrl: options.baseUrl.replace(/\/+$/, ""),
      ...(options.fetch ? { fetch: options.fetch } : {}),
    });
    this.api.use(withToken(options.token));
  }

  /** What a frontend needs to start. */
  async config(): Promise<Config> {
    return given(await this.api.GET("/billing/config/"));
  }

  /** The plans on sale, priced in `currency` where they are sold in it. */
  async fullPlans(options: PageOptions & { currency?: string } = {}): Promise<Page<Plan>> {
    return given(await this.api.GET("/billing/plans/full/", { params: { query: options } }));
  }

  /** The token packages on sale, priced as above. */
  async tokenPackages(options: PageOptions & { currency?: string } = {}): Promise<Page<Plan>> {
    return given(await this.api.GET("/billing/plans/token/", { params: { query: options } }));
  }

  /** The user's subscriptions, newest first. */
  async subscriptions(options: PageOptions = {}): Promise<Page<Subscription>> {
    return given(await this.api.GET("/billing/subscriptions/", { params: { query: options } }));
  }

  /** The user's payments, newest first. */
  async payments(options: PageOptions = {}): Promise<Page<Payment>> {
    return given(await this.api.GET("/billing/payments/", { params: { query: options } }));
  }

  /** The user's token balance. */
  async balance(): Promise<Balance> {
    return given(await this.api.GET("/billing/tokens/"));
  }

  /** What the user may use: each feature with its limit, why, until when, and what unlocks it. */
  async access(): Promise<Access> {
    return given(await this.api.GET("/billing/access/"));
  }

  /** The entries behind the balance, newest first. */
  async ledger(options: PageOptions = {}): Promise<Page<LedgerEntry>> {
    return given(await this.api.GET("/billing/tokens/ledger/", { params: { query: options } }));
  }

  /**
   * Starts a purchase; send the buyer to the answer's `url`. Without a key the API itself takes
   * a double click for one purchase.
   */
  async checkout(body: CheckoutRequest, idempotencyKey?: string): Promise<CheckoutSession> {
    const header = idempotencyKey ? { "Idempotency-Key": idempotencyKey } : {};
    return given(
      await this.api.POST("/billing/stripe/checkout-session/", { body, params: { header } }),
    );
  }

  /** How a purchase stands; `complete` means that its effect can be seen. */
  async checkoutStatus(sessionId: string, signal?: AbortSignal): Promise<CheckoutStatus> {
    return given(
      await this.api.GET("/billing/stripe/checkout-session/{session_id}/", {
        params: { path: { session_id: sessionId } },
        ...(signal ? { signal } : {}),
      }),
    );
  }

  /**
   * Asks, with growing pauses, until a purchase is `complete`, `failed` or `expired`, or the time
   * is up; resolves to the last status found. Rides out a failing network and answers that say to
   * come back.
   */
  async waitForCheckout(sessionId: string, options: WaitOptions = {}): Promise<CheckoutStatus> {
    const pauses = new Pauses();
    const leave = options.hurry?.(pauses.cut);
    try {
      return await this.#waitForCheckout(sessionId, options, pauses);
    } finally {
      leave?.();
    }
  }

  async #waitForCheckout(
    sessionId: string,
    options: WaitOptions,
    pauses: Pauses,
  ): Promise<CheckoutStatus> {
    const { timeoutMs = WAIT_TIMEOUT_MS, signal, onStatus } = options;
    const until = Date.now() + timeoutMs;
    const pauseMsMax = options.hurry ? PAUSE_MS_MAX_HURRIED : PAUSE_MS_MAX;
    for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(pauseMs * 1.5, pauseMsMax)) {
      let waitMs = pauseMs;
      try {
        const status = await this.checkoutStatus(sessionId, signal);
        onStatus?.(status);
        if (isOver(status) || Date.now() + waitMs > until) {
          return status;
        }
      } catch (error) {
        const againMs = comeBackMs(error);
        waitMs = Math.max(waitMs, againMs ?? 0);
        if (againMs === undefined || Date.now() + waitMs > until) {
          throw error;
        }
      }
      await pauses.wait(waitMs, signal);
    }
  }

  /**
   * The user's changes as they happen, until the stream is closed or `signal` aborts. It resumes
   * by itself without a gap; where no stream can be opened, `onRefresh` is called every few seconds.
   */
  stream(options: StreamOptions = {}): BillingStream {
    return keepStream(async (version, signal) => {
      const query = version === undefined ? {} : { last_event_id: String(version) };
      const answer = await this.api.GET("/billing/stream/", {
        params: { query },
        parseAs: "stream",
        cache: "no-store",
        signal,
      });
      return given(answer) as ReadableStream<Uint8Array>;
    }, options);
  }

  /** Opens Stripe's portal; send the user to the answer's `url`. */
  async portal(body: PortalRequest = {}): Promise<PortalSession> {
    return given(await this.api.POST("/billing/stripe/customer-portal/", { body }));
  }

  /** Spends tokens; the token must carry the scope `tokens:debit`. Repeat with the same key. */
  async debit(amount: number, reason: string, idempotencyKey: string): Promise<LedgerEntry> {
    return given(
      await this.api.POST("/billing/tokens/debit/", {
        body: { amount, reason },
        params: { header: { "Idempotency-Key": idempotencyKey } },
      }),
    );
  }
}

/** A client for one user. */
export function createBillingClient(options: BillingOptions): BillingClient {
  return new BillingClient(options);
}

function withToken(token: BillingOptions["token"]): Middleware {
  return {
    async onRequest({ request }) {
      const found = typeof token === "string" ? token : await token();
      request.headers.set("Authorization", `Bearer ${found}`);
      return request;
    },
  };
}

function given<Data>(answer: { data?: Data; error?: unknown; response: Response }): Data {
  if (!answer.response.ok || answer.data === undefined) {
    throw new BillingProblem(answer.response, answer.error);
  }
  return answer.data;
}

function isOver(status: CheckoutStatus): boolean {
  return status.status !== "open" && status.status !== "processing";
}

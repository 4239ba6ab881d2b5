/** Errors that the API answers with, and what to do about errors. */

/** An error that the API answered with (RFC 9457). Tell errors apart by `code`. */
export class BillingProblem extends Error {
  override readonly name = "BillingProblem";
  readonly status: number;
  readonly code: string;
  /** Everything the problem tells, such as `balance` and `amount` of `insufficient_tokens`. */
  readonly members: Readonly<Record<string, unknown>>;
  /** After how many seconds to come back, where the API said so. */
  readonly retryAfterSeconds: number | undefined;

  constructor(response: Response, told: unknown) {
    const members = isRecord(told) ? told : {};
    super(typeof members["detail"] === "string" ? members["detail"] : `HTTP ${response.status}`);
    this.status = response.status;
    this.code = typeof members["code"] === "string" ? members["code"] : "unknown";
    this.members = members;
    const seconds = Number(response.headers.get("Retry-After") ?? NaN);
    this.retryAfterSeconds = Number.isFinite(seconds) ? seconds : undefined;
  }
}

/** After how long to ask again; undefined where that would not help. */
export function comeBackMs(error: unknown): number | undefined {
  if (error instanceof BillingProblem) {
    const seconds = error.retryAfterSeconds;
    return seconds === undefined ? undefined : seconds * 1000;
  }
  // `fetch` throws a TypeError when the network fails.
  return error instanceof TypeError ? 0 : undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** One part of a user's state: asked for as a whole, and kept up by messages. */

import { BillingProblem, type Message } from "@fiko/billing-client";

/** What is known of a part of the state. `data` stays while it is asked for anew or that fails. */
export interface Snapshot<Data> {
  data: Data | undefined;
  /** Why the last question failed; undefined when it did not. */
  error: unknown;
  /** Whether nothing is known yet. */
  isLoading: boolean;
}

/** The data after a message; the same object where the message does not concern it. */
export type Take<Data> = (data: Data, message: Message) => Data;

export const NOTHING_YET: Snapshot<never> = { data: undefined, error: undefined, isLoading: true };

const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 30_000;

export class Slice<Data> {
  #snapshot: Snapshot<Data> = NOTHING_YET;
  readonly #load: () => Promise<Data>;
  readonly #take: Take<Data>;
  readonly #listeners = new Set<() => void>();
  // Messages that came since the question was asked: the answer may be older than they are.
  #since: Message[] = [];
  #isAsking = false;
  #askAgain = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(load: () => Promise<Data>, take: Take<Data>) {
    this.#load = load;
    this.#take = take;
  }

  readonly snapshot = (): Snapshot<Data> => this.#snapshot;

  /** Has something called at every change, until the function that is returned is called. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (!this.isHeard) {
        clearTimeout(this.#timer);
      }
    };
  }

  get isHeard(): boolean {
    return this.#listeners.size > 0;
  }

  /** Asks for the state in a while, unless it is asked for before. */
  refreshIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.refresh, ms);
  }

  /** Asks for the state; once more where it is being asked for, because that may be too old. */
  readonly refresh = (): void => {
    clearTimeout(this.#timer);
    if (this.#isAsking) {
      this.#askAgain = true;
    } else if (this.isHeard) {
      void this.#ask();
    }
  };

  /** Takes a message; messages come in order. */
  apply(message: Message): void {
    if (this.#isAsking) {
      this.#since.push(message);
    }
    const { data } = this.#snapshot;
    if (data === undefined) {
      return;
    }
    const next = this.#take(data, message);
    if (next !== data) {
      this.#set({ ...this.#snapshot, data: next });
    }
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    this.#since = [];
    try {
      const answer = await this.#load();
      this.#failures = 0;
      this.#set({
        data: this.#since.reduce(this.#take, answer),
        error: undefined,
        isLoading: false,
      });
    } catch (error) {
      this.#set({ data: this.#snapshot.data, error, isLoading: false });
      this.#retry(error);
    }
    this.#isAsking = false;
    if (this.#askAgain) {
      this.#askAgain = false;
      this.refresh();
    }
  }

  #retry(error: unknown): void {
    const isProblem = error instanceof BillingProblem;
    const againMs = isProblem ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    if (this.isHeard && (!isProblem || error.status >= 500 || againMs > 0)) {
      const pauseMs = Math.min(RETRY_MS_MIN * 2 ** this.#failures, RETRY_MS_MAX);
      this.#failures += 1;
      this.refreshIn(Math.max(pauseMs, againMs));
    }
  }

  #set(snapshot: Snapshot<Data>): void {
    this.#snapshot = snapshot;
    for (const listener of [...this.#listeners]) {
      listener();
    }
  }
}

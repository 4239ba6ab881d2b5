/**
 * A user's changes as they happen.
 *
 * One request is held open and read. When it ends, another one resumes after the last message. While
 * none can be held open, the state is to be asked for every few seconds.
 */

import { eventsOf, type ServerEvent } from "./events.js";
import { isRecord, BillingProblem, comeBackMs } from "./problems.js";
import type { Message } from "./messages.js";
import { Pauses } from "./pauses.js";

/**
 * - `connecting`: nothing is heard at the moment.
 * - `live`: changes are told at once.
 * - `delayed`: the API says that changes are told seconds late.
 * - `polling`: no stream can be opened; `onRefresh` is called every few seconds instead.
 * - `closed`: it is over.
 */
export type StreamStatus = "connecting" | "live" | "delayed" | "polling" | "closed";

export interface StreamOptions {
  /** Ends the stream. */
  signal?: AbortSignal;
  /** Ask for the state: called at the beginning, where messages are missing, and while polling. */
  onRefresh?: () => void;
  /** Is told each message once, in order. */
  onMessage?: (message: Message) => void;
  onStatus?: (status: StreamStatus) => void;
  /** Is told why the stream broke off, for a log: it goes on by itself. */
  onError?: (error: unknown) => void;
  /** How often `onRefresh` is called while no stream can be opened; 5 s unless told. */
  pollMs?: number;
}

export interface BillingStream {
  readonly status: StreamStatus;
  /** The version of the last message; undefined before the first answer. */
  readonly version: number | undefined;
  close(): void;
}

/** Asks for the messages after a version, or for those from now on. */
export type OpenStream = (
  version: number | undefined,
  signal: AbortSignal,
) => Promise<ReadableStream<Uint8Array>>;

const POLL_MS = 5_000;
// The API begins at once and says something every 15 s. A proxy that collects what it passes on
// shows as silence, and so does a connection that a sleeping machine has lost.
const SILENCE_MS_FIRST = 10_000;
const SILENCE_MS = 40_000;
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 60_000;
// A stream that ends sooner than this counts as a failure: nobody is to come back in a circle.
const LASTED_MS = 5_000;
const FAILURES_BEFORE_POLLING = 2;

/** Opens a stream and keeps it open until it is closed. */
export function keepStream(open: OpenStream, options: StreamOptions): BillingStream {
  const kept = new KeptStream(open, options);
  void kept.run();
  return kept;
}

class KeptStream implements BillingStream {
  status: StreamStatus = "connecting";
  version: number | undefined;
  readonly #open: OpenStream;
  readonly #options: StreamOptions;
  readonly #over = new AbortController();
  readonly #pauses = new Pauses();
  #poll: ReturnType<typeof setInterval> | undefined;

  constructor(open: OpenStream, options: StreamOptions) {
    this.#open = open;
    this.#options = options;
  }

  close(): void {
    this.#over.abort();
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const over = this.#over.signal;
    // A listener that was added is called after this, when it may already have closed the stream.
    await Promise.resolve();
    if (signal?.aborted) {
      this.close();
    }
    signal?.addEventListener("abort", () => this.close(), { once: true, signal: over });
    globalThis.addEventListener?.("online", this.#pauses.cut, { signal: over });
    try {
      await this.#listenOn(over);
    } catch (error) {
      if (!over.aborted) {
        this.#call(this.#options.onError, error);
      }
    } finally {
      this.close();
      this.#endPolling();
      this.#setStatus("closed");
    }
  }

  /** Listens, again and again, until the signal aborts, which throws. */
  async #listenOn(over: AbortSignal): Promise<void> {
    for (let failures = 0; ; ) {
      const began = Date.now();
      let failure: unknown;
      try {
        await this.#listen(over);
      } catch (error) {
        over.throwIfAborted();
        failure = error;
        this.#call(this.#options.onError, error);
      }
      failures = Date.now() - began < LASTED_MS || !this.#isHeard ? failures + 1 : 0;
      if (failures >= FAILURES_BEFORE_POLLING || this.version === undefined) {
        this.#beginPolling(failure);
      } else if (!this.#poll) {
        this.#setStatus("connecting");
      }
      await this.#pauses.wait(pauseMs(failures, failure), over);
    }
  }

  /** Listens to one answer until it ends; throws where it fails. */
  async #listen(over: AbortSignal): Promise<void> {
    const attempt = new AbortController();
    const end = (): void => attempt.abort(over.reason);
    const giveUp = (): void => attempt.abort(new Error("The stream is silent."));
    over.addEventListener("abort", end);
    let silence = setTimeout(giveUp, SILENCE_MS_FIRST);
    this.#isHeard = false;
    try {
      over.throwIfAborted();
      const body = await this.#open(this.version, attempt.signal);
      const hear = (): void => {
        clearTimeout(silence);
        silence = setTimeout(giveUp, SILENCE_MS);
        this.#hear();
      };
      for await (const event of eventsOf(body, hear)) {
        this.#take(event);
      }
    } finally {
      clearTimeout(silence);
      over.removeEventListener("abort", end);
    }
    attempt.signal.throwIfAborted();
  }

  #isHeard = false;

  /** Something arrived, be it a comment: the stream stands. */
  #hear(): void {
    if (!this.#isHeard) {
      this.#isHeard = true;
      this.#endPolling();
      this.#setStatus("live");
    }
  }

  #take(event: ServerEvent): void {
    const { onMessage, onRefresh } = this.#options;
    if (event.type === "delayed" || event.type === "live") {
      this.#setStatus(event.type);
      return;
    }
    const told: unknown = JSON.parse(event.data);
    const version = isRecord(told) ? told["version"] : undefined;
    if (typeof version !== "number") {
      return; // It is of a kind that this client does not know.
    }
    if (event.type === "ready" || event.type === "reset") {
      this.version = version;
      this.#call(onRefresh);
    } else if (this.version === undefined || version > this.version) {
      this.version = version;
      this.#call(onMessage, told as Message);
    }
  }

  #beginPolling(failure: unknown): void {
    this.#setStatus("polling");
    // Who is not let in is not let in by asking more often.
    if (failure instanceof BillingProblem && failure.status === 401) {
      this.#endPolling();
    } else if (!this.#poll) {
      const ask = (): void => {
        if (!globalThis.document?.hidden) {
          this.#call(this.#options.onRefresh);
        }
      };
      this.#poll = setInterval(ask, this.#options.pollMs ?? POLL_MS);
      this.#call(this.#options.onRefresh);
    }
  }

  #endPolling(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
  }

  #setStatus(status: StreamStatus): void {
    if (this.status !== status) {
      this.status = status;
      this.#call(this.#options.onStatus, status);
    }
  }

  /** Calls the app; an error of its own is its own, and ends no stream. */
  #call<Told extends unknown[]>(told: ((...told: Told) => void) | undefined, ...words: Told): void {
    try {
      told?.(...words);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

/** Growing, and never the same for two: a restarted API is not asked by everybody at once. */
function pauseMs(failures: number, failure: unknown): number {
  const longest = Math.min(PAUSE_MS_MIN * 2 ** failures, PAUSE_MS_MAX);
  return Math.max(longest * (0.5 + Math.random() / 2), comeBackMs(failure) ?? 0);
}

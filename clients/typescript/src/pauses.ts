/** Pauses that something may cut short: what happens between two pauses cuts the next one. */
export class Pauses {
  #isCut = false;
  #end: (() => void) | undefined;

  /** Ends the pause at hand, or else the next one. */
  readonly cut = (): void => {
    this.#isCut = true;
    this.#end?.();
  };

  /** Returns after so long, or when it is cut short; rejects when the signal aborts. */
  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#isCut) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal?.addEventListener("abort", this.cut, { once: true });
        this.#end = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      signal?.removeEventListener("abort", this.cut);
    }
    this.#isCut = false;
    this.#end = undefined;
    signal?.throwIfAborted();
  }
}

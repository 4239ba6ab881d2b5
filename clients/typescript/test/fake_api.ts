/** The API as a client meets it, without a network: streams, and answers that tests set. */

/** An open stream of the fake API. */
export class FakeStream {
  readonly url: URL;
  isClosed = false;
  readonly body: ReadableStream<Uint8Array>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;

  constructor(url: URL, signal: AbortSignal) {
    this.url = url;
    this.body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.isClosed = true;
      },
    });
    signal.addEventListener("abort", () => this.breakOff(signal.reason));
  }

  /** What the client has seen; null where it says nothing of it. */
  get lastVersion(): string | null {
    return this.url.searchParams.get("last_event_id");
  }

  sendBytes(bytes: Uint8Array): void {
    this.#controller.enqueue(bytes);
  }

  send(text: string): void {
    this.sendBytes(new TextEncoder().encode(text));
  }

  /** `ready` or `reset`. */
  position(event: string, version: number): void {
    this.send(`id: ${version}\nevent: ${event}\ndata: {"version": ${version}}\n\n`);
  }

  tell(version: number, type: string, data: object): void {
    const message = { type, user: "u1", version, created_at: "2026-11-27T12:00:00Z", data };
    this.send(`id: ${version}\nevent: ${type}\ndata: ${JSON.stringify(message)}\n\n`);
  }

  end(): void {
    this.isClosed = true;
    this.#controller.close();
  }

  breakOff(reason: unknown): void {
    if (!this.isClosed) {
      this.isClosed = true;
      this.#controller.error(reason);
    }
  }
}

type Answer = (request: Request) => Response | Promise<Response>;

export class FakeApi {
  readonly streams: FakeStream[] = [];
  /** The paths that were asked for, in order. */
  readonly asked: string[] = [];
  /** The answers of other addresses, by path. */
  readonly answers: Record<string, Answer> = {};
  /** Replaces streams where it is set. */
  answerStream: Answer | undefined;

  readonly fetch = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    this.asked.push(url.pathname);
    if (request.headers.get("Authorization") !== "Bearer token of u1") {
      return problem(401, "not_authenticated");
    }
    if (url.pathname !== "/billing/stream/") {
      return (await this.answers[url.pathname]?.(request)) ?? problem(404, "not_found");
    }
    if (this.answerStream) {
      return this.answerStream(request);
    }
    const stream = new FakeStream(url, request.signal);
    this.streams.push(stream);
    return new Response(stream.body, { headers: { "Content-Type": "text/event-stream" } });
  };

  /** The stream that was opened last. */
  get stream(): FakeStream {
    const last = this.streams.at(-1);
    if (!last) {
      throw new Error("No stream was opened.");
    }
    return last;
  }

  count(path: string): number {
    return this.asked.filter((each) => each === path).length;
  }
}

export function json(content: object): Response {
  return Response.json(content);
}

export function problem(
  status: number,
  code: string,
  headers: Record<string, string> = {},
): Response {
  return Response.json({ status, code, title: code, detail: code }, { status, headers });
}

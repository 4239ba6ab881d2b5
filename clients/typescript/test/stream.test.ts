import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { type BillingStream, createBillingClient, type Message } from "../src/index.js";
import { FakeApi, problem } from "./fake_api.js";

const PATH = "/billing/stream/";
let api: FakeApi;
let stream: BillingStream;
let gone: AbortController;
let told: Message[];
let heard: string[];

beforeEach(() => {
  vi.useFakeTimers();
  api = new FakeApi();
  gone = new AbortController();
  told = [];
  heard = [];
});

afterEach(() => {
  gone.abort();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function begin(token = "token of u1"): void {
  const client = createBillingClient({ baseUrl: "https://b.example.com/", token, fetch: api.fetch });
  stream = client.stream({
    signal: gone.signal,
    onRefresh: () => heard.push("refresh"),
    onMessage: (message) => told.push(message),
    onStatus: (status) => heard.push(status),
    onError: (error) => heard.push(`error ${error instanceof Error ? error.message : error}`),
  });
}

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const refreshes = () => heard.filter((each) => each === "refresh").length;

async function beginLive(version = 4): Promise<void> {
  begin();
  await pass();
  api.stream.position("ready", version);
  await pass();
}

describe("a stream that stands", () => {
  test("asks for the state first, then tells each message once", async () => {
    await beginLive();
    expect(heard).toEqual(["live", "refresh"]);
    api.stream.tell(5, "tokens.changed", { balance: 7 });
    api.stream.tell(5, "tokens.changed", { balance: 7 });
    api.stream.tell(6, "payment.paid", { id: "in_1" });
    await pass();
    expect(told.map(({ version, type, data }) => [version, type, data])).toEqual([
      [5, "tokens.changed", { balance: 7 }],
      [6, "payment.paid", { id: "in_1" }],
    ]);
    expect(stream.version).toBe(6);
  });

  test("reads what arrives in any pieces", async () => {
    await beginLive();
    const text = 'id: 5\r\nevent: tokens.changed\r\ndata: {"version": 5, "data": "é"}\r\n\r\n';
    for (const byte of new TextEncoder().encode(text)) {
      api.stream.sendBytes(Uint8Array.of(byte));
    }
    await pass();
    expect(told).toEqual([{ version: 5, data: "é" }]);
  });

  test("says when changes are told late, and when they no longer are", async () => {
    await beginLive();
    api.stream.send('event: delayed\ndata: {"reason": "late"}\n\n');
    await pass();
    expect(stream.status).toBe("delayed");
    api.stream.send("event: live\ndata: {}\n\n");
    await pass();
    expect(stream.status).toBe("live");
  });

  test("passes on what it does not know, where that is a message", async () => {
    await beginLive();
    api.stream.send("event: weather\ndata: {}\n\n: a comment\n\nnonsense\n\n");
    api.stream.tell(5, "tokens.rained", {});
    await pass();
    expect(told.map(({ type }) => type)).toEqual(["tokens.rained"]);
  });

  test("an app's error is the app's own", async () => {
    const thrown: unknown[] = [];
    vi.stubGlobal("queueMicrotask", (work: () => void) => {
      try {
        work();
      } catch (error) {
        thrown.push(error);
      }
    });
    await beginLive();
    told.push = () => {
      throw new Error("the app's");
    };
    api.stream.tell(5, "tokens.changed", {});
    await pass();
    expect(thrown).toEqual([new Error("the app's")]);
    expect(stream.status).toBe("live");
  });
});

describe("a stream that breaks off", () => {
  test("resumes after the last message", async () => {
    await beginLive(4);
    expect(api.stream.lastVersion).toBeNull();
    api.stream.tell(5, "tokens.changed", {});
    await pass(20_000);
    api.stream.end();
    await pass(1_000);
    expect(api.streams).toHaveLength(2);
    expect(api.stream.lastVersion).toBe("5");
    api.stream.tell(6, "tokens.changed", {});
    await pass();
    expect(told.map(({ version }) => version)).toEqual([5, 6]);
    expect(refreshes()).toBe(1);
  });

  test("asks for the state again where messages are no longer kept", async () => {
    await beginLive(4);
    api.stream.breakOff(new TypeError("network"));
    await pass(1_000);
    api.stream.position("reset", 2);
    api.stream.tell(3, "tokens.changed", {});
    await pass();
    expect(refreshes()).toBe(2);
    expect(told.map(({ version }) => version)).toEqual([3]);
  });

  test("is taken for lost when not even a comment comes", async () => {
    await beginLive(4);
    await pass(30_000);
    api.stream.send(": still here\n\n");
    await pass(39_000);
    expect(api.streams).toHaveLength(1);
    await pass(3_000);
    expect(api.streams).toHaveLength(2);
    expect(heard).toContain("error The stream is silent.");
  });

  test("comes back at once when the network does", async () => {
    const window = new EventTarget();
    vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
    await beginLive(4);
    api.answerStream = () => Promise.reject(new TypeError("network"));
    api.stream.breakOff(new TypeError("network"));
    await pass(600_000);
    const before = api.count(PATH);
    await pass(10);
    window.dispatchEvent(new Event("online"));
    await pass();
    expect(api.count(PATH)).toBe(before + 1);
  });
});

describe("where no stream can be opened", () => {
  test("the state is asked for every few seconds, until one can", async () => {
    api.answerStream = () => problem(503, "stream_unavailable");
    begin();
    await pass(20_500);
    expect(stream.status).toBe("polling");
    expect(refreshes()).toBe(5);
    api.answerStream = undefined;
    while (api.streams.length === 0) {
      await pass(1_000);
    }
    api.stream.position("ready", 9);
    await pass();
    expect(stream.status).toBe("live");
    const before = refreshes();
    await pass(9_000);
    expect(refreshes()).toBe(before);
  });

  test("a page that nobody sees does not ask", async () => {
    vi.stubGlobal("document", { hidden: true });
    api.answerStream = () => problem(503, "stream_unavailable");
    begin();
    await pass(60_000);
    expect(refreshes()).toBe(1);
  });

  test("a proxy that collects answers is one such place", async () => {
    begin();
    await pass(11_000);
    expect(stream.status).toBe("polling");
    expect(api.streams[0]?.isClosed).toBe(true);
  });

  test("less and less is tried, and never before the API said", async () => {
    api.answerStream = () => problem(429, "too_many_streams", { "Retry-After": "50" });
    begin();
    await pass(49_000);
    expect(api.count(PATH)).toBe(1);
    api.answerStream = () => problem(503, "stream_unavailable");
    await pass(600_000);
    expect(api.count(PATH)).toBeGreaterThan(8);
    expect(api.count(PATH)).toBeLessThan(28);
  });

  test("an answer that ends at once does not make it ask in a circle", async () => {
    api.answerStream = () => new Response("retry: 2000\n\n");
    begin();
    await pass(60_000);
    expect(api.count(PATH)).toBeLessThan(12);
    expect(stream.status).toBe("polling");
  });

  test("who is not let in does not poll", async () => {
    begin("stolen");
    await pass(120_000);
    expect(refreshes()).toBe(0);
    expect(api.count(PATH)).toBeLessThan(14);
  });
});

describe("the end", () => {
  test.each([
    ["close", () => stream.close()],
    ["the signal", () => gone.abort()],
  ])("comes by %s", async (_name, end) => {
    await beginLive();
    end();
    await pass();
    expect(stream.status).toBe("closed");
    expect(api.stream.isClosed).toBe(true);
    await pass(600_000);
    expect(api.streams).toHaveLength(1);
    expect(heard.filter((each) => each.startsWith("error"))).toEqual([]);
  });

  test("may come before the beginning", async () => {
    gone.abort();
    begin();
    await pass();
    expect(stream.status).toBe("closed");
    expect(api.asked).toEqual([]);
  });

  test("comes while it polls", async () => {
    api.answerStream = () => problem(503, "stream_unavailable");
    begin();
    await pass(10_500);
    stream.close();
    await pass();
    const before = heard.length;
    await pass(60_000);
    expect(heard).toHaveLength(before);
    expect(stream.status).toBe("closed");
  });
});

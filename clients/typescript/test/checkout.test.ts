import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { createBillingClient } from "../src/index.js";
import { FakeApi, json } from "./fake_api.js";

const PATH = "/billing/stripe/checkout-session/cs_1/";
let api: FakeApi;
let status: string;

beforeEach(() => {
  vi.useFakeTimers();
  api = new FakeApi();
  status = "processing";
  api.answers[PATH] = () => json({ session_id: "cs_1", status });
});

afterEach(() => {
  vi.useRealTimers();
});

const client = () =>
  createBillingClient({ baseUrl: "https://b.example.com", token: "token of u1", fetch: api.fetch });
const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

test("a purchase is asked for until it is over", async () => {
  const waiting = client().waitForCheckout("cs_1");
  await pass(3_000);
  status = "complete";
  await pass(5_000);
  expect((await waiting).status).toBe("complete");
});

test("a message has it ask at once, also one that comes while it asks", async () => {
  let hurry = (): void => undefined;
  const left = vi.fn();
  const waiting = client().waitForCheckout("cs_1", {
    timeoutMs: Infinity,
    hurry: (askNow) => {
      hurry = askNow;
      return left;
    },
  });
  await pass(600_010);
  const before = api.count(PATH);
  hurry();
  await pass();
  expect(api.count(PATH)).toBe(before + 1);
  api.answers[PATH] = () => {
    hurry();
    api.answers[PATH] = () => json({ session_id: "cs_1", status: "complete" });
    return json({ session_id: "cs_1", status });
  };
  hurry();
  await pass();
  expect((await waiting).status).toBe("complete");
  expect(left).toHaveBeenCalledOnce();
});

test("whoever leaves the page asks no more", async () => {
  const gone = new AbortController();
  const waiting = client().waitForCheckout("cs_1", { signal: gone.signal });
  const ended = expect(waiting).rejects.toThrow("left");
  await pass(1_000);
  gone.abort(new Error("left"));
  await ended;
  const before = api.count(PATH);
  await pass(60_000);
  expect(api.count(PATH)).toBe(before);
});

import { createBillingClient, type Message } from "@fiko/billing-client";
import { act, type ReactNode, StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { FakeApi, json, problem } from "../../typescript/test/fake_api.js";
import {
  BillingProvider,
  useAccess,
  useBalance,
  useCheckout,
  useMessages,
  useStreamStatus,
  useSubscription,
} from "../src/index.js";

const TOKENS = "/billing/tokens/";
const SUBSCRIPTIONS = "/billing/subscriptions/";
const ACCESS = "/billing/access/";
const SESSION = "/billing/stripe/checkout-session/cs_1/";
const PLAN = { id: "sub_1", plan_id: 1, plan_type: "full", status: "active", is_active: true };

let api: FakeApi;
let client: ReturnType<typeof createBillingClient>;
let root: Root;
let page: HTMLElement;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  api = new FakeApi();
  api.answers[TOKENS] = () => json({ balance: 100, updated_at: null });
  api.answers[SUBSCRIPTIONS] = () => json({ items: [], next_cursor: null });
  client = createBillingClient({
    baseUrl: "https://b.example.com",
    token: "token of u1",
    fetch: api.fetch,
  });
  page = document.createElement("main");
  root = createRoot(page);
});

afterEach(async () => {
  await act(() => root.unmount());
  await pass(2_000);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms = 0) => act(() => vi.advanceTimersByTimeAsync(ms));
const show = (content: ReactNode) =>
  act(async () => {
    root.render(<BillingProvider client={client}>{content}</BillingProvider>);
    await vi.advanceTimersByTimeAsync(0);
  });

async function showLive(content: ReactNode, version = 1): Promise<void> {
  await show(content);
  api.stream.position("ready", version);
  await pass();
}

async function tell(version: number, type: string, data: object): Promise<void> {
  api.stream.tell(version, type, data);
  await pass();
}

/** Has the balance answered only when the test says so; a function for each question. */
function holdBalance(): ((balance: number) => Promise<unknown>)[] {
  const answers: ((balance: number) => Promise<unknown>)[] = [];
  api.answers[TOKENS] = () =>
    new Promise((resolve) => {
      answers.push((balance) => {
        resolve(json({ balance, updated_at: null }));
        return pass();
      });
    });
  return answers;
}

function Balance() {
  const { data, error, isLoading } = useBalance();
  return <p>{isLoading ? "loading" : error ? `failed, ${data?.balance}` : data?.balance}</p>;
}

function Plan() {
  const { data, all, isLoading } = useSubscription();
  return <p>{isLoading ? "loading" : `${data?.id ?? "none"} ${data?.status} of ${all.length}`}</p>;
}

function Feature({ name }: { name: string }) {
  const { data, isAllowed, isLoading } = useAccess(name);
  return <p>{isLoading ? "loading" : `${isAllowed} ${data?.limit} ${data?.why.code}`}</p>;
}

describe("useBalance", () => {
  test("asks once the stream says where it is, and then hears", async () => {
    await show(<Balance />);
    expect(page.textContent).toBe("loading");
    expect(api.count(TOKENS)).toBe(0);
    api.stream.position("ready", 1);
    await pass();
    expect(page.textContent).toBe("100");
    await tell(2, "tokens.changed", { balance: 40, updated_at: null });
    expect(page.textContent).toBe("40");
    expect(api.count(TOKENS)).toBe(1);
  });

  test("does not wait for a stream that takes its time", async () => {
    await show(<Balance />);
    await pass(1_000);
    expect(page.textContent).toBe("100");
  });

  test("an answer that is older than a message does not undo it", async () => {
    const answers = holdBalance();
    await showLive(<Balance />);
    await tell(2, "tokens.changed", { balance: 40, updated_at: null });
    await answers[0]?.(100);
    expect(page.textContent).toBe("40");
  });

  test("a gap while it asks has it ask again", async () => {
    const answers = holdBalance();
    await showLive(<Balance />);
    api.stream.position("reset", 9);
    await pass();
    await answers[0]?.(100);
    await answers[1]?.(55);
    expect(page.textContent).toBe("55");
  });

  test("keeps what it knows when asking fails, and asks again", async () => {
    await showLive(<Balance />);
    api.answers[TOKENS] = () => problem(503, "unavailable");
    api.stream.position("reset", 9);
    await pass();
    expect(page.textContent).toBe("failed, 100");
    api.answers[TOKENS] = () => json({ balance: 70, updated_at: null });
    await pass(1_000);
    expect(page.textContent).toBe("70");
  });

  test("polls where there is no stream", async () => {
    api.answerStream = () => problem(503, "stream_unavailable");
    await show(<Balance />);
    expect(page.textContent).toBe("100");
    api.answers[TOKENS] = () => json({ balance: 70, updated_at: null });
    await pass(5_000);
    expect(page.textContent).toBe("70");
  });
});

describe("useSubscription", () => {
  test("hears of a new one, a changed one and one that is no longer the user's", async () => {
    await showLive(<Plan />);
    expect(page.textContent).toBe("none undefined of 0");
    await tell(2, "subscription.changed", PLAN);
    expect(page.textContent).toBe("sub_1 active of 1");
    await tell(3, "subscription.changed", { ...PLAN, status: "past_due" });
    expect(page.textContent).toBe("sub_1 past_due of 1");
    await tell(4, "subscription.changed", { id: "sub_1", removed: true });
    expect(page.textContent).toBe("none undefined of 0");
  });

  test("an active plan counts before a package, and both before what has ended", async () => {
    const ended = { ...PLAN, id: "sub_3", status: "canceled", is_active: false };
    const packet = { ...PLAN, id: "sub_2", plan_type: "token" };
    const items: object[] = [ended, packet, PLAN];
    api.answers[SUBSCRIPTIONS] = () => json({ items, next_cursor: null });
    await showLive(<Plan />);
    expect(page.textContent).toBe("sub_1 active of 3");
    items.pop();
    api.stream.position("reset", 2);
    await pass();
    expect(page.textContent).toBe("sub_2 active of 2");
    items.pop();
    api.stream.position("reset", 3);
    await pass();
    expect(page.textContent).toBe("sub_3 canceled of 1");
  });
});

describe("useAccess", () => {
  const granted = (limit: number | null) => ({
    features: { seats: { allowed: limit !== 0, limit, why: { code: "plan", text: "" } } },
    until: null,
  });

  test("opens and closes with what is told", async () => {
    api.answers[ACCESS] = () => json(granted(0));
    await showLive(<Feature name="seats" />);
    expect(page.textContent).toBe("false 0 plan");
    await tell(2, "access.changed", granted(5));
    expect(page.textContent).toBe("true 5 plan");
  });

  test("what nobody sells is not allowed", async () => {
    api.answers[ACCESS] = () => json(granted(5));
    for (const name of ["planets", "constructor", "__proto__"]) {
      await showLive(<Feature name={name} />);
      expect(page.textContent).toBe("false undefined undefined");
    }
  });
});

describe("useCheckout", () => {
  function Purchase() {
    const { data, error } = useCheckout("cs_1");
    return <p>{error ? "failed" : data?.status}</p>;
  }

  test("changes when the payment is told, long after the page was opened", async () => {
    let status = "processing";
    api.answers[SESSION] = () => json({ session_id: "cs_1", status });
    await showLive(<Purchase />);
    expect(page.textContent).toBe("processing");
    await pass(30_010);
    status = "complete";
    await tell(2, "payment.paid", { id: "cs_1" });
    expect(page.textContent).toBe("complete");
    const before = api.count(SESSION);
    await pass(300_000);
    expect(api.count(SESSION)).toBe(before);
  });

  test("says when there is no such purchase", async () => {
    await showLive(<Purchase />);
    expect(page.textContent).toBe("failed");
  });
});

describe("one stream", () => {
  test("serves every hook of every provider, and strict mode", async () => {
    await showLive(
      <StrictMode>
        <Balance />
        <Plan />
        <BillingProvider client={client}>
          <Balance />
        </BillingProvider>
      </StrictMode>,
    );
    expect(api.streams).toHaveLength(1);
    expect(api.count(TOKENS)).toBe(1);
    await tell(2, "tokens.changed", { balance: 40, updated_at: null });
    expect(page.textContent).toBe("40none undefined of 040");
  });

  test("outlives a change of pages, and ends with the last", async () => {
    await showLive(<Balance />);
    await show(null);
    await pass(500);
    await show(<Balance />);
    expect(page.textContent).toBe("100");
    expect(api.streams).toHaveLength(1);
    await show(null);
    await pass(2_000);
    expect(api.stream.isClosed).toBe(true);
  });

  test("passes on every message, and how it stands", async () => {
    const told: Message[] = [];
    function Listener() {
      useMessages((message) => told.push(message));
      return <p>{useStreamStatus()}</p>;
    }
    await show(<Listener />);
    expect(page.textContent).toBe("connecting");
    api.stream.position("ready", 1);
    await pass();
    expect(page.textContent).toBe("live");
    await tell(2, "payment.failed", { id: "in_1", pay_url: "https://pay.example.com" });
    expect(told.map(({ type }) => type)).toEqual(["payment.failed"]);
    api.stream.send("event: delayed\ndata: {}\n\n");
    await pass();
    expect(page.textContent).toBe("delayed");
  });
});

describe("on a server", () => {
  test("nothing is asked for, and the browser takes over what was made", async () => {
    const html = renderToString(
      <BillingProvider client={client}>
        <Balance />
        <Plan />
        <Feature name="seats" />
      </BillingProvider>,
    );
    expect(html).toBe("<p>loading</p><p>loading</p><p>loading</p>");
    await pass(60_000);
    expect(api.asked).toEqual([]);
  });

  test("a hook without a provider says what is missing", () => {
    expect(() => renderToString(<Balance />)).toThrow("There is no BillingProvider above");
  });
});

// The user's changes as they happen, by the browser's own EventSource. While it cannot be had, the
// page asks every two seconds instead.

const TYPES = [
  "tokens.changed",
  "tokens.low",
  "tokens.exhausted",
  "subscription.changed",
  "trial.ending",
  "access.changed",
  "payment.paid",
  "payment.failed",
  "payment.refunded",
  "payment.disputed",
];
const POLL_MILLISECONDS = 2000;
const OPEN_MILLISECONDS = 10_000;
const PAUSE_FIRST_MILLISECONDS = 500;
const PAUSE_MAX_MILLISECONDS = 30_000;

/**
 * Listens for one user, and returns a function that ends it.
 *
 * `refresh` is called when the state is to be asked for, `hear` with each message, and `show` with
 * the status: connecting, live, delayed or polling.
 */
export function listen(client, { refresh, hear, show }) {
  let isOver = false;
  let source;
  let seen;
  let failures = 0;
  let timer;
  let poll;

  const endPolling = () => {
    clearInterval(poll);
    poll = undefined;
  };
  const beginPolling = () => {
    show("polling");
    if (poll) return;
    poll = setInterval(() => document.hidden || refresh(), POLL_MILLISECONDS);
    refresh();
  };
  const begin = () => {
    clearTimeout(timer);
    failures = 0;
    endPolling();
    show("live");
  };
  const see = (event) => {
    seen = event.lastEventId;
  };

  /** A used ticket opens nothing, so a stream that broke off is opened anew with another one. */
  const again = () => {
    clearTimeout(timer);
    source?.close();
    if (isOver) return;
    failures += 1;
    if (failures > 1 || seen === undefined) beginPolling();
    else show("connecting");
    const longest = Math.min(PAUSE_FIRST_MILLISECONDS * 2 ** failures, PAUSE_MAX_MILLISECONDS);
    timer = setTimeout(open, longest * (0.5 + Math.random() / 2));
  };

  const open = async () => {
    try {
      const { ticket } = await client.post("/billing/stream/ticket/", {});
      if (isOver) return;
      const query = new URLSearchParams({ ticket });
      if (seen !== undefined) query.set("last_event_id", seen);
      source = new EventSource(`/billing/stream/?${query}`);
    } catch {
      again();
      return;
    }
    timer = setTimeout(again, OPEN_MILLISECONDS);
    source.addEventListener("open", begin);
    source.addEventListener("error", again);
    source.addEventListener("delayed", () => show("delayed"));
    source.addEventListener("live", () => show("live"));
    for (const type of ["ready", "reset"]) {
      source.addEventListener(type, (event) => {
        see(event);
        refresh();
      });
    }
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        see(event);
        hear(JSON.parse(event.data));
      });
    }
  };

  show("connecting");
  open();
  return () => {
    isOver = true;
    clearTimeout(timer);
    endPolling();
    source?.close();
  };
}

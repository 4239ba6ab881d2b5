/** Reads Server-Sent Events from the body of an answer. */

/** An event as it was sent; `id` is empty where none was given. */
export interface ServerEvent {
  id: string;
  type: string;
  data: string;
}

// A line is held until its end comes. Messages are a few kB.
const LINE_LENGTH_MAX = 4_000_000;

/** The events of a body in their order; ends with it. `onBytes` hears of all that arrives. */
export async function* eventsOf(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event = emptyEvent();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      onBytes();
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > LINE_LENGTH_MAX) {
        throw new Error("The stream sends a line without end.");
      }
      for (const line of lines.map((each) => each.replace(/\r$/, ""))) {
        if (line !== "") {
          addLine(event, line);
          continue;
        }
        if (event.data !== "") {
          yield event;
        }
        event = emptyEvent();
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function emptyEvent(): ServerEvent {
  return { id: "", type: "message", data: "" };
}

function addLine(event: ServerEvent, line: string): void {
  const colon = line.indexOf(":");
  // A comment begins with a colon.
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (name === "data") {
    event.data = event.data === "" ? value : `${event.data}\n${value}`;
  } else if (name === "event") {
    event.type = value;
  } else if (name === "id") {
    event.id = value;
  }
}

// Serves a route handler as Next.js does: a web Request in, a web Response out. The module that
// exports POST is the argument, the port is PORT.

import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { POST } = await import(pathToFileURL(process.argv[2]));

createServer(async (incoming, outgoing) => {
  const body = await buffer(incoming);
  const address = `http://${incoming.headers.host}${incoming.url}`;
  const answer = await POST(
    new Request(address, { method: "POST", headers: incoming.headers, body }),
  );
  outgoing.writeHead(answer.status);
  outgoing.end(Buffer.from(await answer.arrayBuffer()));
}).listen(process.env.PORT, "127.0.0.1");

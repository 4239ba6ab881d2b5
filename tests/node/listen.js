// Listens with our TypeScript client and says each thing it is told in a line of JSON.
const [built, baseUrl, token] = process.argv.slice(2);
const { createBillingClient } = await import(built);

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
createBillingClient({ baseUrl, token }).stream({
  onRefresh: () => say({ refresh: true }),
  onMessage: (message) => say(message),
  onStatus: (status) => say({ status }),
});
// A stream keeps nobody alive while it waits to come back.
setInterval(() => {}, 1_000);

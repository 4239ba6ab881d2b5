// The smallest server around @supabase/stripe-sync-engine: what its documentation shows.
// Its packages are in the folder BENCH_PACKAGES; listens on PORT, keeps things in DATABASE_URL.

import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const found = createRequire(pathToFileURL(`${process.env.BENCH_PACKAGES}/`))
const { StripeSync, runMigrations } = found('@supabase/stripe-sync-engine')

const databaseUrl = process.env.DATABASE_URL
const schema = 'stripe'
// It goes on where a migration fails, so that is said and ends it here.
const logger = {
  info() {},
  error(...said) {
    console.error(...said)
    process.exit(1)
  },
}
await runMigrations({ databaseUrl, schema, logger })
const sync = new StripeSync({
  schema,
  stripeSecretKey: 'sk_test_bench',
  stripeWebhookSecret: process.env.STRIPE_WEBHOOK_SECRET,
  // What an event carries is what is kept.
  autoExpandLists: false,
  backfillRelatedEntities: false,
  poolConfig: { connectionString: databaseUrl, max: 10 },
})
// It asks for the lines of every checkout session; an empty answer that takes no time is its best.
sync.stripe.checkout.sessions.listLineItems = () => []

function answer(response, status, body) {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  })
  response.end(text)
}

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    answer(response, 200, { ok: true })
    return
  }
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', async () => {
    try {
      await sync.processWebhook(Buffer.concat(parts), request.headers['stripe-signature'])
      answer(response, 200, { received: true })
    } catch (error) {
      console.error(error)
      answer(response, 500, { error: String(error.message) })
    }
  })
})
server.keepAliveTimeout = 75_000
server.listen(Number(process.env.PORT), '127.0.0.1')

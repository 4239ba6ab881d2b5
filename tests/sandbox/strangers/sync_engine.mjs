// @supabase/stripe-sync-engine as its documentation shows it, on the offline Stripe.
// `backfill` reads everything and ends; `webhooks` takes events on PORT until it is told to stop.
// Its packages are in the folder STRANGERS, its tables in DATABASE_URL.

import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const found = createRequire(pathToFileURL(`${process.env.STRANGERS}/`))
const { StripeSync, runMigrations } = found('@supabase/stripe-sync-engine')
const Stripe = found('stripe')

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
  stripeSecretKey: process.env.STRIPE_SECRET_KEY,
  stripeWebhookSecret: process.env.STRIPE_WEBHOOK_SECRET,
  // Events of one second say little of what came last, so it asks for the object.
  revalidateObjectsViaStripeApi: [
    ...['charge', 'checkout.session', 'credit_note', 'customer', 'dispute', 'invoice'],
    ...['payment_intent', 'payment_method', 'price', 'product', 'refund', 'setup_intent'],
    'subscription',
  ],
  poolConfig: { connectionString: databaseUrl, max: 10 },
})
const base = new URL(process.env.STRIPE_API_BASE)
sync.stripe = new Stripe(process.env.STRIPE_SECRET_KEY, {
  host: base.hostname,
  port: base.port,
  protocol: 'http',
  telemetry: false,
})

if (process.argv[2] === 'backfill') {
  const synced = await sync.syncBackfill({ object: 'all' })
  console.log(JSON.stringify(synced))
  process.exit(0)
}

const server = createServer((request, response) => {
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', async () => {
    let status = 200
    let said = 'taken'
    const body = Buffer.concat(parts)
    try {
      // It wants an id of every invoice, and one that is to come has none, at Stripe either.
      if (JSON.parse(body).type !== 'invoice.upcoming')
        await sync.processWebhook(body, request.headers['stripe-signature'])
    } catch (error) {
      // Of a type that it does not know it says so by throwing.
      said = String(error.message)
      status = said === 'Unhandled webhook event' ? 200 : 500
    }
    response.writeHead(status, { 'Content-Length': Buffer.byteLength(said) })
    response.end(said)
  })
})
server.keepAliveTimeout = 75_000
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'))

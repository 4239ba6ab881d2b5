// stripe-node on the offline Stripe: reads every collection to its end, searches, buys, is declined.
// Prints JSON: how many of each kind there are, sums of money, and the errors that it was told.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const found = createRequire(pathToFileURL(`${process.env.STRANGERS}/`))
const Stripe = found('stripe')
const base = new URL(process.env.STRIPE_API_BASE)
const stripe = new Stripe(process.env.STRIPE_SECRET_KEY, {
  host: base.hostname,
  port: base.port,
  protocol: 'http',
  telemetry: false,
  maxNetworkRetries: 0,
})

async function every(collection, params = {}) {
  const items = []
  for await (const item of collection.list({ limit: 100, ...params })) items.push(item)
  return items
}

async function searched(collection, query) {
  const ids = []
  for await (const item of collection.search({ query, limit: 3 })) ids.push(item.id)
  return ids
}

async function refused(work) {
  try {
    await work()
    return null
  } catch (error) {
    const { type, code, decline_code, doc_url, statusCode } = error
    return { type, code, decline_code, doc_url, status: statusCode }
  }
}

const invoices = await every(stripe.invoices)
const charges = await every(stripe.charges)
const counts = {
  customers: (await every(stripe.customers)).length,
  subscriptions: (await every(stripe.subscriptions, { status: 'all' })).length,
  invoices: invoices.length,
  charges: charges.length,
  payment_intents: (await every(stripe.paymentIntents)).length,
  refunds: (await every(stripe.refunds)).length,
  disputes: (await every(stripe.disputes)).length,
  credit_notes: (await every(stripe.creditNotes)).length,
  sessions: (await every(stripe.checkout.sessions)).length,
  prices: (await every(stripe.prices)).length,
  products: (await every(stripe.products)).length,
  coupons: (await every(stripe.coupons)).length,
}
const sum = (items, amount) => items.reduce((whole, item) => whole + amount(item), 0)
const sums = {
  paid: sum(invoices, (invoice) => invoice.amount_paid),
  charged: sum(charges, (charge) => (charge.status === 'succeeded' ? charge.amount : 0)),
  refunded: sum(charges, (charge) => charge.amount_refunded),
}
const searches = {
  customers: await searched(stripe.customers, "email~'example.com'"),
  subscriptions: await searched(stripe.subscriptions, "status:'active'"),
  invoices: await searched(stripe.invoices, "status:'paid' AND total>0"),
  charges: await searched(stripe.charges, "status:'succeeded'"),
  payment_intents: await searched(stripe.paymentIntents, "status:'succeeded'"),
  prices: await searched(stripe.prices, "active:'true'"),
  products: await searched(stripe.products, "active:'true'"),
}
const declined = await refused(() =>
  stripe.paymentIntents.create({
    amount: 2000,
    currency: 'usd',
    confirm: true,
    payment_method: 'pm_card_chargeDeclinedInsufficientFunds',
    return_url: 'https://shop.test/',
  })
)
const missing = await refused(() => stripe.customers.retrieve('cus_nobody'))
const small = await refused(() => stripe.paymentIntents.create({ amount: 1, currency: 'usd' }))
const account = (await stripe.accounts.retrieve()).id
console.log(JSON.stringify({ counts, sums, searches, declined, missing, small, account }))

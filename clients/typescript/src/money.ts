/** Amounts as Stripe and this API count them: whole minor units. */

// Of every other currency that Stripe lists a unit has a hundred minor units, also of ISK and UGX,
// which people write without decimals. https://docs.stripe.com/currencies
const WITHOUT_DECIMALS = new Set(
  "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "),
);
const WITH_THREE = new Set("bhd jod kwd omr tnd".split(" "));

/** How many decimals the minor unit of a currency stands for: 2 of usd, 0 of jpy, 3 of kwd. */
export function minorDigits(currency: string): number {
  const code = currency.toLowerCase();
  if (WITHOUT_DECIMALS.has(code)) {
    return 0;
  }
  return WITH_THREE.has(code) ? 3 : 2;
}

/** An amount of minor units as people of a locale write it; the browser's where none is given. */
export function money(amount: number, currency: string, locale?: string): string {
  const format = new Intl.NumberFormat(locale, { style: "currency", currency });
  return format.format(amount / 10 ** minorDigits(currency));
}

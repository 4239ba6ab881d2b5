import { expect, test } from "vitest";

import { minorDigits, money } from "../src/money.js";

// Every currency that Stripe lists for charges.
const LISTED =
  "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn " +
  "bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf " +
  "gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr " +
  "lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen " +
  "pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd " +
  "top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw";
const NONE = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" ");
const THREE = "bhd jod kwd omr tnd".split(" ");

test("every currency that Stripe lists has the decimals that Stripe counts by", () => {
  for (const currency of LISTED.split(" ")) {
    const expected = NONE.includes(currency) ? 0 : THREE.includes(currency) ? 3 : 2;
    expect([currency, minorDigits(currency)]).toEqual([currency, expected]);
    const whole = money(5 * 10 ** expected, currency, "en").replace(/[^\d.]/g, "");
    expect([currency, Number(whole)]).toEqual([currency, 5]);
  }
});

test("a currency that people write without decimals is not a hundredfold too large", () => {
  expect(money(150_000, "isk", "en")).toContain("1,500");
  expect(money(500_000, "UGX", "en")).toContain("5,000");
  expect(money(2_900, "usd", "en")).toBe("$29.00");
  expect(money(1_250, "kwd", "en")).toContain("1.250");
});

// Comfort only: everything on these pages works without this file.

const number = document.querySelector("#card_number");

/** Groups of four digits, as they are printed on a card. */
function grouped(text) {
  return text.replace(/\D/g, "").slice(0, 19).replace(/(\d{4})(?=\d)/g, "$1 ");
}

if (number) {
  number.addEventListener("input", () => {
    if (number.selectionStart === number.value.length) number.value = grouped(number.value);
  });
}

const expiry = document.querySelector("#card_expiry");
if (expiry) {
  expiry.addEventListener("input", (event) => {
    const digits = expiry.value.replace(/\D/g, "").slice(0, 4);
    const adding = !String(event.inputType).startsWith("delete");
    if (digits.length > 2 || (digits.length === 2 && adding)) {
      expiry.value = `${digits.slice(0, 2)} / ${digits.slice(2)}`;
    }
  });
}

// A test card is one press away: number, date, code and, where it is empty, a name.
for (const item of number ? document.querySelectorAll("[data-card]") : []) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = item.textContent;
  button.setAttribute("aria-label", `Fill in ${item.textContent}`);
  button.addEventListener("click", () => {
    number.value = grouped(item.dataset.card);
    if (expiry) expiry.value = "12 / 40";
    const cvc = document.querySelector("#card_cvc");
    if (cvc) cvc.value = "123";
    const name = document.querySelector("#card_name");
    if (name && !name.value) name.value = "Test Buyer";
    document.querySelector("button.main")?.focus();
  });
  item.replaceChildren(button);
}

// What is to be done first has the focus: what was wrong, else the first field that is empty.
const wrong = document.querySelector('[aria-invalid="true"]');
const first = [...document.querySelectorAll("main form[novalidate] input[type=text]")].find(
  (field) => !field.value && field.offsetParent,
);
if (wrong) wrong.focus();
else first?.focus({ preventScroll: true });

// A second press of a button sends nothing twice.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    if (event.submitter) {
      event.submitter.setAttribute("aria-disabled", "true");
      if (event.submitter.dataset.busy) event.submitter.textContent = event.submitter.dataset.busy;
    }
  });
}
// Back from another page by the browser's own button, a form may be sent again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

// The dashboard's lists follow what happens while someone looks at them.
const REFRESH_MILLISECONDS = 2000;
const live = [...document.querySelectorAll("[data-live]")];
async function refresh() {
  const answer = await fetch(window.location.pathname, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of live) {
    const other = fresh.getElementById(part.id);
    const held = part.contains(document.activeElement) ? document.activeElement : null;
    if (!other || (held && !held.matches(".scroll"))) continue;
    part.hidden = other.hidden;
    if (other.innerHTML === part.innerHTML) continue;
    const left = part.querySelector(".scroll")?.scrollLeft ?? 0;
    part.innerHTML = other.innerHTML;
    const table = part.querySelector(".scroll");
    if (table) table.scrollLeft = left;
    if (held) table?.focus({ preventScroll: true });
  }
}
if (live.length) {
  setInterval(() => {
    if (!document.hidden) refresh().catch(() => {});
  }, REFRESH_MILLISECONDS);
}

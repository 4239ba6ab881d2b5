// Shows the API's own document, in the scheme that the reader's machine wants.

const light = {
  colors: {
    primary: { main: "#155e4b", light: "#155e4b" },
    success: { main: "#0d4637" },
    error: { main: "#a3271f" },
    text: { primary: "#182420", secondary: "#52605a" },
    responses: {
      success: { color: "#0d4637" },
      error: { color: "#a3271f" },
      info: { color: "#155e4b" },
    },
    http: {
      get: "#0d4637",
      post: "#1f4f86",
      basic: "#52605a",
    },
  },
  schema: { typeNameColor: "#52605a", typeTitleColor: "#52605a", requireLabelColor: "#a3271f" },
  sidebar: { backgroundColor: "#f6f5f1", textColor: "#182420", activeTextColor: "#0d4637" },
  rightPanel: { backgroundColor: "#141917" },
  typography: {
    code: { color: "#7a2a24", backgroundColor: "#f4f3ef" },
    links: { color: "#155e4b", visited: "#155e4b", hover: "#0d4637" },
  },
};
const dark = {
  colors: {
    primary: { main: "#82d9bd" },
    success: { main: "#82d9bd" },
    error: { main: "#f08c83" },
    text: { primary: "#e8ece9", secondary: "#b6c0bb" },
    border: { dark: "#465049", light: "#2f3935" },
    gray: { 50: "#1d2422", 100: "#252d2a" },
    responses: {
      success: { color: "#82d9bd", backgroundColor: "#1c3a31" },
      error: { color: "#f5aaa3", backgroundColor: "#3a201e" },
      info: { color: "#82d9bd", backgroundColor: "#1c3a31" },
    },
    http: { get: "#0d4637", post: "#1f4f86", basic: "#52605a" },
  },
  schema: {
    nestedBackground: "#1d2422",
    linesColor: "#5f6b65",
    typeNameColor: "#b6c0bb",
    typeTitleColor: "#b6c0bb",
    requireLabelColor: "#f08c83",
  },
  sidebar: { backgroundColor: "#1d2422", textColor: "#e8ece9", activeTextColor: "#82d9bd" },
  rightPanel: { backgroundColor: "#0d110f", textColor: "#e8ece9" },
  codeBlock: { backgroundColor: "#171d1b" },
  typography: {
    code: { color: "#f2b8b1", backgroundColor: "#252d2a" },
    links: { color: "#82d9bd", visited: "#82d9bd", hover: "#b3ecd9" },
  },
};

const place = document.getElementById("reader");
// What opens in Redoc by a click only, and its name. Classes belong to the build that is served.
const openers = { ".sc-iXzfSG": "Contents", "h5 + svg": "More on authorization" };

/** Let somebody reach an element by the keyboard and hear what it is. */
function makeButton(element, name) {
  element.removeAttribute("aria-hidden");
  element.setAttribute("role", "button");
  element.setAttribute("aria-label", name);
  element.setAttribute("tabindex", "0");
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    element.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  });
}

new MutationObserver(() => {
  // Redoc goes from headings of the second level to the fifth. Who hears them hears none missing.
  for (const heading of place.querySelectorAll("h5:not([aria-level])")) {
    heading.setAttribute("aria-level", "3");
  }
  // Its menu's inner lists do not say that they are menus; its items are named by a part of what
  // they show.
  for (const list of place.querySelectorAll("ul:not([role]):has(> [role=menuitem])")) {
    list.setAttribute("role", "menu");
  }
  for (const item of place.querySelectorAll("[role=menuitem][aria-label]")) {
    item.removeAttribute("aria-label");
  }
  for (const [selector, name] of Object.entries(openers)) {
    place.querySelectorAll(`:is(${selector}):not([role])`).forEach((one) => makeButton(one, name));
  }
}).observe(place, { childList: true, subtree: true });
const wish = window.matchMedia("(prefers-color-scheme: dark)");
// Redoc is told its colours once; in the evening it is told others.
wish.addEventListener("change", () => window.location.reload());
// It sends nothing anywhere: what is shown is the document of this host.
window.Redoc.init(
  place.dataset.document,
  { nativeScrollbars: true, sortRequiredPropsFirst: true, theme: wish.matches ? dark : light },
  place,
  () => {
    place.dataset.state = "shown";
  },
);

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./App";
import "./style.css";

// Who comes back from Stripe by the browser's button may get the page as they left it.
window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}

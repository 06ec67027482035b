// Search and sorting take effect while one types or chooses; only the list is replaced, and the address follows.

import { refreshParts } from "./live.js";

const TYPING_MS = 250;

function apply(form) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
  refreshParts();
}

export function filterAsTyped() {
  let timer;
  document.addEventListener("input", (event) => {
    const form = event.target.closest?.("form[data-auto]");
    if (!form) return;
    clearTimeout(timer);
    timer = setTimeout(() => apply(form), event.target.type === "search" ? TYPING_MS : 0);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches?.("form[data-auto]")) return;
    event.preventDefault();
    clearTimeout(timer);
    apply(event.target);
  });
}

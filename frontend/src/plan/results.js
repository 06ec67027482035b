// What became of each model so far: beside it in the list, and for the graph.

import { nameOf } from "./filter.js";

export const results = new Map();

export function followResults(plan) {
  const read = () => {
    results.clear();
    for (const place of plan.querySelectorAll(".result[data-status]")) results.set(nameOf(place.closest(".model")), place.dataset.status);
    document.dispatchEvent(new CustomEvent("dagctl:results"));
  };
  read();
  document.addEventListener("dagctl:shown", read);
}

// Name, state and text of each model that is marked while a step runs. Of many models those that are done are not among them.
export function markResults(plan, marked) {
  const wanted = new Map(marked.map(([name, status, text]) => [name.toLowerCase(), { status, text }]));
  for (const place of plan.querySelectorAll(".result")) {
    const now = wanted.get(nameOf(place.closest(".model")));
    if (!now && place.dataset.status !== "running") continue;
    place.textContent = now?.text ?? "";
    if (now) place.dataset.status = now.status;
    else delete place.dataset.status;
  }
}

// Shows what changed elsewhere. Whoever learns of a change says so with the event "dagctl:changed"; this fetches the page and
// takes over what differs.

import { rememberRegions, showDocument } from "./regions.js";

let running = null;
let again = false;

export function followChanges(plan) {
  rememberRegions();
  document.addEventListener("dagctl:changed", () => refresh(plan));
}

export function refresh(plan) {
  if (running) {
    again = true;
    return running;
  }
  running = fetchPage(plan).finally(() => {
    running = null;
    if (again) {
      again = false;
      refresh(plan);
    }
  });
  return running;
}

async function fetchPage(plan) {
  const address = new URL(plan.dataset.plan, location.href);
  const page = new URLSearchParams(location.search).get("models");
  if (page) address.searchParams.set("models", page);
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (fresh.querySelector("[data-plan]")) showDocument(fresh);
    else if (answer.status === 404 || answer.status === 401) document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
  } catch {
    // The next change, or the next poll, tries again.
  }
}

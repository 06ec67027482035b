// Shows what changed elsewhere. The frame's script hears of it and says so with the event "dagctl:changed"; this fetches the page
// and takes over what differs.

import { sessionOver } from "../live.js";
import { rememberRegions, showDocument } from "./regions.js";

let running = null;
let again = false;

export function followChanges(plan) {
  rememberRegions();
  document.addEventListener("dagctl:changed", ({ detail: told }) => {
    if (told.all || told.groups?.includes(plan.dataset.live) || told.projects?.includes(plan.dataset.project)) refresh(plan);
  });
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
    const answer = await fetch(address, { headers: { "X-Dagctl-Request": "live" }, credentials: "same-origin" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (fresh.querySelector("[data-plan]")) showDocument(fresh);
    else if (answer.status === 401) sessionOver();
    else if (answer.status === 403 || answer.status === 404) location.reload();
  } catch {
    // The next change, or the next poll, tries again.
  }
}

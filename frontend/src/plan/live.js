// Shows what changed elsewhere. The frame's script hears of it and says so with the event "dagctl:changed"; this fetches the page
// and takes over what differs.

import { sessionOver } from "../live.js";
import { rememberRegions, showDocument } from "./regions.js";
import { markResults } from "./results.js";

export function followChanges(plan) {
  rememberRegions();
  const refresh = oneAtATime(() => fetchPage(plan));
  const refreshProgress = oneAtATime(() => fetchProgress(plan));
  document.addEventListener("dagctl:changed", ({ detail: told }) => {
    if (told.all || told.groups?.includes(plan.dataset.live) || told.projects?.includes(plan.dataset.project)) refresh();
    else if (told.progress?.includes(plan.dataset.live)) refreshProgress();
  });
}

// Whatever comes while the work is done leads to doing it once more.
function oneAtATime(work) {
  let running = false, again = false;
  return async function run() {
    if (running) return void (again = true);
    running = true;
    try {
      await work();
    } catch {
      // The next change, or the next poll, tries again.
    }
    running = false;
    if (again) {
      again = false;
      run();
    }
  };
}

async function fetchPage(plan) {
  const address = new URL(plan.dataset.plan, location.href);
  const page = new URLSearchParams(location.search).get("models");
  if (page) address.searchParams.set("models", page);
  const answer = await ask(address);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (fresh.querySelector("[data-plan]")) showDocument(fresh);
  else if (answer.status === 401) sessionOver();
  else if (answer.status === 403 || answer.status === 404) location.reload();
}

// Of thousands of models, how far they are is a small part of the page; it changes often, and the rest does not.
async function fetchProgress(plan) {
  const answer = await ask(`${plan.dataset.plan}/progress`);
  if (!answer.ok) return;
  const { html, results } = await answer.json();
  markResults(plan, results);
  showDocument(new DOMParser().parseFromString(html, "text/html"));
}

function ask(address) {
  return fetch(address, { headers: { "X-Dagctl-Request": "live" }, credentials: "same-origin" });
}

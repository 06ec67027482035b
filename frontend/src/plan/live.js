// Shows what changed elsewhere. The frame's script hears of it and says so with the event "dagctl:changed"; this fetches the page
// and takes over what differs.

import { sessionOver, toldVersion } from "../live.js";
import { isOld, rememberRegions, showDocument, takeTurn } from "./regions.js";
import { markResults } from "./results.js";

const AGAIN_MS = 2000;

export function followChanges(plan) {
  rememberRegions();
  const refresh = oneAtATime(() => fetchPage(plan));
  const refreshProgress = oneAtATime(() => fetchProgress(plan));
  document.addEventListener("dagctl:changed", ({ detail: told }) => {
    if (told.all || told.groups?.includes(plan.dataset.live) || told.projects?.includes(plan.dataset.project)) refresh();
    else if (told.progress?.includes(plan.dataset.live)) refreshProgress();
  });
  // The frame's script came first, and may have been told something while this one was on its way.
  if (toldVersion() !== document.body.dataset.version) refresh();
}

// Whatever comes while the work is done leads to doing it once more. So does a failure, after a while, because nobody tells the
// same twice.
function oneAtATime(work) {
  let running = false, again = false;
  return async function run() {
    if (running) return void (again = true);
    running = true;
    try {
      await work();
    } catch {
      again = true;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
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
  const turn = takeTurn();
  const answer = await ask(address);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (isOld(turn)) return fetchPage(plan);
  if (fresh.querySelector("[data-plan]")) showDocument(fresh, { turn });
  else if (answer.status === 401) sessionOver();
  else if (answer.status === 403 || answer.status === 404) location.reload();
  else if (answer.status >= 500) throw new Error(String(answer.status));
}

// Of thousands of models, how far they are is a small part of the page; it changes often, and the rest does not.
async function fetchProgress(plan) {
  const turn = takeTurn();
  const answer = await ask(`${plan.dataset.plan}/progress`);
  if (!answer.ok) return;
  const { html, results } = await answer.json();
  if (isOld(turn)) return;
  markResults(plan, results);
  showDocument(new DOMParser().parseFromString(html, "text/html"), { turn });
}

function ask(address) {
  return fetch(address, { headers: { "X-Dagctl-Request": "live" }, credentials: "same-origin" });
}

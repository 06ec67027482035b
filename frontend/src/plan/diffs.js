// Opens diffs in place. The code that draws them comes with the first.

const VIEW_KEY = "dagctl.diff";
let view = remembered();

function remembered() {
  try {
    return localStorage.getItem(VIEW_KEY) === "split" ? "split" : "unified";
  } catch {
    return "unified";
  }
}

export function followDiffs(plan) {
  plan.addEventListener("toggle", (event) => {
    const row = event.target.closest?.(".model[data-diff]");
    if (row && event.target.parentElement === row && event.target.open) load(plan, row);
  }, true);
  plan.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-view]");
    if (choice) choose(plan, choice.dataset.view);
    if (event.target.closest("[data-open-all]")) openAll(plan);
  });
  choose(plan, view);
  loadOpen(plan);
  document.addEventListener("dagctl:shown", () => {
    choose(plan, view);
    loadOpen(plan);
  });
}

function loadOpen(plan) {
  for (const row of plan.querySelectorAll(".model[data-diff]")) if (row.firstElementChild.open) load(plan, row);
}

function openAll(plan) {
  const rows = [...plan.querySelectorAll(".model[data-diff]")].filter((row) => !row.hidden);
  const open = rows.some((row) => !row.firstElementChild.open);
  for (const row of rows) row.firstElementChild.open = open;
}

function choose(plan, wanted) {
  for (const button of plan.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === wanted));
  if (wanted === view) return;
  view = wanted;
  try {
    localStorage.setItem(VIEW_KEY, view);
  } catch {
    // Remembered for this page only.
  }
  for (const place of plan.querySelectorAll(".diff")) draw(place);
}

async function load(plan, row) {
  if (row.dataset.loaded !== undefined) return;
  row.dataset.loaded = "";
  const link = row.querySelector(".diff-link a");
  row.querySelector(".diff-plain")?.remove();
  const model = link ? new URL(link.href).searchParams.get("open") : row.querySelector("b").textContent;
  const place = document.createElement("div");
  place.className = "diff";
  place.dataset.keep = "";
  place.textContent = "Loading the diff …";
  row.firstElementChild.append(place);
  row.querySelector(".diff-link")?.setAttribute("hidden", "");
  try {
    const answer = await fetch(`${plan.dataset.plan}/diff?model=${encodeURIComponent(model)}`, {
      headers: { Accept: "application/json" }, credentials: "same-origin",
    });
    if (!answer.ok) throw new Error(String(answer.status));
    place.found = await answer.json();
    await draw(place);
  } catch {
    delete row.dataset.loaded;
    place.remove();
    row.querySelector(".diff-link")?.removeAttribute("hidden");
  }
}

async function draw(place) {
  if (!place.found) return;
  const { drawDiff } = await import("./diff-view.js");
  drawDiff(place, place.found, view);
}

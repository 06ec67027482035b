// Brings the impact graph when it comes into view.

export function followGraph(plan) {
  const place = plan.querySelector("[data-graph]");
  if (!place) return watchFor(plan);
  const watcher = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    open(plan, place);
  }, { rootMargin: "200px" });
  watcher.observe(place);
}

// While a plan is being explained there is no graph; it comes with the rest of the page.
function watchFor(plan) {
  const look = () => {
    if (!plan.querySelector("[data-graph]")) return;
    document.removeEventListener("dagctl:shown", look);
    followGraph(plan);
  };
  document.addEventListener("dagctl:shown", look);
}

async function open(plan, place) {
  try {
    const [answer, { drawGraph }] = await Promise.all([
      fetch(place.dataset.graph, { headers: { Accept: "application/json" }, credentials: "same-origin" }),
      import("./graph-view.js"),
    ]);
    if (!answer.ok) throw new Error(String(answer.status));
    drawGraph(place, await answer.json(), plan);
  } catch {
    place.querySelector("[data-graph-wait]").hidden = false;
  }
}

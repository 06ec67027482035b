// Opens the log of a step in place; the code for it comes with the first. A step that runs is followed from the start, and
// where the last step failed its log is open.

let shown = null;

export function followLogs(plan) {
  const view = plan.querySelector("[data-log-view]");
  if (!view) return;
  plan.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-log]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(plan, view, link);
  });
  const running = () => plan.querySelector('a[data-log][data-status="running"]');
  const failed = () => plan.querySelector('a[data-log][data-status="failed"]:last-of-type');
  if (running() ?? failed()) show(plan, view, running() ?? failed());
  document.addEventListener("dagctl:shown", () => {
    const now = running();
    // What has just started takes the place of the step before it, if that is what the reader was following.
    if (now && (shown === null || (shown.step !== now.dataset.log && (shown.log?.following() ?? true)))) show(plan, view, now);
    mark(plan);
  });
}

async function show(plan, view, link) {
  const step = link.dataset.log;
  if (shown?.step === step) return;
  shown?.log?.stop();
  const mine = (shown = { step, log: null });
  mark(plan);
  const { openLog } = await import("./log-view.js");
  if (shown !== mine) return;
  mine.log = openLog(view, link.href, link.textContent.trim());
}

function mark(plan) {
  for (const link of plan.querySelectorAll("a[data-log]")) {
    if (link.dataset.log === shown?.step) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

// Keeps "3 minutes ago" true while a page stays open, and says the moment in the reader's own time zone.

const UNITS = [[31536000, "year"], [2592000, "month"], [86400, "day"], [3600, "hour"], [60, "minute"]];
const REFRESH_MS = 20_000;
const SECOND_MS = 1000;

export function ageOf(moment, now = Date.now()) {
  const seconds = (now - moment) / 1000;
  for (const [size, unit] of UNITS) {
    if (Math.abs(seconds) >= size) {
      const number = Math.floor(Math.abs(seconds) / size);
      const text = `${number} ${unit}${number === 1 ? "" : "s"}`;
      return seconds > 0 ? `${text} ago` : `in ${text}`;
    }
  }
  return seconds > -1 ? "just now" : "in less than a minute";
}

export function refreshAges(root = document) {
  for (const element of root.querySelectorAll("time[data-age]")) {
    const moment = new Date(element.dateTime);
    const { passed } = element.dataset;
    const text = passed && moment <= Date.now() ? passed : ageOf(moment.getTime());
    if (element.textContent !== text) element.textContent = text;
    element.title = moment.toLocaleString();
  }
}

// How long something takes already. The server said so when the element came; since then the reader's clock has run.
const known = new WeakMap();

export function refreshElapsed() {
  for (const element of document.querySelectorAll("[data-elapsed]")) {
    const told = element.dataset.elapsed;
    if (known.get(element)?.told !== told) known.set(element, { told, at: performance.now() });
    const text = spanOf(Number(told) + (performance.now() - known.get(element).at) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}

// As the server says it.
export function spanOf(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function keepAges() {
  refreshAges();
  setInterval(refreshAges, REFRESH_MS);
  setInterval(refreshElapsed, SECOND_MS);
}

// Keeps "3 minutes ago" true while a page stays open, and says the moment in the reader's own time zone.

const UNITS = [[31536000, "year"], [2592000, "month"], [86400, "day"], [3600, "hour"], [60, "minute"]];
const REFRESH_MS = 20_000;

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
    const text = ageOf(moment.getTime());
    if (element.textContent !== text) element.textContent = text;
    element.title = moment.toLocaleString();
  }
}

export function keepAges() {
  refreshAges();
  setInterval(refreshAges, REFRESH_MS);
}

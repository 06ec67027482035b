// From figures to what a chart shows: series, words for each point, the lines between marks. No library and no page here.

import { spanOf } from "../ages.js";
import { visible } from "../plan/text.js";

// Ways to end, in the order in which they are stacked: key, word, tone of the style sheet, pattern, mark.
export const RUN_STATES = [
  ["success", "Succeeded", "success", "plain", "✓"],
  ["partial", "Partly failed", "warning", "stripes", "◐"],
  ["failed", "Failed", "danger", "crossed", "✕"],
  ["error", "Error", "violet", "dots", "‼"],
  ["open", "Not over", "info", "plain", "▶"],
];

export const MODEL_STATES = [
  ["success", "Succeeded", "success", "plain", "✓"],
  ["failed", "Failed", "danger", "crossed", "✕"],
  ["skipped", "Skipped", "neutral", "stripes", "⊘"],
  ["cancelled", "Cancelled", "neutral", "dots", "■"],
  ["not_ready", "Not ready", "neutral", "dots", "◌"],
];

const byKey = (states) => Object.fromEntries(states.map(([key, word, tone, pattern, mark]) => [key, { word, tone, pattern, mark }]));
export const RUN_STATE = byKey(RUN_STATES);
export const MODEL_STATE = byKey(MODEL_STATES);

// Seconds as people say them, short ones with their fraction.
export function took(seconds) {
  if (seconds === null || seconds === undefined) return "not known";
  if (seconds < 1) return seconds === 0 ? "0 s" : `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  return spanOf(seconds);
}

// One stack for each day; states that never occur are left out.
export function daysSeries(days) {
  const states = RUN_STATES.filter(([key]) => days.some((day) => day[key] > 0));
  return {
    labels: days.map((day) => day.day),
    stacks: states.map(([key]) => ({ key, ...RUN_STATE[key], values: days.map((day) => day[key]) })),
    seconds: days.map((day) => day.seconds),
    items: days.map((day) => ({ href: day.href, text: dayText(day) })),
  };
}

function dayText(day) {
  const told = RUN_STATES.filter(([key]) => day[key] > 0).map(([key, word]) => `${day[key].toLocaleString("en")} ${word.toLowerCase()}`);
  return told.length ? `${day.day}: ${told.join(", ")}; ${took(day.seconds)} together` : `${day.day}: nothing ran`;
}

// One bar for each model, in the order in which they began.
export function ganttSeries(models) {
  const rows = [...models].sort((one, other) => one.from - other.from || one.to - other.to);
  const state = (row) => MODEL_STATE[row.status] ?? MODEL_STATE.not_ready;
  return {
    rows: rows.map((row) => ({
      label: `${row.critical ? "★ " : ""}${state(row).mark} ${visible(row.name)}`,
      span: [row.from, row.to],
      critical: row.critical,
      ...state(row),
    })),
    end: rows.reduce((most, row) => Math.max(most, row.to), 0),
    items: rows.map((row) => ({ href: row.href, text: modelText(row, state(row)) })),
    states: MODEL_STATES.filter(([key]) => rows.some((row) => row.status === key)).map(([key]) => MODEL_STATE[key]),
  };
}

function modelText(row, state) {
  const critical = row.critical ? ", on the critical path" : "";
  return `${visible(row.name)}: ${state.word.toLowerCase()}, took ${took(row.to - row.from)}, from ${took(row.from)} to ${took(row.to)}${critical}`;
}

// One point for each execution of a model. One without a duration, as of a model that was skipped, stands on the axis.
export function historySeries({ points, deploys }) {
  const sorted = [...points].sort((one, other) => one.at - other.at);
  const known = sorted.length ? [sorted[0].at, sorted.at(-1).at] : [0, 0];
  const moments = [...known, ...deploys.map((deploy) => deploy.at)];
  return {
    points: sorted.map((point) => ({ x: point.at, y: point.seconds ?? 0, ...(MODEL_STATE[point.status] ?? MODEL_STATE.not_ready), status: point.status })),
    line: sorted.filter((point) => point.status === "success" && point.seconds !== null).map((point) => ({ x: point.at, y: point.seconds })),
    deploys: deploys.map((deploy) => ({ x: deploy.at, label: deploy.commit })),
    items: sorted.map((point) => ({ href: point.href, text: pointText(point, deploys) })),
    from: Math.min(...moments),
    to: Math.max(...moments),
    most: sorted.reduce((most, point) => Math.max(most, point.seconds ?? 0), 0),
    states: MODEL_STATES.filter(([key]) => sorted.some((point) => point.status === key)).map(([key]) => MODEL_STATE[key]),
  };
}

function pointText(point, deploys) {
  const { word } = MODEL_STATE[point.status] ?? MODEL_STATE.not_ready;
  const before = deploys.filter((deploy) => deploy.at <= point.at).at(-1);
  const deployed = before ? `, with ${before.commit} deployed` : "";
  return `${moment(point.at)}: ${word.toLowerCase()}, took ${took(point.seconds)}${deployed}`;
}

export function moment(milliseconds) {
  return `${new Date(milliseconds).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

// How a point of an axis is called: by its day, and where the axis holds a few days only, by its time too.
export function momentStep(span) {
  const few = span < 5 * 86_400_000;
  return (milliseconds) => new Date(milliseconds).toISOString().slice(5, few ? 16 : 10).replace("T", " ");
}

// A name that fits: its end tells models of one schema apart, so the beginning goes.
export function fitted(text, letters) {
  if (text.length <= letters) return text;
  return letters < 4 ? "…" : `…${text.slice(text.length - letters + 1)}`;
}

// Words in lines that fit.
export function wrapped(text, letters) {
  const lines = [""];
  for (const word of text.split(" ")) {
    for (let rest = word; rest; rest = rest.slice(letters)) {
      const part = rest.slice(0, letters);
      if (lines.at(-1) && lines.at(-1).length + part.length + 1 > letters) lines.push(part);
      else lines[lines.length - 1] += (lines.at(-1) ? " " : "") + part;
    }
  }
  return lines;
}

// Whole minutes and hours rather than 8 min 20 s: how far the marks of an axis of time are from each other.
const STEPS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];

export function timeStep(most, marks) {
  return STEPS.find((step) => most / step <= marks) ?? 86400 * Math.ceil(most / marks / 86400);
}

// Which point an arrow key leads to; null when the key is none of a chart's.
export function stepped(key, current, count) {
  const last = count - 1;
  switch (key) {
    case "ArrowRight":
    case "ArrowDown":
      return Math.min(current + 1, last);
    case "ArrowLeft":
    case "ArrowUp":
      return current < 0 ? last : Math.max(current - 1, 0);
    case "Home":
      return 0;
    case "End":
      return last;
    default:
      return null;
  }
}

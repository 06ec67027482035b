// Charts: what figures become, and what keyboard and theme do to a drawn one. Pixels are the library's affair.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { fire, openPage, textOf } from "./page.js";
import { daysSeries, fitted, ganttSeries, historySeries, momentStep, stepped, timeStep, took, wrapped } from "../src/charts/series.js";

const DAY = { success: 0, partial: 0, failed: 0, error: 0, open: 0, seconds: 0 };
const DAYS = [
  { ...DAY, day: "2026-04-27", href: "/runs?from=2026-04-27" },
  { ...DAY, day: "2026-04-28", success: 1200, failed: 1, seconds: 200, href: "/runs?from=2026-04-28" },
];
const MODELS = [
  { name: "late", from: 5, to: 9.25, status: "failed", critical: true, href: "/late" },
  { name: "raw\u202e", from: 0, to: 5, status: "success", critical: false, href: "/raw" },
];
const HISTORY = {
  points: [
    { at: 2000, seconds: 7, status: "failed", type: "run", href: "/two" },
    { at: 1000, seconds: 5, status: "success", type: "run", href: "/one" },
    { at: 3000, seconds: null, status: "skipped", type: "run", href: "/three" },
  ],
  deploys: [{ at: 1500, commit: "abc1234" }],
};

test("days are stacked by how their runs ended; what never happened has no stack", () => {
  const { labels, stacks, seconds, items } = daysSeries(DAYS);
  assert.deepEqual(labels, ["2026-04-27", "2026-04-28"]);
  assert.deepEqual(stacks.map(({ key, values }) => [key, ...values]), [["success", 0, 1200], ["failed", 0, 1]]);
  assert.deepEqual(seconds, [0, 200]);
  assert.deepEqual(items.map((item) => item.text), [
    "2026-04-27: nothing ran", "2026-04-28: 1,200 succeeded, 1 failed; 3 min 20 s together",
  ]);
  assert.deepEqual(daysSeries([]).stacks, []);
});

test("states differ by mark and pattern or tone, never by colour alone", () => {
  const { stacks } = daysSeries([{ ...DAYS[1], partial: 1, error: 1, open: 1 }]);
  assert.equal(new Set(stacks.map((stack) => stack.mark)).size, stacks.length);
  assert.equal(new Set(stacks.slice(0, 4).map((stack) => stack.pattern)).size, 4);
});

test("models are bars in the order in which they began, what would not show is named", () => {
  const { rows, end, items, states } = ganttSeries(MODELS);
  assert.deepEqual(rows.map((row) => row.label), ["✓ raw[U+202E]", "★ ✕ late"]);
  assert.deepEqual(rows.map((row) => row.span), [[0, 5], [5, 9.25]]);
  assert.equal(end, 9.25);
  assert.equal(items[1].text, "late: failed, took 4.3 s, from 5 s to 9.3 s, on the critical path");
  assert.deepEqual(states.map((state) => state.word), ["Succeeded", "Failed"]);
});

test("a model's executions stand in the order of time, successes are joined, deploys are between", () => {
  const { points, line, deploys, items, from, to } = historySeries(HISTORY);
  assert.deepEqual(points.map((point) => [point.x, point.y, point.status]), [[1000, 5, "success"], [2000, 7, "failed"], [3000, 0, "skipped"]]);
  assert.deepEqual(line, [{ x: 1000, y: 5 }]);
  assert.deepEqual(deploys, [{ x: 1500, label: "abc1234" }]);
  assert.match(items[0].text, /^1970-01-01 00:00 UTC: succeeded, took 5 s$/);
  assert.match(items[1].text, /failed, took 7 s, with abc1234 deployed$/);
  assert.match(items[2].text, /skipped, took not known/);
  assert.deepEqual([from, to], [1000, 3000]);
  assert.deepEqual(historySeries({ points: [], deploys: [] }).points, []);
});

test("times and names are said so that they fit", () => {
  assert.deepEqual([0.25, 3.14159, 42, 200, 7500].map(took), ["250 ms", "3.1 s", "42 s", "3 min 20 s", "2 h 5 min"]);
  assert.deepEqual([took(null), took(0)], ["not known", "0 s"]);
  assert.deepEqual([0, 0.02, 5, 40, 2500, 1e6].map((most) => timeStep(most, 6)), [0.001, 0.005, 1, 10, 600, 172800]);
  assert.deepEqual(wrapped("shop.orders: failed, took 4 s", 12), ["shop.orders:", "failed, took", "4 s"]);
  assert.deepEqual(wrapped("abcdefgh i", 3), ["abc", "def", "gh i"].slice(0, 2).concat(["gh", "i"]));
  assert.deepEqual([fitted("shop.orders", 20), fitted("shop.orders", 7), fitted("shop", 2)], ["shop.orders", "…orders", "…"]);
});

test("arrow keys step through all points and stop at the ends", () => {
  assert.deepEqual(
    ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "Home", "End", "Tab"].map((key) => stepped(key, 1, 3)),
    [2, 2, 0, 0, 0, 2, null],
  );
  assert.equal(stepped("ArrowRight", 2, 3), 2);
  assert.equal(stepped("ArrowRight", -1, 3), 0);
  assert.equal(stepped("ArrowLeft", -1, 3), 2);
});

// Drawn ones

let draw, window;

beforeEach(async () => {
  window = openPage("<main></main>");
  globalThis.cancelAnimationFrame = window.cancelAnimationFrame.bind(window);
  globalThis.ResizeObserver = class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
  globalThis.matchMedia = () => ({ addEventListener() {}, removeEventListener() {} });
  window.HTMLCanvasElement.prototype.getContext = function () {
    const canvas = this;
    return new Proxy({}, {
      get: (own, name) => own[name] ?? (name === "canvas" ? canvas : (...args) => ({ width: 10, data: [1, 2, 3, 255], args })),
      set: (own, name, value) => ((own[name] = value), true),
    });
  };
  for (const name of ["HTMLCanvasElement", "CanvasGradient", "CanvasPattern"]) globalThis[name] = window[name] ?? class {};
  ({ draw } = await import("../src/charts/draw.js"));
});

function figure(kind, figures) {
  const made = document.createElement("figure");
  made.dataset.chart = kind;
  made.dataset.figures = JSON.stringify(figures);
  made.dataset.label = "Models over time";
  made.innerHTML = '<div class="chart-place" hidden></div>';
  document.querySelector("main").replaceChildren(made);
  return made;
}

test("every kind is drawn, with a name for those who do not see it", () => {
  for (const [kind, figures] of [["days", DAYS], ["gantt", MODELS], ["history", HISTORY], ["gantt", []], ["history", { points: [], deploys: [] }]]) {
    const made = figure(kind, figures);
    const chart = draw(made);
    const canvas = made.querySelector("canvas");
    assert.match(canvas.getAttribute("aria-label"), /^Models over time\. .*The table has the same figures\.$/);
    assert.equal(canvas.tabIndex, 0);
    assert.equal(made.querySelector(".chart-place").hidden, false);
    chart.destroy();
    assert.equal(made.querySelector("canvas"), null);
  }
});

test("with arrow keys each point is said, and Enter opens it", () => {
  const made = figure("gantt", MODELS);
  const chart = draw(made);
  const canvas = made.querySelector("canvas");
  const said = () => textOf(made.querySelector("[role=status]"));
  assert.match(said(), /Arrow keys/);
  fire(canvas, "keydown", { key: "ArrowDown" });
  assert.match(said(), /^raw\[U\+202E\]: succeeded/);
  fire(canvas, "keydown", { key: "End" });
  assert.match(said(), /^late: failed/);
  fire(canvas, "blur");
  chart.destroy();
});

test("another theme draws the chart anew", async () => {
  const made = figure("days", DAYS);
  let read = 0;
  const append = made.append.bind(made);
  made.append = (...nodes) => (read++, append(...nodes));
  const chart = draw(made);
  assert.equal(read, 1);
  document.documentElement.classList.add("dark");
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(read, 2, "colours are asked for again");
  chart.destroy();
  document.documentElement.classList.remove("dark");
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(read, 2, "what is gone is not drawn");
});

test("an axis of a few days says the time of day, a longer one the day", () => {
  const at = Date.UTC(2026, 3, 28, 9, 5);
  assert.equal(momentStep(3_600_000)(at), "04-28 09:05");
  assert.equal(momentStep(30 * 86_400_000)(at), "04-28");
});

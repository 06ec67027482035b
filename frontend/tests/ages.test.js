// Ages and spans of time, as they are read while a page stays open.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { openPage } from "./page.js";

openPage("");
const { ageOf, keepAges, refreshAges, refreshElapsed, spanOf } = await import("../src/ages.js");
const SECOND = 1000, HOUR = 3600 * SECOND, DAY = 24 * HOUR, NOW = Date.parse("2026-04-28T10:00:00Z");

for (const [before, text] of [
  [0, "just now"], [59 * SECOND, "just now"], [60 * SECOND, "1 minute ago"], [119 * SECOND, "1 minute ago"], [2 * HOUR, "2 hours ago"],
  [29 * DAY, "29 days ago"], [30 * DAY, "1 month ago"], [800 * DAY, "2 years ago"], [-30 * SECOND, "in less than a minute"], [-3 * HOUR, "in 3 hours"],
]) test(`${before} ms before now is ${text}`, () => assert.equal(ageOf(NOW - before, NOW), text));

for (const [seconds, text] of [
  [0, "0 s"], [59.9, "59 s"], [60, "1 min 0 s"], [3599, "59 min 59 s"], [3600, "1 h 0 min"], [7384, "2 h 3 min"],
]) test(`${seconds} seconds are ${text}`, () => assert.equal(spanOf(seconds), text));

test("a moment that has come is said as the server wants it", () => {
  const past = new Date(Date.now() - HOUR).toISOString(), future = new Date(Date.now() + 2.5 * HOUR).toISOString();
  document.body.innerHTML = `<time data-age data-passed="due" datetime="${past}">x</time><time data-age data-passed="due" datetime="${future}">x</time>
    <time data-age datetime="${past}">x</time><time datetime="${past}">untouched</time>`;
  refreshAges();
  assert.deepEqual([...document.querySelectorAll("time")].map((time) => time.textContent), ["due", "in 2 hours", "1 hour ago", "untouched"]);
});

test("an elapsed time runs on from what the server said, and starts anew when it says something else", () => {
  let now = 1000;
  mock.method(performance, "now", () => now);
  document.body.innerHTML = '<span data-elapsed="58">58 s</span>';
  const place = document.querySelector("span");
  refreshElapsed();
  now += 3500;
  refreshElapsed();
  assert.equal(place.textContent, "1 min 1 s");
  place.dataset.elapsed = "5";
  refreshElapsed();
  assert.equal(place.textContent, "5 s");
  mock.restoreAll();
});

test("open pages keep both up to date", () => {
  mock.timers.enable({ apis: ["setInterval", "Date"], now: NOW });
  document.body.innerHTML = `<time data-age datetime="${new Date(NOW - 50 * SECOND).toISOString()}">x</time>`;
  keepAges();
  const place = document.querySelector("time");
  assert.equal(place.textContent, "just now");
  mock.timers.tick(20 * SECOND);
  assert.equal(place.textContent, "1 minute ago");
  mock.timers.reset();
});

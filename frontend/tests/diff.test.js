// Diffs: how their text is taken apart, drawn in one column or two, and loaded once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fire, fresh, openPage, settled, takeRequests, textOf } from "./page.js";

openPage("");
const { blocksOf, drawDiff } = await import("../src/plan/diff-view.js");

const DIFF = `--- a
+++ b
@@ -10,3 +20,4 @@
 SELECT
-  o.amount AS revenue,
+  o.amount - d.amount AS revenue,
+  d.amount AS discount,
 FROM orders
\\ No newline at end of file
`;

function drawn(diff, view = "unified", more = {}) {
  const place = document.createElement("div");
  drawDiff(place, { name: "marts.orders", diff, ...more }, view);
  return place;
}

function rows(place) {
  return [...place.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
}

test("a diff is headings, equal lines, and changes whose sides belong together", () => {
  assert.deepEqual(blocksOf(DIFF), [
    { hunk: "@@ -10,3 +20,4 @@" },
    { same: "SELECT", left: 10, right: 20 },
    {
      gone: [{ number: 11, text: "  o.amount AS revenue," }],
      came: [{ number: 21, text: "  o.amount - d.amount AS revenue," }, { number: 22, text: "  d.amount AS discount," }],
    },
    { same: "FROM orders", left: 12, right: 23 },
  ]);
});

test("lines count from one where no heading says otherwise", () => {
  assert.deepEqual(blocksOf("+SELECT 1\n+FROM x"), [{ gone: [], came: [{ number: 1, text: "SELECT 1" }, { number: 2, text: "FROM x" }] }]);
});

test("each heading sets the numbers anew, and an equal line ends a change", () => {
  const blocks = blocksOf("-a\n b\n-c\n@@ -90 +80 @@\n d");
  assert.deepEqual(blocks.map((block) => block.hunk ?? block.same ?? block.gone[0].text), ["a", "b", "c", "@@ -90 +80 @@", "d"]);
  assert.deepEqual(blocks.at(-1), { same: "d", left: 90, right: 80 });
});

test("in one column every line has its numbers and its sign", () => {
  const place = drawn(DIFF);
  assert.deepEqual(rows(place), [
    ["@@ -10,3 +20,4 @@"], ["10", "20", "SELECT"], ["11", "", "removed:   o.amount AS revenue,"],
    ["", "21", "added:   o.amount - d.amount AS revenue,"], ["", "22", "added:   d.amount AS discount,"], ["12", "23", "FROM orders"],
  ]);
  assert.equal(place.querySelector("tr.del .code").dataset.sign, "−");
});

test("in two columns what belongs together stands side by side", () => {
  const place = drawn(DIFF, "split");
  assert.deepEqual(rows(place), [
    ["@@ -10,3 +20,4 @@"], ["10", "SELECT", "20", "SELECT"],
    ["11", "removed:   o.amount AS revenue,", "21", "added:   o.amount - d.amount AS revenue,"],
    ["", "", "22", "added:   d.amount AS discount,"], ["12", "FROM orders", "23", "FROM orders"],
  ]);
  assert.ok(rows(place)[0].length === 1 && place.querySelector("tr.hunk td").colSpan === 4);
});

test("the words that differ are marked, and only those", () => {
  const marked = [...drawn("-SELECT amount AS revenue\n+SELECT price AS revenue").querySelectorAll(".word")].map((part) => part.textContent);
  assert.deepEqual(marked, ["amount", "price"]);
});

test("lines with little in common are not marked word by word", () => {
  assert.equal(drawn("-SELECT a, b, c FROM x\n+WITH totals (q) LIMIT 1").querySelectorAll(".word").length, 0);
});

test("very long lines are not compared word by word", () => {
  const long = "x ".repeat(298);
  assert.equal(drawn(`-${long}a\n+${long}b`).querySelectorAll(".word").length, 2);
  assert.equal(drawn(`-${long}aaaaaa\n+${long}b`).querySelectorAll(".word").length, 0);
  assert.equal(drawn(`-${long}a\n+${long}bbbbbb`).querySelectorAll(".word").length, 0);
});

test("SQL is coloured, and no letter is lost between colours and marks", () => {
  const text = "SELECT COALESCE(a, 'x') AS b -- why\n".trim();
  const place = drawn(`-${text}\n+${text.replace("'x'", "'yy'")}`);
  assert.ok(place.querySelector(".tok-keyword"));
  assert.ok(place.querySelector(".tok-comment"));
  assert.ok(place.querySelector(".tok-string"));
  assert.equal(place.querySelector("tr.del .code").textContent, `removed: ${text}`);
});

test("nothing of a diff is markup, and what would not show is named", () => {
  const place = drawn("+<img src=x onerror=alert(1)>\n+a\u202eb");
  assert.equal(place.querySelector("img"), null);
  assert.match(place.textContent, /<img src=x onerror=alert\(1\)>/);
  assert.equal(place.querySelector(".unseen").textContent, "U+202E");
});

test("a model without a diff, and a diff that was cut, say so", () => {
  assert.match(textOf(drawn("")), /did not change, or its diff was not kept/);
  assert.match(textOf(drawn(DIFF, "unified", { truncated: true })), /longer than what is kept/);
});

const model = (name, open = false) => `<li class="model" data-diff><details${open ? " open" : ""}><summary><b>${name}</b></summary>
  <p class="diff-link"><a href="/pluginsv2/dagctl/plans/plangroup_1?open=${encodeURIComponent(name)}">Show the diff</a></p></details></li>`;

let requests, plan;

async function openPlan(models) {
  openPage(`<main data-plan="/p"><button data-view="unified"></button><button data-view="split"></button><button data-open-all></button>
    <ul class="models">${models}</ul></main>`);
  requests = takeRequests();
  plan = document.querySelector("main");
  const { followDiffs } = await fresh("plan/diffs.js");
  followDiffs(plan);
  await settled();
}

// As a reader does; the event comes a moment later.
async function openModel(at) {
  const details = plan.querySelectorAll(".model > details")[at];
  details.open = false;
  details.open = true;
  await settled();
  await new Promise((resolve) => setTimeout(resolve, 10));
}

// The module that draws is loaded when it is needed.
async function drawnIn(at) {
  for (let turn = 0; turn < 50 && !plan.querySelectorAll(".model")[at].querySelector("table"); turn++) await settled();
  return plan.querySelectorAll(".model")[at].querySelector("table");
}

test("a diff is asked for when its model is opened, once", async () => {
  await openPlan(model("a&b") + model("c"));
  assert.equal(requests.length, 0);
  await openModel(0);
  await openModel(0);
  assert.deepEqual(requests.map((request) => request.address), ["/p/diff?model=a%26b"]);
  await requests[0].answer({ name: "a&b", diff: "+SELECT 1" });
  assert.ok(await drawnIn(0));
  assert.ok(plan.querySelector(".diff-link").hasAttribute("hidden"));
});

test("what the server opened is loaded at once", async () => {
  await openPlan(model("a", true) + model("b"));
  assert.equal(requests.length, 1);
});

test("a diff that did not come gives its link back, and may be opened again", async () => {
  await openPlan(model("a"));
  await openModel(0);
  await requests[0].answer("", { status: 500 });
  assert.equal(plan.querySelector(".diff"), null);
  assert.equal(plan.querySelector(".diff-link").hasAttribute("hidden"), false);
  await openModel(0);
  assert.equal(requests.length, 2);
});

test("the other view draws what is there anew, and is remembered", async () => {
  await openPlan(model("a", true));
  await requests[0].answer({ name: "a", diff: "-SELECT 1\n+SELECT 2" });
  assert.ok((await drawnIn(0)).classList.contains("unified"));
  fire(plan.querySelector("[data-view=split]"), "click");
  for (let turn = 0; turn < 20; turn++) await settled();
  assert.ok(plan.querySelector("table").classList.contains("split"));
  assert.equal(plan.querySelector("[data-view=split]").getAttribute("aria-pressed"), "true");
  assert.equal(localStorage.getItem("dagctl.diff"), "split");
});

test("all are opened at once, without those that are filtered away, and closed when all are open", async () => {
  await openPlan(model("a") + model("b", true) + model("c"));
  const [a, b, c] = plan.querySelectorAll(".model");
  c.hidden = true;
  const all = plan.querySelector("[data-open-all]");
  fire(all, "click");
  assert.deepEqual([a, b, c].map((row) => row.firstElementChild.open), [true, true, false]);
  fire(all, "click");
  assert.deepEqual([a, b, c].map((row) => row.firstElementChild.open), [false, false, false]);
});

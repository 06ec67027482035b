// Logs: what has come is drawn once and goes on where it ended, in the tool's colours; it is followed, searched, and stops.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { fire, fresh, openPage, settled, takeRequests, textOf } from "./page.js";

let requests, view, log, openLog;

beforeEach(async () => {
  mock.timers.reset();
  openPage('<div id="view" hidden></div><div id="flash"></div>');
  requests = takeRequests();
  ({ openLog } = await import("../src/plan/log-view.js"));
  mock.timers.enable({ apis: ["setTimeout"] });
  view = document.querySelector("#view");
  log = openLog(view, "/log", "execute");
});

async function tell(text, from, length, status = "running") {
  await requests.at(-1).answer(text, {
    headers: { "X-Dagctl-Step-Status": status, "X-Dagctl-Log-From": String(from), "X-Dagctl-Log-Length": String(length) },
  });
}

async function next() {
  const before = requests.length;
  mock.timers.tick(60_000);
  await settled();
  return requests.length > before ? requests.at(-1).address : null;
}

const lines = () => [...view.querySelectorAll(".log-line")].map((line) => line.textContent);

test("it goes on where it ended, also in the middle of a line", async () => {
  assert.equal(requests[0].address, "/log?from=0");
  assert.equal(view.hidden, false);
  await tell("one\ntw", 0, 6);
  assert.deepEqual(lines(), ["one", "tw"]);
  assert.equal(await next(), "/log?from=6");
  await tell("o\nthree\n", 6, 14);
  assert.deepEqual(lines(), ["one", "two", "three", ""]);
  assert.equal(await next(), "/log?from=14");
  await tell("four", 14, 18);
  assert.deepEqual(lines(), ["one", "two", "three", "four"]);
});

test("nothing new changes nothing", async () => {
  await tell("one\ntwo", 0, 7);
  await next();
  await tell("", 7, 7);
  assert.deepEqual(lines(), ["one", "two"]);
});

test("another try's log begins anew", async () => {
  await tell("first try\n", 0, 10);
  await next();
  await tell("second", 0, 6);
  assert.deepEqual(lines(), ["second"]);
});

for (const status of ["completed", "failed", "cancelled", "pending"]) {
  test(`the log of a step that is ${status} is read once`, async () => {
    await tell("the end", 0, 7, status);
    assert.equal(await next(), null);
  });
}

test("a log that is stopped asks no more", async () => {
  await tell("one", 0, 3);
  log.stop();
  assert.equal(await next(), null);
});

test("a server in trouble is asked again, one that refuses is not", async () => {
  await requests[0].answer("", { status: 503 });
  assert.equal(await next(), "/log?from=0");
  await requests[1].fail();
  assert.equal(await next(), "/log?from=0");
  await requests[2].answer("", { status: 404 });
  assert.match(textOf(view), /The log cannot be read/);
  assert.equal(await next(), null);
});

test("an empty log says whether there is still something to come", async () => {
  await tell("", 0, 0);
  assert.match(textOf(view), /No line has been written yet/);
  await next();
  await tell("", 0, 0, "failed");
  assert.match(textOf(view), /This step left no log/);
});

test("colours are those of the tool, errors stand out, text stays text", async () => {
  await tell("\u001b[31mred\u001b[0m plain\n\u001b[1mbold\u001b[0m\n2026 ERROR no table\n<b>not bold</b>\u202e\r", 0, 60, "failed");
  const rows = view.querySelectorAll(".log-line");
  assert.equal(rows[0].querySelector(".ansi-red").textContent, "red");
  assert.equal(rows[1].querySelector(".ansi-bold").textContent, "bold");
  assert.deepEqual([...rows].map((row) => row.classList.contains("error")), [false, false, true, false]);
  assert.equal(rows[3].querySelector("b"), null);
  assert.equal(rows[3].textContent, "<b>not bold</b>U+202E");
});

test("only a full chunk may be skipped while out of sight", async () => {
  await tell(Array.from({ length: 450 }, (_, at) => `line ${at}`).join("\n"), 0, 4000, "failed");
  const chunks = [...view.querySelectorAll(".log-chunk")];
  assert.deepEqual(chunks.map((chunk) => [chunk.childElementCount, chunk.classList.contains("full")]), [[200, true], [200, true], [50, false]]);
});

test("a very long log comes in slices, in order", async () => {
  const wanted = Array.from({ length: 2500 }, (_, at) => `line ${at}`);
  await tell(wanted.join("\n"), 0, 30_000, "failed");
  for (let turn = 0; turn < 4; turn++) {
    mock.timers.tick(1);
    await settled();
  }
  assert.deepEqual(lines(), wanted);
});

test("search finds in any case, goes round, and ends the following", async () => {
  await tell("Alpha\nbeta\nALPHA two\n", 0, 21);
  const search = view.querySelector("input");
  search.value = "alpha";
  fire(search, "input");
  const status = view.querySelector("[role=status]");
  const current = () => view.querySelector(".current").textContent;
  assert.deepEqual([current(), textOf(status)], ["Alpha", "1 of 2"]);
  assert.equal(log.following(), false);
  fire(search, "keydown", { key: "Enter" });
  assert.deepEqual([current(), textOf(status)], ["ALPHA two", "2 of 2"]);
  fire(search, "keydown", { key: "Enter" });
  assert.equal(current(), "Alpha");
  fire(search, "keydown", { key: "Enter", shiftKey: true });
  assert.equal(current(), "ALPHA two");
  search.value = "gamma";
  fire(search, "input");
  assert.equal(textOf(status), "0 found");
  assert.equal(view.querySelectorAll(".hit, .current").length, 0);
});

test("what comes later is searched too, without moving the reader", async () => {
  await tell("alpha\n", 0, 6);
  const search = view.querySelector("input");
  search.value = "alpha";
  fire(search, "input");
  await next();
  await tell("alpha\n", 6, 12);
  assert.equal(textOf(view.querySelector("[role=status]")), "2 found");
  assert.equal(view.querySelectorAll(".hit").length, 2);
});

// Which log is shown

const links = (...statuses) => statuses.map((status, at) => `<a data-log="plan_${at}" data-status="${status}" href="/log/${at}">step ${at}</a>`).join("");

async function follow(...statuses) {
  openPage(`<main data-plan="/p">${links(...statuses)}<div data-log-view hidden></div></main>`);
  requests = takeRequests();
  const { followLogs } = await fresh("plan/logs.js");
  followLogs(document.querySelector("main"));
  await settled();
}

const shown = () => [...document.querySelectorAll("[aria-current]")].map((link) => link.dataset.log);

test("the log of the step that runs is followed from the start", async () => {
  await follow("completed", "running");
  assert.deepEqual(requests.map((request) => request.address), ["http://airflow.example/log/1?from=0"]);
  assert.deepEqual(shown(), ["plan_1"]);
});

test("where the last step failed its log is open", async () => {
  await follow("completed", "failed");
  assert.deepEqual(shown(), ["plan_1"]);
});

test("where nothing runs and nothing failed none is fetched before somebody asks", async () => {
  await follow("completed", "completed");
  assert.equal(requests.length, 0);
  fire(document.querySelector("a"), "click");
  await settled();
  assert.deepEqual(requests.map((request) => request.address), ["http://airflow.example/log/0?from=0"]);
});

test("what has just started takes the place of the step before it", async () => {
  await follow("running");
  document.querySelector("a").dataset.status = "completed";
  document.querySelector("[data-log-view]").insertAdjacentHTML("beforebegin", '<a data-log="plan_9" data-status="running" href="/log/9">next</a>');
  document.dispatchEvent(new CustomEvent("dagctl:shown"));
  await settled();
  assert.deepEqual(shown(), ["plan_9"]);
  assert.equal(requests.at(-1).address, "http://airflow.example/log/9?from=0");
});

test("a reader who looks at something else is left alone", async () => {
  await follow("running");
  fire([...document.querySelectorAll("button")].find((button) => button.textContent === "Follow"), "click");
  document.querySelector("a").dataset.status = "completed";
  document.querySelector("[data-log-view]").insertAdjacentHTML("beforebegin", '<a data-log="plan_9" data-status="running" href="/log/9">next</a>');
  document.dispatchEvent(new CustomEvent("dagctl:shown"));
  await settled();
  assert.deepEqual(shown(), ["plan_0"]);
});

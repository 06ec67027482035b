// How every page hears of changes: the stream, what it does with what it is told, and what it falls back to.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { fire, fresh, openPage, settled, takeRequests, textOf } from "./page.js";

const PAGE = `<span data-live-state hidden></span><div id="flash"></div>
  <section id="one" data-live="proj_1"><p>old one</p><details><summary>s</summary>text</details></section>
  <section id="all" data-live=""><input value=""><p>old all</p></section>`;
const NEW = PAGE.replaceAll("old", "new");

let streams, requests, window, live;

class Stream {
  static CLOSED = 2;
  readyState = 1;
  constructor(address) {
    this.address = address;
    streams.push(this);
  }
  close() {
    this.readyState = Stream.CLOSED;
  }
  tell(told) {
    this.onmessage({ data: JSON.stringify({ version: "v2", projects: [], groups: [], progress: [], ...told }) });
  }
  break() {
    this.close();
    this.onerror();
  }
}

beforeEach(async () => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  window = openPage(PAGE, { attributes: { "data-airflow": "/af", "data-root": "/af/pluginsv2/dagctl", "data-version": "v 1" } });
  streams = [];
  requests = takeRequests();
  globalThis.EventSource = Stream;
  live = await fresh("live.js");
  live.followChanges();
});

function hide(hidden) {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  fire(document, "visibilitychange");
}

for (const [about, told, stale] of [
  ["proj_1", { projects: ["proj_1"] }, true], ["proj_1", { projects: ["proj_2"] }, false], ["proj_1", { all: true }, true],
  ["group_1", { groups: ["group_1"] }, true], ["group_1", { progress: ["group_1"] }, false], ["", { groups: ["group_1"] }, true],
  ["", { projects: [], groups: [] }, false], ["", { progress: ["group_1"] }, false], ["", { all: true }, true],
]) {
  test(`a part about "${about}" and ${JSON.stringify(told)}: ${stale ? "stale" : "as it is"}`, () => {
    assert.equal(Boolean(live.isStale({ dataset: { live: about } }, told)), stale);
  });
}

test("the stream begins at the version that the page came with", () => {
  assert.equal(streams[0].address, "/af/dagctl/events?since=v%201");
  streams[0].onopen();
  assert.equal(textOf(document.querySelector("[data-live-state]")), "Live");
});

test("a burst of news is one request, and what differs is taken over", async () => {
  document.querySelector("details").open = true;
  const input = document.querySelector("input");
  input.focus();
  input.value = "typed";
  for (let at = 0; at < 5; at++) streams[0].tell({ projects: ["proj_1"], version: `v${at}` });
  assert.equal(requests.length, 0);
  mock.timers.tick(80);
  assert.equal(requests.length, 1);
  await requests[0].answer(NEW);
  assert.match(textOf(document.querySelector("#one")), /new one/);
  assert.equal(document.querySelector("details").open, true, "what was opened stays open");
  assert.equal(input.value, "typed", "what was typed stays");
  assert.equal(live.toldVersion(), "v4");
  mock.timers.tick(1000);
  await settled();
  assert.equal(requests.length, 1);
});

test("news that concern no part of the page ask for nothing, but modules hear of them", () => {
  const heard = [];
  document.addEventListener("dagctl:changed", (event) => heard.push(event.detail.progress));
  streams[0].tell({ progress: ["group_1"] });
  mock.timers.tick(1000);
  assert.equal(requests.length, 0);
  assert.deepEqual(heard, [["group_1"]]);
});

test("one request at a time, and one more when there were news meanwhile", async () => {
  live.refreshParts();
  live.refreshParts();
  live.refreshParts();
  assert.equal(requests.length, 1);
  await requests[0].answer(NEW);
  assert.equal(requests.length, 2);
  await requests[1].answer(NEW);
  assert.equal(requests.length, 2);
});

test("a request that failed is made again", async () => {
  live.refreshParts();
  await requests[0].answer("", { status: 503 });
  assert.equal(requests.length, 1);
  mock.timers.tick(2000);
  assert.equal(requests.length, 2);
  await requests[1].fail();
  mock.timers.tick(2000);
  assert.equal(requests.length, 3);
});

test("a session that is over is told once, and nothing is asked any more", async () => {
  live.refreshParts();
  await requests[0].answer("", { status: 401 });
  live.sessionOver();
  assert.equal(document.querySelectorAll("#session-over").length, 1);
  assert.equal(streams[0].readyState, Stream.CLOSED);
  const link = document.querySelector("#session-over a");
  assert.equal(link.getAttribute("href"), "/af/auth/login?next=%2Fpluginsv2%2Fdagctl%2Fplans%2Fplangroup_1");
  mock.timers.tick(60_000);
  assert.equal(requests.length, 1);
});

test("where no stream comes through, the version is asked for, and a stream is tried again", async () => {
  streams[0].break();
  mock.timers.tick(1000);
  assert.equal(requests[0].address, "/af/pluginsv2/dagctl/version");
  await requests[0].answer({ version: "v 1" });
  mock.timers.tick(80);
  assert.equal(requests.length, 1, "nothing has changed");
  mock.timers.tick(1000);
  await requests[1].answer({ version: "v2" });
  mock.timers.tick(80);
  assert.equal(requests[2].address, window.location.href);
  mock.timers.tick(30_000);
  assert.equal(streams.length, 2);
});

test("a stream that is open ends the asking", async () => {
  streams[0].break();
  mock.timers.tick(1000);
  await requests[0].answer({ version: "v 1" });
  mock.timers.tick(30_000);
  await requests[1].answer({ version: "v 1" });
  streams[1].onopen();
  mock.timers.tick(5000);
  assert.equal(requests.length, 2);
});

test("a short break is the browser's affair", () => {
  streams[0].readyState = 0;
  streams[0].onerror();
  mock.timers.tick(60_000);
  assert.deepEqual([streams.length, requests.length], [1, 0]);
});

test("a lost connection is said", async () => {
  streams[0].break();
  mock.timers.tick(1000);
  await requests[0].fail();
  const state = document.querySelector("[data-live-state]");
  assert.equal(textOf(state), "Connection lost");
  assert.ok(state.classList.contains("off"));
});

test("a page that nobody looks at has no stream and asks for nothing", async () => {
  streams[0].break();
  mock.timers.tick(1000);
  hide(true);
  await requests[0].answer({ version: "v 1" });
  mock.timers.tick(120_000);
  assert.deepEqual([streams.length, requests.length], [1, 1]);
  hide(false);
  assert.equal(streams.length, 2);
  hide(true);
  assert.equal(streams[1].readyState, Stream.CLOSED);
});

test("a part that the fresh page has no more stays, and the end of the work is told", async () => {
  let refreshed = 0;
  document.addEventListener("dagctl:refreshed", () => refreshed++);
  live.refreshParts();
  await requests[0].answer("<p>something else</p>");
  assert.match(textOf(document.body), /old one/);
  assert.equal(refreshed, 1);
  await settled();
});

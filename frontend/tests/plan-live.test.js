// The plan page: what is taken over from a fresh copy, in which order, and what stays.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { fresh, openPage, settled, takeRequests, textOf } from "./page.js";

const plan = (word, more = "") => `<div id="flash">${more}</div><main data-plan="/pluginsv2/dagctl/plans/plangroup_1" data-live="plangroup_1" data-project="proj_1">
  <section data-region="head"><h1>${word}</h1></section>
  <section data-region="side"><details><summary>more</summary>${word}</details><dialog id="d"><textarea></textarea>${word}</dialog></section>
  <section data-region="models"><details data-group="changed"><ul class="models"><li class="model"><details><summary><b>a</b><span class="result"></span></summary></details></li></ul></details></section>
</main>`;

let requests;

beforeEach(async () => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  openPage(plan("first"), { attributes: { "data-version": "" }, url: "http://airflow.example/pluginsv2/dagctl/plans/plangroup_1?models=2&said=x" });
  requests = takeRequests();
  const { followChanges } = await fresh("plan/live.js");
  followChanges(document.querySelector("[data-plan]"));
});

function tell(told) {
  document.dispatchEvent(new CustomEvent("dagctl:changed", { detail: told }));
}

test("news of this plan or its project fetch the page that is shown", async () => {
  tell({ groups: ["plangroup_2"], projects: ["proj_2"] });
  assert.equal(requests.length, 0);
  tell({ groups: ["plangroup_1"] });
  assert.equal(requests[0].address, "http://airflow.example/pluginsv2/dagctl/plans/plangroup_1?models=2");
  await requests[0].answer(plan("second"));
  assert.equal(textOf(document.querySelector("h1")), "second");
  tell({ projects: ["proj_1"] });
  assert.equal(requests.length, 2);
  await requests[1].answer(plan("third"));
  assert.equal(textOf(document.querySelector("h1")), "third");
});

test("what comes during a request leads to exactly one more", async () => {
  for (let at = 0; at < 4; at++) tell({ all: true });
  assert.equal(requests.length, 1);
  await requests[0].answer(plan("second"));
  assert.equal(requests.length, 2);
  await requests[1].answer(plan("third"));
  assert.equal(requests.length, 2);
});

test("a server in trouble is asked again after a while", async () => {
  tell({ all: true });
  await requests[0].answer("", { status: 502 });
  assert.equal(requests.length, 1);
  mock.timers.tick(2000);
  await settled();
  assert.equal(requests.length, 2);
  await requests[1].answer(plan("second"));
  assert.equal(textOf(document.querySelector("h1")), "second");
});

test("an answer that is overtaken by a later question is not shown", async () => {
  const { showDocument } = await import("../src/plan/regions.js");
  tell({ all: true });
  showDocument(new DOMParser().parseFromString(plan("decided"), "text/html"));
  await requests[0].answer(plan("before the decision"));
  assert.equal(textOf(document.querySelector("h1")), "decided");
  assert.equal(requests.length, 2, "it is asked for once more instead");
  await requests[1].answer(plan("after the decision"));
  assert.equal(textOf(document.querySelector("h1")), "after the decision");
});

test("progress is a small part of the page with results beside models", async () => {
  tell({ progress: ["plangroup_1"] });
  assert.equal(requests[0].address, "/pluginsv2/dagctl/plans/plangroup_1/progress");
  await requests[0].answer({ html: '<section data-region="head"><h1>5 of 9</h1></section>', results: [["a", "running", "↻ running"]] });
  assert.equal(textOf(document.querySelector("h1")), "5 of 9");
  assert.equal(document.querySelector(".result").dataset.status, "running");
  assert.equal(textOf(document.querySelector(".result")), "↻ running");
});

test("progress that is older than what is shown is dropped", async () => {
  const { showDocument } = await import("../src/plan/regions.js");
  tell({ progress: ["plangroup_1"] });
  showDocument(new DOMParser().parseFromString(plan("finished"), "text/html"));
  await requests[0].answer({ html: '<section data-region="head"><h1>5 of 9</h1></section>', results: [["a", "running", "↻ running"]] });
  assert.equal(textOf(document.querySelector("h1")), "finished");
  assert.equal(document.querySelector(".result").dataset.status, undefined);
});

test("what the reader did stays while regions change around it", async () => {
  const { showDocument } = await import("../src/plan/regions.js");
  const [details, dialog] = [document.querySelector("[data-region=side] details"), document.querySelector("dialog")];
  details.open = true;
  dialog.showModal();
  document.querySelector("textarea").value = "because";
  document.querySelector("[data-group]").open = true;
  document.querySelector(".model").hidden = true;
  showDocument(new DOMParser().parseFromString(plan("second", "<p>said</p>").replace("<ul", "<p>new</p><ul"), "text/html"));
  assert.equal(details.open, true);
  assert.equal(dialog.open, true);
  assert.equal(textOf(dialog), "first", "an open dialog is not changed under the reader's hands");
  assert.equal(document.querySelector("textarea").value, "because");
  assert.equal(document.querySelector("[data-group]").open, true);
  assert.equal(document.querySelector(".model").hidden, true, "what is filtered away stays away");
  assert.match(textOf(details), /second/);
  assert.equal(textOf(document.querySelector("#flash")), "", "what was said after an action is not said again");
});

test("what scripts have put into the page stays", async () => {
  const { showDocument } = await import("../src/plan/regions.js");
  const made = document.createElement("div");
  made.dataset.keep = "";
  made.textContent = "a diff";
  document.querySelector(".model details").append(made);
  showDocument(new DOMParser().parseFromString(plan("second").replace("<ul", "<p>new</p><ul"), "text/html"));
  assert.ok(made.isConnected);
});

test("a region that did not change is not touched", async () => {
  const { rememberRegions, showDocument } = await import("../src/plan/regions.js");
  rememberRegions();
  const heading = document.querySelector("h1");
  heading.textContent = "written by a script";
  showDocument(new DOMParser().parseFromString(plan("first"), "text/html"));
  assert.equal(textOf(heading), "written by a script");
  showDocument(new DOMParser().parseFromString(plan("second", "<p>Approved</p>"), "text/html"), { flash: true });
  assert.equal(textOf(heading), "second");
  assert.equal(textOf(document.querySelector("#flash")), "Approved");
});

// The small things of all pages: filters, forms, dialogs, menus, links that lead out, text.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { fire, fresh, openPage, settled, takeRequests, textOf } from "./page.js";

beforeEach(() => mock.timers.reset());

// Filters of lists

async function openList() {
  openPage(`<form data-auto><input type="search" name="search"><select name="status"><option value=""></option><option value="failed"></option></select></form>
    <section id="list" data-live="">old</section>`, { url: "http://airflow.example/pluginsv2/dagctl/plans?page=3" });
  mock.timers.enable({ apis: ["setTimeout"] });
  const requests = takeRequests();
  (await fresh("filters.js")).filterAsTyped();
  return requests;
}

test("a list follows what is typed once nobody types any more, and its address too", async () => {
  const requests = await openList();
  const input = document.querySelector("input");
  for (const text of ["s", "sh", "shop"]) {
    input.value = text;
    fire(input, "input");
    mock.timers.tick(200);
  }
  assert.equal(requests.length, 0);
  mock.timers.tick(50);
  assert.equal(location.search, "?search=shop");
  assert.deepEqual(requests.map((request) => request.address), ["http://airflow.example/pluginsv2/dagctl/plans?search=shop"]);
  await requests[0].answer('<section id="list" data-live="">new</section>');
  assert.equal(textOf(document.querySelector("#list")), "new");
});

test("a choice takes effect at once, and what is empty stays out of the address", async () => {
  const requests = await openList();
  document.querySelector("select").value = "failed";
  fire(document.querySelector("select"), "input");
  mock.timers.tick(0);
  assert.equal(location.search, "?status=failed");
  assert.equal(requests.length, 1);
  document.querySelector("select").value = "";
  const sent = fire(document.querySelector("form"), "submit");
  assert.equal(sent.defaultPrevented, true);
  assert.equal(location.search, "");
  await requests[0].answer("");
});

test("models are filtered by name; groups open for what is in them, and fold again afterwards", async () => {
  const model = (name) => `<li class="model"><b>${name}</b></li>`;
  openPage(`<main><div data-tools hidden></div><input data-filter><p data-no-match hidden></p>
    <details class="group" data-group="a"><ul class="models">${model("shop.Orders")}${model("shop.items")}</ul><ul class="models">${model("raw.x")}</ul></details>
    <details class="group" data-group="b" open><ul class="models">${model("raw.y")}</ul></details></main>`);
  const plan = document.querySelector("main");
  (await fresh("plan/filter.js")).followFilter(plan);
  assert.equal(document.querySelector("[data-tools]").hidden, false);
  const type = (text) => {
    const input = document.querySelector("input");
    input.value = text;
    fire(input, "input");
    return [...document.querySelectorAll(".model")].filter((row) => !row.hidden).map((row) => textOf(row));
  };
  const groups = () => [...document.querySelectorAll(".group")].map((group) => [group.hidden, group.open]);
  assert.deepEqual(type(" ORDERS "), ["shop.Orders"]);
  assert.deepEqual(groups(), [[false, true], [true, true]]);
  assert.deepEqual([...document.querySelectorAll(".models")].map((chunk) => chunk.hidden), [false, true, true]);
  assert.deepEqual(type("nothing"), []);
  assert.equal(document.querySelector("[data-no-match]").hidden, false);
  assert.equal(type("").length, 4);
  assert.deepEqual(groups(), [[false, false], [false, true]], "as they were");
  assert.equal(document.querySelector("[data-no-match]").hidden, true);
});

// The form of a project

async function openForm() {
  const field = (name) => `<div data-field="${name}"><input name="${name}"><p class="error"></p></div>`;
  openPage(`<form data-project-form action="/p/new">${field("name")}${field("branch")}<select name="project_type"><option>dbt</option></select>
    <p id="field-branch-hint">old</p><button data-test-repository>Test</button><div id="repository-report"></div></form>`);
  mock.timers.enable({ apis: ["setTimeout"] });
  const requests = takeRequests();
  (await fresh("project-form.js")).helpWithProject();
  return requests;
}

function type(name, value) {
  const control = document.querySelector(`[name=${name}]`);
  control.value = value;
  fire(control, "input");
  mock.timers.tick(350);
}

const error = (name) => textOf(document.querySelector(`[data-field=${name}] .error`));

test("errors are shown beside what was touched, and go when it is right", async () => {
  const requests = await openForm();
  type("name", "!");
  assert.equal(requests[0].options.body.get("intent"), "check");
  assert.equal(requests[0].options.body.get("name"), "!");
  await requests[0].answer({ errors: { name: "Letters, please.", branch: "Missing." }, hints: { branch: "new" } });
  assert.deepEqual([error("name"), error("branch")], ["Letters, please.", ""]);
  assert.equal(document.querySelector("[name=name]").getAttribute("aria-invalid"), "true");
  assert.equal(textOf(document.querySelector("#field-branch-hint")), "new");
  type("name", "shop");
  await requests[1].answer({ errors: { branch: "Missing." }, hints: {} });
  assert.deepEqual([error("name"), error("branch")], ["", ""]);
  assert.equal(document.querySelector("[name=name]").hasAttribute("aria-invalid"), false);
});

test("an answer about what was typed before counts no more", async () => {
  const requests = await openForm();
  type("name", "!");
  type("name", "shop");
  await requests[1].answer({ errors: {}, hints: {} });
  await requests[0].answer({ errors: { name: "Letters, please." }, hints: {} });
  assert.equal(error("name"), "");
});

test("the tool that is chosen decides which fields there are", async () => {
  await openForm();
  type("project_type", "dbt");
  assert.equal(document.querySelector("form").dataset.type, "dbt");
});

test("the repository is tested in place; its report or the refusal is shown", async () => {
  const requests = await openForm();
  const button = document.querySelector("button"), report = document.querySelector("#repository-report");
  fire(button, "click");
  assert.equal(button.getAttribute("aria-disabled"), "true");
  await requests[0].answer('<div id="repository-report"><p>3 gateways</p></div>');
  assert.equal(textOf(report), "3 gateways");
  assert.equal(button.hasAttribute("aria-disabled"), false);
  fire(button, "click");
  await requests[1].answer('<main><div class="note danger"><p>No right.</p></div></main>');
  assert.equal(textOf(report), "No right.");
  fire(button, "click");
  await requests[2].fail();
  assert.equal(textOf(report), "The server did not answer.");
});

// Dialogs

test("a form is sent once, and may be sent again when one comes back to the page", async () => {
  openPage('<form method="post"><button>Go</button></form>');
  (await fresh("dialogs.js")).openDialogs();
  const form = document.querySelector("form");
  assert.equal(fire(form, "submit").defaultPrevented, false);
  assert.equal(fire(form, "submit").defaultPrevented, true);
  assert.equal(document.querySelector("button").getAttribute("aria-disabled"), "true");
  fire(window, "pageshow", { persisted: true });
  assert.equal(fire(form, "submit").defaultPrevented, false);
});

test("a question is shown over the page, and closed without leaving a trace", async () => {
  openPage('<a data-dialog href="/p/delete">Delete</a>');
  const requests = takeRequests();
  (await fresh("dialogs.js")).openDialogs();
  const click = fire(document.querySelector("a"), "click");
  assert.equal(click.defaultPrevented, true);
  await requests[0].answer('<div data-confirm class="panel" aria-labelledby="q"><h2 id="q">Delete?</h2><input name="name"><button data-close>No</button></div>');
  const dialog = document.querySelector("dialog");
  assert.equal(dialog.open, true);
  assert.equal(dialog.getAttribute("aria-labelledby"), "q");
  assert.equal(document.activeElement, dialog.querySelector("input"));
  fire(dialog.querySelector("[data-close]"), "click");
  assert.equal(document.querySelector("dialog"), null);
});

test("who wants a new tab gets one", async () => {
  openPage('<a data-dialog href="/p/delete">Delete</a>');
  const requests = takeRequests();
  (await fresh("dialogs.js")).openDialogs();
  document.addEventListener("click", (event) => event.defaultPrevented || (requests.push("browser"), event.preventDefault()));
  fire(document.querySelector("a"), "click", { ctrlKey: true });
  assert.deepEqual(requests, ["browser"]);
});

const decision = (word) => `<div id="flash">${word ? `<p class="note">${word}</p>` : ""}</div><main data-plan="/p"><section data-region="head">${word || "waiting"}</section>
  <button data-opens="approve">Approve</button><dialog id="approve"><form class="decision" action="/p/approve"><input name="step" value="plan_1"><textarea name="comment">ok</textarea>
  <button type="submit">Approve</button><button data-close>No</button></form></dialog></main>`;

async function decide() {
  openPage(decision(""));
  const requests = takeRequests();
  (await fresh("plan/dialogs.js")).followDialogs(document.querySelector("main"));
  fire(document.querySelector("[data-opens]"), "click");
  const form = document.querySelector("form");
  fire(form, "submit");
  return { requests, form, button: form.querySelector("[type=submit]") };
}

test("a decision is sent as its form says, and what came of it is shown and focused", async () => {
  const { requests, button } = await decide();
  assert.equal(document.querySelector("dialog").open, true);
  assert.equal(button.disabled, true);
  assert.equal(requests[0].options.method, "POST");
  assert.equal(String(requests[0].options.body), "step=plan_1&comment=ok");
  await requests[0].answer(decision("Approved"));
  assert.equal(document.querySelector("dialog").open, false);
  assert.equal(textOf(document.querySelector("[data-region]")), "Approved");
  assert.equal(document.activeElement, document.querySelector("#flash .note"));
  assert.equal(button.disabled, false);
});

test("an answer that never came is said where one decided, and one may try again", async () => {
  const { requests, form, button } = await decide();
  await requests[0].fail();
  assert.match(textOf(form.querySelector(".note.answer")), /Nothing is known about what came of it/);
  assert.equal(button.disabled, false);
  fire(form, "submit");
  await requests[1].fail();
  assert.equal(form.querySelectorAll(".note.answer").length, 1);
});

test("an answer that is no plan page takes the page's place", async () => {
  const { requests } = await decide();
  await requests[0].answer("<main><h1>Session expired</h1></main>", { status: 401 });
  assert.equal(textOf(document.querySelector("main")), "Session expired");
});

// The rest

test("one menu is open at a time, and keys go through it", async () => {
  const menu = '<details class="menu" open><summary>m</summary><a href="#a">a</a><button>b</button></details>';
  openPage(menu + menu);
  (await fresh("menus.js")).keepMenus();
  const [first, second] = document.querySelectorAll("details");
  fire(first.querySelector("summary"), "click");
  assert.equal(second.open, false);
  first.open = true;
  first.querySelector("a").focus();
  fire(document.activeElement, "keydown", { key: "ArrowDown" });
  assert.equal(document.activeElement, first.querySelector("button"));
  fire(document.activeElement, "keydown", { key: "ArrowDown" });
  assert.equal(document.activeElement, first.querySelector("a"), "round and round");
  fire(document.activeElement, "keydown", { key: "ArrowUp" });
  assert.equal(document.activeElement, first.querySelector("button"));
  fire(document.activeElement, "keydown", { key: "Escape" });
  assert.equal(first.open, false);
  assert.equal(document.activeElement, first.querySelector("summary"));
});

test("what was said after an action is said once", async () => {
  openPage("", { url: "http://airflow.example/p?models=2&said=approved#m3" });
  (await fresh("said.js")).sayOnce();
  assert.equal(location.href, "http://airflow.example/p?models=2#m3");
});

test("links that lead out of Airflow's frame are followed there", async () => {
  const window = openPage('<a data-airflow href="/dags/x">Dag</a><a data-outside href="https://github.com/a">git</a><a data-login href="#">in</a>', {
    attributes: { "data-airflow": "/af" },
  });
  const { leadOutside, loginUrl } = await fresh("outside.js");
  const [dag, git, login] = document.querySelectorAll("a");
  assert.equal(leadOutside(dag), false, "alone in a tab the browser does it");
  const followed = [];
  const outer = {
    document: { createElement: () => ({ click() { followed.push([this.href, this.target, this.rel]); } }) },
    history: { pushState: (_state, _title, href) => followed.push(href) },
    PopStateEvent: window.PopStateEvent,
    dispatchEvent: (event) => followed.push(event.type),
    location: { pathname: "/dags", search: "?q=1" },
  };
  Object.defineProperty(globalThis, "window", { value: { parent: outer }, configurable: true, writable: true });
  assert.equal(leadOutside(dag), true);
  assert.deepEqual(followed.splice(0), ["http://airflow.example/dags/x", "popstate"]);
  leadOutside(git);
  leadOutside(login);
  assert.deepEqual(followed, [["https://github.com/a", "_self", "noopener noreferrer"], ["/af/auth/login?next=%2Fdags%3Fq%3D1", "_self", "noopener noreferrer"]]);
  assert.equal(loginUrl(), "/af/auth/login?next=%2Fdags%3Fq%3D1");
});

test("what would not show in a text is named, and the rest stays text", async () => {
  openPage("");
  const { element, visible } = await fresh("plan/text.js");
  assert.equal(visible("a\u202eb\u200b"), "a[U+202E]b[U+200B]");
  const made = element("p", "small", "<b>x</b>\ufeff");
  assert.equal(made.outerHTML, '<p class="small">&lt;b&gt;x&lt;/b&gt;<span class="unseen">U+FEFF</span></p>');
});

test("results are read from the page, and marked while a step runs", async () => {
  const model = (name, status) => `<li class="model"><b>${name}</b><span class="result"${status ? ` data-status="${status}"` : ""}>${status}</span></li>`;
  openPage(`<main>${model("A.b", "running")}${model("c", "failed")}${model("d", "")}</main>`);
  const { followResults, markResults, results } = await fresh("plan/results.js");
  const plan = document.querySelector("main");
  followResults(plan);
  assert.deepEqual([...results], [["a.b", "running"], ["c", "failed"]]);
  markResults(plan, [["D", "running", "↻ running"]]);
  assert.deepEqual([...document.querySelectorAll(".result")].map((place) => [place.dataset.status, place.textContent]), [
    [undefined, ""], ["failed", "failed"], ["running", "↻ running"],
  ]);
  document.dispatchEvent(new CustomEvent("dagctl:shown"));
  assert.deepEqual([...results], [["c", "failed"], ["d", "running"]]);
});

test("the graph is fetched when it comes into view, also when it came later", async () => {
  let seen;
  globalThis.IntersectionObserver = class {
    constructor(look) {
      seen = look;
    }
    observe() {}
    disconnect() {}
  };
  openPage("<main></main>");
  const requests = takeRequests();
  const plan = document.querySelector("main");
  // Loaded before, so that nothing has to wait for a disk.
  await import("../src/plan/graph-view.js");
  (await fresh("plan/graphs.js")).followGraph(plan);
  plan.innerHTML = '<div data-graph="/p/graph"><p data-graph-wait hidden>No graph.</p></div>';
  document.dispatchEvent(new CustomEvent("dagctl:shown"));
  seen([{ isIntersecting: false }]);
  assert.equal(requests.length, 0);
  seen([{ isIntersecting: true }]);
  assert.equal(requests[0].address, "/p/graph");
  await requests[0].answer("", { status: 500 });
  await settled();
  assert.equal(document.querySelector("[data-graph-wait]").hidden, false);
});

for (const [outside, remembered, shown] of [["dark", "light", "dark"], ["light", null, "light"], ["", "dark", "dark"], ["", null, ""]]) {
  test(`inside a page that is ${outside || "of no theme"}, with ${remembered} remembered, it is ${shown || "as the system has it"}`, async () => {
    const window = openPage("");
    const root = window.document.createElement("html");
    root.className = outside;
    if (remembered) localStorage.setItem("theme", remembered);
    Object.defineProperty(globalThis, "window", { value: { parent: { document: { documentElement: root } } }, configurable: true, writable: true });
    await fresh("theme.js");
    const own = document.documentElement.classList;
    assert.deepEqual([own.contains("dark"), own.contains("light"), own.contains("embedded")], [shown === "dark", shown === "light", true]);
  });
}

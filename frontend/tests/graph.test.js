// The impact graph: what the compact form of the server means, which models are shown, and how one finds one's way.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { fire, openPage, textOf } from "./page.js";

const [REMOVED, CHANGED, ADDED, DOWNSTREAM, , , , , UNCHANGED] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
// raw -> orders -> daily -> board, and raw -> items -> daily.
const SMALL = {
  names: ["orders", "Daily\u202e", "board", "raw", "items", "gone"],
  marks: [CHANGED, DOWNSTREAM, DOWNSTREAM, UNCHANGED, ADDED, REMOVED],
  edges: [3, 0, 0, 1, 1, 2, 3, 4, 4, 1],
};

let drawGraph, pen, questions, window;

class Layout {
  constructor(address) {
    this.address = address;
    questions.push(this);
  }
  postMessage(asked) {
    this.asked = asked;
  }
}

beforeEach(async () => {
  window = openPage(`<main data-plan="/p" data-layout="/static/plan-layout.js"><div data-graph></div>
    <details class="group"><ul class="models" hidden><li class="model" hidden><details><summary><b>orders</b></summary></details></li></ul></details></main>`);
  questions = [];
  globalThis.Worker = Layout;
  pen = [];
  // Notes what is written and drawn.
  window.HTMLCanvasElement.prototype.getContext = () => new Proxy({}, {
    get: (own, name) => own[name] ?? ((...args) => (pen.push([name, ...args]), { width: 10 })),
    set: (own, name, value) => ((own[name] = value), true),
  });
  for (const [name, value] of [["clientWidth", 1000], ["clientHeight", 400]]) {
    Object.defineProperty(window.HTMLCanvasElement.prototype, name, { value, configurable: true });
  }
  ({ drawGraph } = await import("../src/plan/graph-view.js"));
});

function draw(data) {
  const plan = document.querySelector("main");
  return drawGraph(plan.querySelector("[data-graph]"), data, plan);
}

const said = () => textOf(document.querySelector(".graph-said"));
const names = (graph, nodes) => nodes.map((at) => graph.names[graph.shown[at]]).sort();

test("edges are pairs of positions: from what is read to who reads it", () => {
  const graph = draw(SMALL);
  assert.deepEqual(names(graph, graph.parents[1]), ["items", "orders"]);
  assert.deepEqual(names(graph, graph.children[3]), ["items", "orders"]);
  assert.equal(graph.names[1], "Daily[U+202E]", "what would not show is named");
  assert.equal(said(), "6 models shown.");
});

test("the legend counts what each mark stands for, and hides it", () => {
  const graph = draw(SMALL);
  const labels = [...document.querySelectorAll(".legend label")];
  assert.deepEqual(labels.map(textOf), ["Removed 1", "Changed 1", "Added 1", "Downstream 2", "Unchanged 1"]);
  const box = labels[3].querySelector("input");
  box.checked = false;
  fire(box, "change");
  assert.deepEqual(names(graph, graph.shown.map((_, at) => at)), ["gone", "items", "orders", "raw"]);
  assert.deepEqual(graph.edges.length, 4, "no edges to models that are not there");
  box.checked = true;
  fire(box, "change");
  assert.equal(graph.shown.length, 6);
});

test("of very many models the unchanged ones are hidden at first, unless there are no others", () => {
  const many = (mark) => ({ names: Array.from({ length: 250 }, (_, at) => `m${at}`), marks: Array.from({ length: 250 }, (_, at) => (at < 5 ? mark : UNCHANGED)), edges: [0, 1] });
  assert.equal(draw(many(CHANGED)).shown.length, 5);
  assert.equal(draw(many(UNCHANGED)).shown.length, 250);
});

test("few models are placed with care by the worker, and only its newest answer counts", () => {
  const graph = draw(SMALL);
  const [layout] = questions;
  assert.equal(layout.address, "/static/plan-layout.js");
  assert.deepEqual(layout.asked, { id: 1, count: 6, edges: graph.edges });
  graph.arrange();
  assert.equal(layout.asked.id, 2);
  const before = graph.places;
  layout.onmessage({ data: { id: 1, x: [1, 2, 3, 4, 5, 6], y: [1, 2, 3, 4, 5, 6] } });
  assert.equal(graph.places, before);
  layout.onmessage({ data: { id: 2, x: [100, 2, 3, 4, 5, 6], y: [13, 2, 3, 4, 5, 6] } });
  assert.deepEqual([graph.places.x[0], graph.places.y[0]], [5, 0], "the worker tells middles, corners are drawn");
});

test("thousands are not given to the worker", () => {
  draw({ names: Array.from({ length: 400 }, (_, at) => `m${at}`), marks: new Array(400).fill(CHANGED), edges: [] });
  assert.equal(questions.length, 0);
});

test("what is chosen is said, with all that is upstream and downstream of it", () => {
  const graph = draw(SMALL);
  graph.choose(0);
  assert.match(said(), /^orders: changed, reads 1, read by 1; 1 upstream and 2 downstream here\. Show in the list$/);
  assert.deepEqual(Object.fromEntries([...graph.near].map(([at, way]) => [graph.names[graph.shown[at]], way])), {
    orders: 0, raw: -1, "Daily[U+202E]": 1, board: 1,
  });
  graph.choose(-1);
  assert.equal(said(), "6 models shown.");
});

test("a circle, which a warehouse cannot have, is gone round once", () => {
  const graph = draw({ names: ["a", "b"], marks: [CHANGED, CHANGED], edges: [0, 1, 1, 0] });
  graph.choose(0);
  assert.deepEqual([...graph.near], [[0, 0], [1, -1]]);
});

test("arrow keys go along the edges, and up and down within a column", () => {
  const graph = draw(SMALL);
  const canvas = document.querySelector("canvas");
  const press = (key) => (fire(canvas, "keydown", { key }), graph.names[graph.shown[graph.chosen]]);
  assert.equal(press("ArrowRight"), "orders");
  assert.equal(press("ArrowRight"), "Daily[U+202E]");
  assert.equal(press("ArrowRight"), "board");
  assert.equal(press("ArrowRight"), "board", "nobody reads it");
  press("ArrowLeft");
  assert.ok(["orders", "items"].includes(press("ArrowLeft")));
  const [one, other] = [graph.chosen, graph.places.y[0] > graph.places.y[4] === (graph.chosen === 0) ? "ArrowUp" : "ArrowDown"];
  press(other);
  assert.deepEqual(new Set([one, graph.chosen]), new Set([0, 4]));
  fire(canvas, "keydown", { key: "Escape" });
  assert.equal(graph.chosen, -1);
});

test("zooming keeps the point under the pointer, and has its limits", () => {
  const graph = draw(SMALL);
  const world = (x, y) => [(x - graph.view.x) / graph.view.zoom, (y - graph.view.y) / graph.view.zoom];
  const before = world(300, 200);
  graph.zoomBy(1.4, 300, 200);
  world(300, 200).forEach((value, at) => assert.ok(Math.abs(value - before[at]) < 1e-9));
  graph.zoomBy(1e6);
  assert.equal(graph.view.zoom, 2.5);
  graph.zoomBy(1e-9);
  assert.equal(graph.view.zoom, 0.01);
});

test("all of it fits in", () => {
  const graph = draw(SMALL);
  graph.fit();
  const { left, right, top, bottom } = graph.bounds, { x, y, zoom } = graph.view;
  assert.ok(left * zoom + x >= 0 && right * zoom + x <= 1000);
  assert.ok(top * zoom + y >= 0 && bottom * zoom + y <= 560);
});

test("a model is found by a part of its name, one after the other, also among those that are hidden", () => {
  const graph = draw(SMALL);
  const search = document.querySelector("input[type=search]");
  const find = (text, key) => {
    search.value = text;
    if (key) fire(search, "keydown", key);
    else fire(search, "input");
    return said();
  };
  assert.match(find("R"), /^1 of 3: orders/);
  assert.match(find("R", { key: "Enter" }), /^2 of 3: board/);
  assert.match(find("R", { key: "Enter", shiftKey: true }), /^1 of 3: orders/);
  assert.match(find("R", { key: "Enter", shiftKey: true }), /^3 of 3: raw/);
  assert.match(find("R", { key: "Enter" }), /^1 of 3: orders/);
  assert.match(find("nothing"), /^No model of that name\.$/);
  graph.hiddenMarks.add(UNCHANGED);
  graph.arrange();
  assert.match(find("raw"), /^1 found, all of them among the models that are not shown\.$/);
  find("");
  assert.equal(graph.chosen, -1);
});

test("from the graph to the row in the list, whatever hides it", () => {
  const graph = draw(SMALL);
  graph.choose(0);
  fire(document.querySelector(".graph-said button"), "click");
  const row = document.querySelector(".model");
  assert.deepEqual([row.hidden, row.parentElement.hidden, row.firstElementChild.open, row.closest(".group").open], [false, false, true, true]);
  assert.equal(document.activeElement, row.querySelector("summary"));
});

test("what an execution did with a model is drawn beside its name", async () => {
  const { results } = await import("../src/plan/results.js");
  results.set("orders", "failed");
  const graph = draw(SMALL);
  pen.length = 0;
  graph.view = { x: 0, y: 300, zoom: 1 };
  graph.paintAll();
  const written = pen.filter(([name]) => name === "fillText").map(([, text]) => text);
  assert.ok(written.includes("✕"));
  assert.ok(written.includes("orders"));
  results.clear();
});

test("out of sight nothing is drawn", () => {
  const graph = draw(SMALL);
  pen.length = 0;
  graph.view = { x: -1e6, y: 0, zoom: 1 };
  graph.paintAll();
  assert.deepEqual(pen.filter(([name]) => name === "fillText"), []);
});

test("a click says which model is under it", () => {
  const graph = draw(SMALL);
  graph.view = { x: 0, y: 0, zoom: 2 };
  const [x, y] = [graph.places.x[2], graph.places.y[2]];
  assert.equal(graph.at({ offsetX: 2 * x + 10, offsetY: 2 * y + 10 }), 2);
  assert.equal(graph.at({ offsetX: 2 * x - 10, offsetY: 2 * y + 10 }), -1);
});

// Where the models of a graph stand: in columns at once, with care in a worker.

import assert from "node:assert/strict";
import { test } from "node:test";
import { placeInColumns } from "../src/plan/columns.js";
import { HEIGHT, WIDTH } from "../src/plan/sizes.js";

// Made up the same way each time: every model reads some of those before it.
function warehouse(count, reads) {
  let seed = 1;
  const dice = (most) => (seed = (seed * 16807) % 2147483647) % most;
  const edges = [];
  for (let node = 1; node < count; node++) for (let at = 0; at < reads; at++) edges.push(dice(node), node);
  return edges;
}

function overlaps({ x, y }) {
  const order = x.map((_, at) => at).sort((a, b) => x[a] - x[b] || y[a] - y[b]);
  return order.slice(1).filter((at, before) => {
    const other = order[before];
    return x[at] === x[other] && y[at] - y[other] < HEIGHT;
  });
}

for (const [count, reads] of [[1, 1], [7, 2], [80, 1], [500, 3], [5000, 4]]) {
  test(`${count} models: each stands right of what it reads, on no other`, () => {
    const edges = warehouse(count, reads);
    const places = placeInColumns(count, edges);
    assert.deepEqual([places.x.length, places.y.length], [count, count]);
    for (let at = 0; at < edges.length; at += 2) assert.ok(places.x[edges[at + 1]] >= places.x[edges[at]] + WIDTH, `${edges[at]} -> ${edges[at + 1]}`);
    assert.deepEqual(overlaps(places), []);
    assert.ok([...places.x, ...places.y].every(Number.isFinite));
  });
}

test("no models take no place", () => assert.deepEqual(placeInColumns(0, []), { x: [], y: [] }));

test("models in a circle are placed all the same", () => {
  const places = placeInColumns(3, [0, 1, 1, 2, 2, 1]);
  assert.equal(new Set(places.x.map((x, at) => `${x} ${places.y[at]}`)).size, 3);
});

test("a column that would be too tall is broken into several", () => {
  const { x, y } = placeInColumns(1000, []);
  assert.ok(new Set(x).size >= 10);
  assert.ok(Math.max(...y) - Math.min(...y) < 70 * (HEIGHT + 8));
});

test("who reads one model stands near it", () => {
  // Two chains that were named crosswise.
  const { y } = placeInColumns(4, [0, 3, 1, 2]);
  assert.equal(Math.sign(y[0] - y[1]), Math.sign(y[3] - y[2]));
});

test("the worker answers with a place for each model, and with the number of the question", async () => {
  const answers = [];
  globalThis.self = { postMessage: (answer) => answers.push(answer) };
  await import("../src/plan-layout.js");
  globalThis.self.onmessage({ data: { id: 7, count: 4, edges: [0, 1, 1, 2, 0, 3] } });
  assert.equal(answers[0].id, 7);
  const { x, y } = answers[0];
  assert.equal(x.length, 4);
  assert.ok(x[1] - x[0] >= WIDTH && x[2] - x[1] >= WIDTH && x[3] > x[0]);
  assert.ok(Math.abs(y[1] - y[3]) >= HEIGHT, "two of one column do not overlap");
});

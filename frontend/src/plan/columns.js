// Places large graphs in columns: every model right of what it reads, near it if possible. Linear in models and edges, where a
// careful layout of thousands would take minutes.

import { HEIGHT, WIDTH } from "./sizes.js";

const GAP_X = 90;
const GAP_Y = 8;
const SWEEPS = 4;
const TALLEST = 60;

export function placeInColumns(count, edges) {
  const parents = Array.from({ length: count }, () => []);
  const children = Array.from({ length: count }, () => []);
  for (let at = 0; at < edges.length; at += 2) {
    parents[edges[at + 1]].push(edges[at]);
    children[edges[at]].push(edges[at + 1]);
  }
  const columns = columnsOf(count, parents, children);
  const order = new Float64Array(count);
  for (const column of columns) column.forEach((node, at) => (order[node] = at));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const beside = sweep % 2 ? children : parents;
    for (const column of sweep % 2 ? [...columns].reverse() : columns) {
      const wish = new Map(column.map((node) => [node, mean(beside[node], order) ?? order[node]]));
      column.sort((a, b) => wish.get(a) - wish.get(b));
      column.forEach((node, at) => (order[node] = at));
    }
  }
  return coordinates(count, columns);
}

// The longest way from a model that reads nothing; models in a circle, which a warehouse cannot have, stay in the first column.
function columnsOf(count, parents, children) {
  const open = parents.map((list) => list.length);
  const depth = new Int32Array(count);
  const ready = [];
  for (let node = 0; node < count; node++) if (!open[node]) ready.push(node);
  for (let at = 0; at < ready.length; at++) {
    for (const child of children[ready[at]]) {
      depth[child] = Math.max(depth[child], depth[ready[at]] + 1);
      if (--open[child] === 0) ready.push(child);
    }
  }
  const columns = [];
  for (let node = 0; node < count; node++) (columns[depth[node]] ??= []).push(node);
  return Array.from(columns, (column) => column ?? []);
}

function mean(nodes, order) {
  return nodes.length ? nodes.reduce((sum, node) => sum + order[node], 0) / nodes.length : null;
}

// Columns taller than a screen is wide are broken into several beside each other.
function coordinates(count, columns) {
  const x = new Array(count).fill(0), y = new Array(count).fill(0);
  const tallest = Math.max(TALLEST, Math.ceil(Math.sqrt(count) * 2));
  let left = 0;
  for (const column of columns) {
    const pieces = Math.max(1, Math.ceil(column.length / tallest));
    const height = Math.ceil(column.length / pieces);
    column.forEach((node, at) => {
      x[node] = left + Math.floor(at / height) * (WIDTH + 20);
      y[node] = ((at % height) - height / 2) * (HEIGHT + GAP_Y);
    });
    left += (pieces - 1) * (WIDTH + 20) + WIDTH + GAP_X;
  }
  return { x, y };
}

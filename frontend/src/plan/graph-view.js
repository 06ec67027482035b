// The impact graph on a canvas: drawn anew for every move, so that five thousand models are as easy to move as ten.
// Marks differ by sign and border, not by colour alone. Everything the mouse can do the keyboard can, and what is chosen is said.

import { nameOf } from "./filter.js";
import { placeInColumns } from "./columns.js";
import { results } from "./results.js";
import { HEIGHT, WIDTH } from "./sizes.js";
import { element, visible } from "./text.js";

const MARKS = ["removed", "changed", "added", "downstream", "load", "metadata", "reader", "follower", "unchanged"];
const TITLES = ["Removed", "Changed", "Added", "Downstream", "Not changed", "Only metadata", "Only reads what changes", "Metadata of what it reads", "Unchanged"];
const SIGNS = ["−", "~", "+", "↓", "⟳", "i", "→", "·", ""];
const RESULTS = { succeeded: "✓", failed: "✕", running: "↻", skipped: "⊘", cancelled: "■" };
const FIRST = [1, 2, 0, 5, 3];
const CAREFUL_UP_TO = 350;
const HIDE_UNCHANGED_FROM = 200;
const MOST_ZOOM = 2.5;
const READABLE = 0.45;
const LOWEST = 180;
const FEW = 40;
const BLOCK_SHARES = { changed: 1.3, downstream: 0.6, load: 0.6, metadata: 0.6, reader: 0.5, follower: 0.5, unchanged: 0.3 };
const MANY_EDGES = 1500;
const LOWEST_OF_MANY = 420;
const HIGHEST = 560;
const DIM = 0.18;

export function drawGraph(place, data, plan) {
  return new Graph(place, data, plan);
}

class Graph {
  constructor(place, data, plan) {
    this.place = place;
    this.plan = plan;
    this.names = data.names.map(visible);
    this.lower = this.names.map((name) => name.toLowerCase());
    this.marks = data.marks;
    this.allEdges = data.edges;
    const unchanged = MARKS.length - 1;
    this.hiddenMarks = new Set(this.names.length > HIDE_UNCHANGED_FROM && this.marks.some((mark) => mark !== unchanged) ? [unchanged] : []);
    this.view = { x: 0, y: 0, zoom: 1 };
    this.chosen = -1;
    this.build();
    this.arrange();
  }

  // Elements

  build() {
    this.search = element("input");
    Object.assign(this.search, { type: "search", placeholder: "Find a model", autocomplete: "off", spellcheck: false });
    this.search.setAttribute("aria-label", "Find a model in the graph");
    this.said = element("p", "graph-said small");
    this.said.setAttribute("role", "status");
    const zoom = element("div", "switch");
    zoom.setAttribute("role", "group");
    zoom.setAttribute("aria-label", "Zoom");
    zoom.append(tool("−", "Zoom out", () => this.zoomBy(1 / 1.4)), tool("+", "Zoom in", () => this.zoomBy(1.4)), tool("Fit", "Fit: show all", () => this.fit()));
    const tools = element("div", "graph-tools");
    tools.append(this.search, zoom, this.legend());
    this.canvas = element("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "graph");
    this.canvas.setAttribute("aria-label", "Impact graph. Arrow keys go from model to model, plus and minus zoom, zero shows all, Enter goes to the model in the list.");
    this.place.replaceChildren(tools, this.canvas, this.said);
    this.context = this.canvas.getContext("2d");
    this.listen();
  }

  legend() {
    const legend = element("fieldset", "legend");
    legend.append(element("legend", "sr", "Which models are shown"));
    MARKS.forEach((mark, at) => {
      const count = this.marks.filter((value) => value === at).length;
      if (!count) return;
      const label = element("label");
      const box = element("input");
      Object.assign(box, { type: "checkbox", checked: !this.hiddenMarks.has(at) });
      box.addEventListener("change", () => {
        if (box.checked) this.hiddenMarks.delete(at);
        else this.hiddenMarks.add(at);
        this.arrange();
      });
      label.append(box, element("span", `mk ${mark}`), ` ${TITLES[at]} ${count.toLocaleString()}`);
      legend.append(label);
    });
    return legend;
  }

  listen() {
    const { canvas } = this;
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("pointermove", (event) => (canvas.style.cursor = this.at(event) >= 0 ? "pointer" : "grab"));
    canvas.addEventListener("dblclick", (event) => this.at(event) >= 0 && this.toRow());
    this.search.addEventListener("input", () => this.find(0));
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.find(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") this.choose(-1);
    });
    new MutationObserver(() => this.colours()).observe(document.documentElement, { attributeFilter: ["class"] });
    document.addEventListener("dagctl:results", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.colours());
  }

  // What is shown, and where

  arrange() {
    const shown = [];
    this.index = new Int32Array(this.names.length).fill(-1);
    this.names.forEach((_, node) => {
      if (!this.hiddenMarks.has(this.marks[node])) this.index[node] = shown.push(node) - 1;
    });
    this.shown = shown;
    this.edges = [];
    for (let at = 0; at < this.allEdges.length; at += 2) {
      const [from, to] = [this.index[this.allEdges[at]], this.index[this.allEdges[at + 1]]];
      if (from >= 0 && to >= 0) this.edges.push(from, to);
    }
    this.parents = shown.map(() => []);
    this.children = shown.map(() => []);
    for (let at = 0; at < this.edges.length; at += 2) {
      this.children[this.edges[at]].push(this.edges[at + 1]);
      this.parents[this.edges[at + 1]].push(this.edges[at]);
    }
    this.chosen = -1;
    this.near = null;
    this.places = placeInColumns(shown.length, this.edges);
    this.measure();
    this.colours();
    this.show();
    this.say(`${shown.length.toLocaleString()} models shown.`);
    if (shown.length <= CAREFUL_UP_TO && shown.length > 1) this.arrangeCarefully();
  }

  arrangeCarefully() {
    this.worker ??= new Worker(this.plan.dataset.layout, { type: "module" });
    const id = (this.round = (this.round ?? 0) + 1);
    this.worker.onmessage = ({ data }) => {
      if (data.id !== this.round) return;
      this.places = { x: data.x.map((x) => x - WIDTH / 2), y: data.y.map((y) => y - HEIGHT / 2) };
      this.measure();
      if (!this.moved) this.show();
      else this.draw();
    };
    this.worker.postMessage({ id, count: this.shown.length, edges: this.edges });
  }

  measure() {
    const { x, y } = this.places;
    const least = (list) => list.reduce((a, b) => Math.min(a, b), Infinity);
    const most = (list) => list.reduce((a, b) => Math.max(a, b), -Infinity);
    this.bounds = x.length ? { left: least(x), top: least(y), right: most(x) + WIDTH, bottom: most(y) + HEIGHT } : { left: 0, top: 0, right: 1, bottom: 1 };
  }

  // Looks are the style sheet's: what a legend mark looks like is asked of the browser, so both themes come out right.
  colours() {
    const probe = element("span", "mk");
    probe.hidden = false;
    this.place.append(probe);
    this.paint = MARKS.map((mark) => {
      probe.className = `mk ${mark}`;
      const { color, backgroundColor, borderTopColor } = getComputedStyle(probe);
      return { text: color, fill: backgroundColor, edge: borderTopColor };
    });
    probe.remove();
    const style = getComputedStyle(this.canvas);
    this.ink = { text: style.color, line: style.borderTopColor, focus: style.outlineColor, font: style.fontFamily };
    this.draw();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    this.ratio = ratio;
    if (this.bounds && !this.moved) this.show();
    else this.draw();
  }

  fit() {
    const { left, top, right, bottom } = this.bounds;
    const { clientWidth: width } = this.canvas;
    // As high as the graph needs at this width, within what a screen can bear.
    const wanted = (bottom - top) * Math.min(1.1, (width - 24) / (right - left)) + 48;
    const height = Math.round(Math.max(this.shown.length > FEW ? LOWEST_OF_MANY : LOWEST, Math.min(wanted, HIGHEST, window.innerHeight * 0.7)));
    if (height !== this.canvas.clientHeight) this.canvas.style.height = `${height}px`;
    const zoom = Math.min(1.1, (width - 24) / (right - left), (height - 24) / (bottom - top));
    this.view = { zoom, x: width / 2 - (zoom * (left + right)) / 2, y: height / 2 - (zoom * (top + bottom)) / 2 };
    this.moved = false;
    this.draw();
  }

  // All of it if names can be read then, or if there are too many for names anyway; else what matters most.
  show() {
    this.fit();
    if (this.view.zoom >= READABLE || !this.shown.length || this.shown.length > CAREFUL_UP_TO) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const connected = (at) => this.parents[at].length + this.children[at].length > 0;
    const first = FIRST.map((mark) => this.shown.findIndex((node, at) => this.marks[node] === mark && connected(at))).find((at) => at >= 0) ?? 0;
    const zoom = 0.8, x = this.places.x[first] + WIDTH / 2, y = this.places.y[first] + HEIGHT / 2;
    this.view = { zoom, x: width / 2 - x * zoom, y: height / 2 - y * zoom };
    this.draw();
  }

  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const zoom = Math.min(MOST_ZOOM, Math.max(0.01, this.view.zoom * factor));
    const by = zoom / this.view.zoom;
    this.view = { zoom, x: x - (x - this.view.x) * by, y: y - (y - this.view.y) * by };
    this.moved = true;
    this.draw();
  }

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paintAll();
    });
  }

  paintAll() {
    const { context, view, ratio = 1 } = this;
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(ratio * view.zoom, 0, 0, ratio * view.zoom, ratio * view.x, ratio * view.y);
    const window = { left: -view.x / view.zoom, top: -view.y / view.zoom, right: (width - view.x) / view.zoom, bottom: (height - view.y) / view.zoom };
    this.paintEdges(window);
    const readable = view.zoom >= READABLE;
    for (let at = 0; at < this.shown.length; at++) {
      const x = this.places.x[at], y = this.places.y[at];
      if (x > window.right || y > window.bottom || x + WIDTH < window.left || y + HEIGHT < window.top) continue;
      context.globalAlpha = this.near && !this.near.has(at) ? DIM : 1;
      if (readable) this.paintModel(at, x, y);
      else this.paintBlock(at, x, y);
    }
    context.globalAlpha = 1;
    this.shownInWindow = window;
  }

  paintEdges(window) {
    const { context, near } = this;
    const { x, y } = this.places;
    // From far away thousands of lines say nothing; those of the chosen model do.
    const sparse = this.view.zoom < READABLE && this.edges.length > 2 * MANY_EDGES;
    for (const strong of near ? [false, true] : [false]) {
      if (!strong && (sparse || (near && this.edges.length > MANY_EDGES))) continue;
      context.beginPath();
      for (let at = 0; at < this.edges.length; at += 2) {
        const from = this.edges[at], to = this.edges[at + 1];
        if (near && strong !== (near.has(from) && near.has(to) && (near.get(from) * near.get(to) >= 0))) continue;
        const x1 = x[from] + WIDTH, y1 = y[from] + HEIGHT / 2, x2 = x[to], y2 = y[to] + HEIGHT / 2;
        if (Math.min(x1, x2) > window.right || Math.max(x1, x2) < window.left || Math.min(y1, y2) > window.bottom || Math.max(y1, y2) < window.top) continue;
        const bend = Math.max(30, Math.abs(x2 - x1) / 2);
        context.moveTo(x1, y1);
        context.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2, y2);
      }
      context.lineWidth = (strong ? 2 : 1) / Math.max(this.view.zoom, 0.25);
      context.strokeStyle = strong ? this.ink.focus : this.ink.line;
      context.globalAlpha = near && !strong ? DIM : this.edges.length > 2 * MANY_EDGES && !strong ? 0.35 : 0.9;
      context.stroke();
    }
  }

  // Too small for a name: how heavy a block is says as much as its colour.
  paintBlock(at, x, y) {
    const { context } = this;
    const mark = MARKS[this.marks[this.shown[at]]], { edge } = this.paint[this.marks[this.shown[at]]];
    const share = BLOCK_SHARES[mark] ?? 1;
    context.fillStyle = context.strokeStyle = mark === "unchanged" ? this.ink.line : edge;
    if (mark === "removed") {
      context.lineWidth = 5;
      context.strokeRect(x, y, WIDTH, HEIGHT);
    } else context.fillRect(x, y + (HEIGHT * (1 - share)) / 2, WIDTH, HEIGHT * share);
    if (at === this.chosen) this.ring(x, y);
  }

  paintModel(at, x, y) {
    const { context } = this;
    const mark = this.marks[this.shown[at]], look = this.paint[mark], name = MARKS[mark];
    context.fillStyle = look.fill;
    context.strokeStyle = look.edge;
    context.lineWidth = name === "changed" ? 3 : name === "unchanged" ? 1 : 1.5;
    context.setLineDash(name === "removed" ? [5, 3] : ["downstream", "load", "reader", "follower"].includes(name) ? [2, 2] : []);
    context.beginPath();
    context.roundRect(x, y, WIDTH, HEIGHT, name === "added" ? HEIGHT / 2 : 5);
    context.fill();
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = look.text;
    context.textBaseline = "middle";
    context.font = `600 13px ${this.ink.font}`;
    if (SIGNS[mark]) context.fillText(SIGNS[mark], x + 9, y + HEIGHT / 2 + 1);
    context.font = `12px ${this.ink.font}`;
    const label = shortened(this.names[this.shown[at]]);
    const result = RESULTS[results.get(this.lower[this.shown[at]])];
    context.fillText(label, x + 26, y + HEIGHT / 2 + 1, WIDTH - (result ? 50 : 34));
    if (result) this.paintResult(result, x, y);
    if (name === "removed") context.fillRect(x + 26, y + HEIGHT / 2, Math.min(context.measureText(label).width, WIDTH - 34), 1);
    if (at === this.chosen) this.ring(x, y);
  }

  // What an execution did with it, at its right end.
  paintResult(sign, x, y) {
    const { context } = this;
    context.font = `600 13px ${this.ink.font}`;
    context.fillText(sign, x + WIDTH - 18, y + HEIGHT / 2 + 1);
  }

  ring(x, y) {
    const { context } = this;
    context.strokeStyle = this.ink.focus;
    context.lineWidth = 3 / Math.min(1, this.view.zoom);
    context.strokeRect(x - 3, y - 3, WIDTH + 6, HEIGHT + 6);
  }

  // Moving

  wheel(event) {
    // A page must scroll past the graph; it zooms for those who are in it or say so.
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.canvas) return;
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.offsetX, event.offsetY);
  }

  press(event) {
    if (event.button !== 0) return;
    this.pointers ??= new Map();
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.canvas.setPointerCapture(event.pointerId);
    let travelled = 0;
    const move = (moving) => {
      const before = this.pointers.get(moving.pointerId);
      if (!before) return;
      const now = [moving.offsetX, moving.offsetY];
      const others = [...this.pointers].filter(([id]) => id !== moving.pointerId).map(([, where]) => where);
      if (others.length) {
        const spread = (where) => Math.hypot(where[0] - others[0][0], where[1] - others[0][1]) || 1;
        this.zoomBy(spread(now) / spread(before), others[0][0], others[0][1]);
      } else {
        travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
        this.view.x += now[0] - before[0];
        this.view.y += now[1] - before[1];
        this.moved = true;
        this.draw();
      }
      this.pointers.set(moving.pointerId, now);
    };
    const end = (ending) => {
      if (!this.pointers.delete(ending.pointerId) || ending.pointerId !== event.pointerId) return;
      this.canvas.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) this.canvas.removeEventListener(name, end);
      if (travelled < 4 && ending.type === "pointerup") this.choose(this.at(ending));
    };
    this.canvas.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, end);
  }

  at(event) {
    const x = (event.offsetX - this.view.x) / this.view.zoom, y = (event.offsetY - this.view.y) / this.view.zoom;
    for (let at = this.shown.length - 1; at >= 0; at--) {
      const left = this.places.x[at], top = this.places.y[at];
      if (x >= left && x <= left + WIDTH && y >= top && y <= top + HEIGHT) return at;
    }
    return -1;
  }

  key(event) {
    const pan = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (pan && event.shiftKey) {
      this.view.x += pan[0];
      this.view.y += pan[1];
      this.moved = true;
      this.draw();
    } else if (pan) this.choose(this.beside(event.key), true);
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.3);
    else if (event.key === "-") this.zoomBy(1 / 1.3);
    else if (event.key === "0") this.fit();
    else if (event.key === "Escape") this.choose(-1);
    else if (event.key === "Enter" && this.chosen >= 0) this.toRow();
    else return;
    event.preventDefault();
  }

  // Left to what is read, right to who reads it, up and down to the nearest in the same column.
  beside(key) {
    if (!this.shown.length) return -1;
    if (this.chosen < 0) return 0;
    const { x, y } = this.places, from = this.chosen;
    const upright = key === "ArrowUp" || key === "ArrowDown";
    const list = key === "ArrowLeft" ? this.parents[from] : key === "ArrowRight" ? this.children[from]
      : this.shown.map((_, at) => at).filter((at) => Math.abs(x[at] - x[from]) < WIDTH / 2 && (key === "ArrowUp" ? y[at] < y[from] : y[at] > y[from]));
    const far = (at) => Math.abs(y[at] - y[from]) + (upright ? Math.abs(x[at] - x[from]) : 0);
    return list.reduce((best, at) => (best < 0 || far(at) < far(best) ? at : best), -1) >= 0 ? list.reduce((best, at) => (best < 0 || far(at) < far(best) ? at : best), -1) : from;
  }

  // Choosing

  choose(at, reveal = false) {
    this.chosen = at;
    this.near = at < 0 ? null : this.related(at);
    if (at < 0) this.say(`${this.shown.length.toLocaleString()} models shown.`);
    else {
      if (reveal) this.reveal(at);
      const node = this.shown[at];
      const [up, down] = [[...this.near.values()].filter((way) => way < 0).length, [...this.near.values()].filter((way) => way > 0).length];
      this.say(`${this.names[node]}: ${TITLES[this.marks[node]].toLowerCase()}, reads ${this.parents[at].length}, read by ${this.children[at].length}; ${up} upstream and ${down} downstream here.`);
      const row = this.row(node);
      if (row) this.said.append(" ", tool("Show in the list", "", () => this.toRow(), "quiet small"));
    }
    this.draw();
  }

  // What is upstream (-1) and downstream (1) of a model, and itself (0).
  related(start) {
    const near = new Map([[start, 0]]);
    for (const [beside, way] of [[this.parents, -1], [this.children, 1]]) {
      const open = [start];
      while (open.length) {
        for (const next of beside[open.pop()]) {
          if (near.has(next)) continue;
          near.set(next, way);
          open.push(next);
        }
      }
    }
    return near;
  }

  reveal(at) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const zoom = Math.max(this.view.zoom, 0.8);
    const x = this.places.x[at] + WIDTH / 2, y = this.places.y[at] + HEIGHT / 2;
    const left = x * this.view.zoom + this.view.x, top = y * this.view.zoom + this.view.y;
    if (zoom === this.view.zoom && left > 100 && left < width - 100 && top > 30 && top < height - 30) return;
    this.view = { zoom, x: width / 2 - x * zoom, y: height / 2 - y * zoom };
    this.moved = true;
  }

  find(by) {
    const wanted = this.search.value.trim().toLowerCase();
    if (!wanted) return this.choose(-1);
    const hits = this.shown.map((_, at) => at).filter((at) => this.lower[this.shown[at]].includes(wanted));
    if (!hits.length) {
      const hidden = this.lower.filter((name) => name.includes(wanted)).length;
      this.choose(-1);
      return this.say(hidden ? `${hidden.toLocaleString()} found, all of them among the models that are not shown.` : "No model of that name.");
    }
    this.hit = by === 0 ? 0 : ((this.hit ?? 0) + by + hits.length) % hits.length;
    this.choose(hits[this.hit], true);
    this.said.prepend(`${this.hit + 1} of ${hits.length}: `);
  }

  row(node) {
    if (!this.rows) {
      this.rows = new Map([...this.plan.querySelectorAll(".model")].map((row) => [nameOf(row), row]));
      document.addEventListener("dagctl:shown", () => (this.rows = null), { once: true });
    }
    return this.rows.get(this.lower[node]);
  }

  toRow() {
    const row = this.chosen >= 0 && this.row(this.shown[this.chosen]);
    if (!row) return;
    row.closest("details.group").open = true;
    row.hidden = row.parentElement.hidden = false;
    row.firstElementChild.open = true;
    row.scrollIntoView({ block: "center" });
    row.querySelector("summary").focus({ preventScroll: true });
  }

  say(text) {
    this.said.textContent = text;
  }
}

function shortened(name) {
  return name.length > 30 ? `…${name.slice(-29)}` : name;
}

function tool(text, label, action, look = "small") {
  const made = element("button", look, text);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", action);
  return made;
}

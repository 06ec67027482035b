// Draws a unified diff: one column or two, the words that differ marked, SQL coloured. Text is only ever set as text.

import { diffWordsWithSpace } from "diff";
import Prism from "./prism-global.js";
import "prismjs/components/prism-sql.js";
import { element, visibleParts } from "./text.js";

const LONGEST_FOR_WORDS = 600;
const LEAST_IN_COMMON = 0.3;

export function drawDiff(place, found, view) {
  place.replaceChildren();
  if (!found.diff) {
    place.append(element("p", "muted", "The definition did not change, or its diff was not kept."));
    return;
  }
  const blocks = blocksOf(found.diff);
  const table = element("table", `diff-table ${view}`);
  table.append(element("caption", "sr", `Diff of ${found.name}`));
  const columns = element("colgroup");
  // The first row is a heading over all columns, so it cannot say how wide they are.
  for (const name of view === "split" ? ["number", "code", "number", "code"] : ["number", "number", "code"]) columns.append(element("col", name));
  table.append(columns);
  const body = element("tbody");
  for (const block of blocks) body.append(...(view === "split" ? splitRows(block) : unifiedRows(block)));
  table.append(body);
  const scroll = element("div", "scroll");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", `Diff of ${found.name}`);
  scroll.append(table);
  place.append(scroll);
  if (found.truncated) place.append(element("p", "muted small", "The diff is longer than what is kept; read the rest in git."));
}

// Pieces of a diff in order: {hunk} headings, {same} lines, and changes {gone, came} that stand side by side.
export function blocksOf(diff) {
  const blocks = [];
  let left = 1, right = 1, change = null;
  for (const line of diff.replace(/\n$/, "").split("\n")) {
    const sign = line[0];
    if (line.startsWith("@@")) {
      const numbers = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(line);
      if (numbers) [left, right] = [Number(numbers[1]), Number(numbers[2])];
      blocks.push({ hunk: line });
      change = null;
    } else if (line.startsWith("--- ") || line.startsWith("+++ ") || line.startsWith("\\ ")) {
      change = null;
    } else if (sign === "-" || sign === "+") {
      if (!change) blocks.push((change = { gone: [], came: [] }));
      if (sign === "-") change.gone.push({ number: left++, text: line.slice(1) });
      else change.came.push({ number: right++, text: line.slice(1) });
    } else {
      blocks.push({ same: line.startsWith(" ") ? line.slice(1) : line, left: left++, right: right++ });
      change = null;
    }
  }
  return blocks;
}

function unifiedRows(block) {
  if (block.hunk !== undefined) return [hunkRow(block.hunk, 3)];
  if (block.same !== undefined) return [row("", [block.left, block.right], code(block.same, []))];
  const marks = wordMarks(block);
  return [
    ...block.gone.map((line, at) => row("del", [line.number, ""], code(line.text, marks.gone[at], "−"))),
    ...block.came.map((line, at) => row("add", ["", line.number], code(line.text, marks.came[at], "+"))),
  ];
}

function splitRows(block) {
  if (block.hunk !== undefined) return [hunkRow(block.hunk, 4)];
  if (block.same !== undefined) {
    const line = element("tr");
    line.append(number(block.left), code(block.same, []), number(block.right), code(block.same, []));
    return [line];
  }
  const marks = wordMarks(block);
  return Array.from({ length: Math.max(block.gone.length, block.came.length) }, (_, at) => {
    const line = element("tr");
    const sides = [["del", block.gone[at], marks.gone[at], "−"], ["add", block.came[at], marks.came[at], "+"]];
    for (const [kind, side, ranges, sign] of sides) {
      const cells = side ? [number(side.number), code(side.text, ranges, sign)] : [number(""), element("td", "nothing")];
      if (side) for (const cell of cells) cell.classList.add(kind);
      line.append(...cells);
    }
    return line;
  });
}

function hunkRow(text, columns) {
  const line = element("tr", "hunk");
  const cell = element("td", "", text);
  cell.colSpan = columns;
  line.append(cell);
  return line;
}

function row(kind, numbers, cell) {
  const line = element("tr", kind);
  line.append(...numbers.map(number), cell);
  return line;
}

function number(value) {
  return element("td", "number", String(value));
}

// Which parts of paired lines differ: for each line a list of [from, to].
function wordMarks({ gone, came }) {
  const marks = { gone: gone.map(() => []), came: came.map(() => []) };
  for (let at = 0; at < Math.min(gone.length, came.length); at++) {
    const before = gone[at].text, after = came[at].text;
    if (before.length > LONGEST_FOR_WORDS || after.length > LONGEST_FOR_WORDS) continue;
    const parts = diffWordsWithSpace(before, after);
    const common = parts.filter((part) => !part.added && !part.removed).reduce((sum, part) => sum + part.value.trim().length, 0);
    if (common < LEAST_IN_COMMON * Math.max(before.trim().length, after.trim().length)) continue;
    let left = 0, right = 0;
    for (const part of parts) {
      if (part.removed) marks.gone[at].push([left, left + part.value.length]);
      if (part.added) marks.came[at].push([right, right + part.value.length]);
      if (!part.added) left += part.value.length;
      if (!part.removed) right += part.value.length;
    }
  }
  return marks;
}

// A cell with a line of SQL: coloured by token, cut again where a marked range begins or ends.
function code(text, ranges, sign = "") {
  const cell = element("td", "code");
  if (sign) {
    cell.dataset.sign = sign;
    cell.append(element("span", "sr", sign === "+" ? "added: " : "removed: "));
  }
  let position = 0;
  for (const { type, content } of tokens(text)) {
    for (const [piece, marked] of cut(content, position, ranges)) {
      const part = element("span", [type && `tok-${type}`, marked && "word"].filter(Boolean).join(" "));
      part.append(...visibleParts(piece));
      cell.append(part);
    }
    position += content.length;
  }
  if (!text) cell.append("\n");
  return cell;
}

function tokens(text) {
  const found = [];
  const add = (token, type) => {
    if (typeof token === "string") found.push({ type, content: token });
    else if (Array.isArray(token.content)) for (const inner of token.content) add(inner, token.type);
    else add(token.content, token.type);
  };
  for (const token of Prism.tokenize(text, Prism.languages.sql)) add(token, "");
  return found;
}

function cut(content, start, ranges) {
  const pieces = [];
  let from = 0;
  while (from < content.length) {
    const at = start + from;
    const inside = ranges.find(([begin, end]) => begin <= at && at < end);
    const next = inside ? inside[1] : Math.min(...ranges.map(([begin]) => begin).filter((begin) => begin > at), Infinity);
    const to = Math.min(content.length, next - start);
    pieces.push([content.slice(from, to), Boolean(inside)]);
    from = to;
  }
  return pieces;
}

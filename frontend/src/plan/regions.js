// Takes over what changed from a fresh copy of the page, region by region. What a reader has opened, typed, filtered or scrolled
// to stays; so does what scripts have put into the page (data-keep).

import { Idiomorph } from "idiomorph";
import { refreshAges } from "../ages.js";

const shown = new Map();
let asked = 0, newest = 0;

function key(region) {
  return region.dataset.region;
}

export function rememberRegions(root = document) {
  for (const region of root.querySelectorAll("[data-region]")) shown.set(key(region), region.outerHTML);
}

// Answers may come in another order than they were asked for. A turn is taken when one is asked for, and shown with the answer.
export function takeTurn() {
  return ++asked;
}

// Whether something is shown that was asked for later.
export function isOld(turn) {
  return turn < newest;
}

export function showDocument(fresh, { flash = false, turn = takeTurn() } = {}) {
  newest = turn;
  for (const region of fresh.querySelectorAll("[data-region]")) {
    const html = region.outerHTML;
    if (shown.get(key(region)) === html) continue;
    shown.set(key(region), html);
    const present = document.querySelector(`[data-region="${key(region)}"]`);
    if (present) Idiomorph.morph(present, region.cloneNode(true), { callbacks, ignoreActiveValue: typing() });
  }
  if (flash) document.querySelector("#flash").replaceChildren(...fresh.querySelector("#flash").childNodes);
  if (fresh.title) document.title = fresh.title;
  refreshAges();
  document.dispatchEvent(new CustomEvent("dagctl:shown"));
}

// What somebody types in stays; a link that happens to have the focus changes with its region.
function typing() {
  return document.activeElement?.matches("input, textarea, select") ?? false;
}

const callbacks = {
  beforeNodeRemoved: (node) => !(node.nodeType === 1 && (node.dataset.keep !== undefined || (node.localName === "dialog" && node.open))),
  beforeNodeMorphed: (old) => !(old.nodeType === 1 && old.localName === "dialog" && old.open),
  beforeAttributeUpdated: (name, node) => !(ours(name, node)),
};

// Attributes that the reader's own doing set.
function ours(name, node) {
  return (name === "open" && node.localName === "details") || (name === "hidden" && node.closest("[data-region=models]") !== null)
    || (name === "aria-pressed") || (name === "data-loaded");
}

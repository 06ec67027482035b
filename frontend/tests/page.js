// A page for scripts to run in: a document of jsdom as the globals that browsers have, with stand-ins for what jsdom has not.
// Each test file is a process of its own, so modules are loaded once per file; `fresh` loads one anew.

import { JSDOM } from "jsdom";

const NAMES = [
  "document", "location", "history", "localStorage", "Node", "Element", "HTMLElement", "Document", "DOMParser", "NodeFilter", "CustomEvent",
  "Event", "FormData", "MutationObserver", "getComputedStyle", "requestAnimationFrame",
];

export function openPage(body, { url = "http://airflow.example/pluginsv2/dagctl/plans/plangroup_1", attributes = {} } = {}) {
  const { window } = new JSDOM(`<!doctype html><title>Page</title><body>${body}</body>`, { url, pretendToBeVisual: true });
  for (const [name, value] of Object.entries(attributes)) window.document.body.setAttribute(name, value);
  window.Element.prototype.scrollIntoView = function () {};
  window.HTMLElement.prototype.setPointerCapture = function () {};
  addDialogs(window);
  for (const name of NAMES) define(name, typeof window[name] === "function" && !/^[A-Z]/.test(name) ? window[name].bind(window) : window[name]);
  define("window", window);
  define("ResizeObserver", class { observe() {} });
  define("matchMedia", () => ({ addEventListener() {} }));
  return window;
}

function define(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

function addDialogs(window) {
  Object.assign(window.HTMLElement.prototype, {
    showModal() {
      this.setAttribute("open", "");
    },
    close() {
      this.removeAttribute("open");
      this.dispatchEvent(new window.Event("close"));
    },
  });
}

// A module with its own state; what it imports is shared.
let loaded = 0;
export function fresh(path) {
  return import(`../src/${path}?${++loaded}`);
}

// Takes what is asked for over HTTP. Each question waits until it is answered.
export function takeRequests() {
  const asked = [];
  define("fetch", (address, options = {}) => new Promise((resolve, reject) => {
    asked.push({
      address: String(address),
      options,
      answer: (body = "", { status = 200, headers = {}, url = String(address), redirected = false } = {}) => {
        const text = typeof body === "string" ? body : JSON.stringify(body);
        resolve({
          ok: status >= 200 && status < 300, status, url, redirected, headers: new Headers(headers),
          text: async () => text, json: async () => JSON.parse(text),
        });
        return settled();
      },
      fail: () => {
        reject(new TypeError("Failed to fetch"));
        return settled();
      },
    });
  }));
  return asked;
}

// Waits until everything that could go on has gone on.
export async function settled() {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export function fire(target, type, more = {}) {
  const view = target.ownerDocument?.defaultView ?? target.defaultView ?? target;
  const kinds = { click: "MouseEvent", keydown: "KeyboardEvent", pageshow: "Event" };
  const made = new view[kinds[type] ?? "Event"](type, { bubbles: true, cancelable: true, ...more });
  for (const [name, value] of Object.entries(more)) if (made[name] === undefined) Object.defineProperty(made, name, { value });
  target.dispatchEvent(made);
  return made;
}

// Plain text of elements, blanks folded.
export function textOf(element) {
  return element.textContent.replace(/\s+/g, " ").trim();
}

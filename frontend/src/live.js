// Shows changes made elsewhere without a reload. The server names what changed; each part marked data-live is then fetched anew
// with the page it stands in and merged, so that what a person has opened, typed or focused stays.
//
// data-live: id of what the part is about (a project, a plan group); empty: everything.
// Modules that show more than the server renders listen for "dagctl:changed" on document.

import { Idiomorph } from "idiomorph";
import { refreshAges } from "./ages.js";
import { loginUrl } from "./outside.js";

const POLL_MS = 1000;
const AGAIN_MS = 30_000;
const BURST_MS = 80;
const RETRY_MS = 2000;

let version = "";
let source = null;
let pollTimer = null;
let pending = null;
let refreshing = null;
let refreshWanted = false;

// What the server told last, or the version that the page came with.
export function toldVersion() {
  return version;
}

export function isStale(part, told) {
  const about = part.dataset.live;
  if (!about) return Boolean(told.all || told.projects?.length || told.groups?.length);
  return told.all || told.projects?.includes(about) || told.groups?.includes(about);
}

// What a person did to the page is theirs: an opened fold stays open, a field keeps what was typed.
const callbacks = {
  beforeAttributeUpdated: (name, node) => !(name === "open" && node.matches("details, dialog")),
  beforeNodeMorphed: (old) => !(old.nodeType === Node.ELEMENT_NODE && old.matches("[data-keep]")),
};

export function merge(target, fresh) {
  Idiomorph.morph(target, fresh, { morphStyle: "outerHTML", ignoreActiveValue: true, callbacks });
  refreshAges(document);
}

// One request at a time; changes during it lead to one more afterwards. One that failed is repeated: nobody tells the same twice.
export async function refreshParts() {
  if (refreshing) {
    refreshWanted = true;
    return refreshing;
  }
  refreshing = load().catch(() => void setTimeout(refreshParts, RETRY_MS)).finally(() => {
    refreshing = null;
    if (refreshWanted) {
      refreshWanted = false;
      refreshParts();
    }
  });
  return refreshing;
}

async function load() {
  const parts = [...document.querySelectorAll("[data-live][id]")];
  if (!parts.length) return;
  const answer = await fetch(location.href, { headers: { "X-Dagctl-Request": "live" }, credentials: "same-origin" });
  if (answer.status === 401) return sessionOver();
  if (answer.status === 404 || answer.status === 403) return location.reload();
  if (answer.status >= 500) throw new Error(String(answer.status));
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts) {
    const replacement = fresh.getElementById(part.id);
    if (replacement && part.isConnected) merge(part, replacement);
  }
  document.dispatchEvent(new CustomEvent("dagctl:refreshed"));
}

function changed(told) {
  version = told.version;
  document.dispatchEvent(new CustomEvent("dagctl:changed", { detail: told }));
  if (![...document.querySelectorAll("[data-live][id]")].some((part) => isStale(part, told))) return;
  clearTimeout(pending);
  pending = setTimeout(refreshParts, BURST_MS);
}

function say(text, off = false) {
  const place = document.querySelector("[data-live-state]");
  if (!place) return;
  place.hidden = !text;
  place.classList.toggle("off", off);
  if (place.textContent !== text) place.textContent = text;
}

export function sessionOver() {
  stop();
  say("Not live", true);
  if (document.getElementById("session-over")) return;
  const note = document.createElement("div");
  note.id = "session-over";
  note.className = "note warning";
  note.setAttribute("role", "alert");
  const text = document.createElement("p");
  text.textContent = "Your session has expired, so this page no longer follows what happens. ";
  const link = document.createElement("a");
  link.href = loginUrl();
  link.dataset.outside = "";
  link.dataset.login = "";
  link.textContent = "Sign in again";
  text.append(link);
  note.append(text);
  document.getElementById("flash").append(note);
}

function listen() {
  const address = `${document.body.dataset.airflow}/dagctl/events?since=${encodeURIComponent(version)}`;
  source = new EventSource(address);
  source.onopen = () => {
    stopPolling();
    say("Live");
  };
  source.onmessage = (message) => changed(JSON.parse(message.data));
  source.onerror = () => {
    if (source?.readyState !== EventSource.CLOSED) return; // The browser connects again by itself.
    source = null;
    poll();
    setTimeout(() => source || document.hidden || listen(), AGAIN_MS);
  };
}

function poll() {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(ask, POLL_MS);
}

async function ask() {
  try {
    const answer = await fetch(`${document.body.dataset.root}/version`, { headers: { "X-Dagctl-Request": "live" } });
    if (answer.status === 401) return sessionOver();
    if (answer.ok) {
      const told = await answer.json();
      say("Live");
      if (told.version !== version) changed({ ...told, all: true });
    }
  } catch {
    say("Connection lost", true);
  }
  // Unless a stream was opened, or the page hidden, during the question.
  if (pollTimer !== null) poll();
}

function stopPolling() {
  clearTimeout(pollTimer);
  pollTimer = null;
}

function stop() {
  source?.close();
  source = null;
  stopPolling();
}

// Browsers allow six connections to a server; pages that nobody looks at take none of them.
export function followChanges() {
  if (!document.querySelector("[data-live]")) return;
  version = document.body.dataset.version;
  const toggle = () => (document.hidden ? stop() : source || listen());
  document.addEventListener("visibilitychange", toggle);
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => event.persisted && toggle());
  if (!document.hidden) listen();
}

// A log: coloured as the tool meant it, followed while it grows, searched, wrapped, downloaded.

import Anser from "anser";
import { sessionOver } from "../live.js";
import { element, visibleParts } from "./text.js";

const POLL_MS = 1000;
const PATIENCE = 5;
const CHUNK_LINES = 200;
const SLICE_LINES = 1000;
const FINISHED = new Set(["completed", "failed", "rejected", "cancelled", "pending", "approved"]);

export function openLog(view, address, title) {
  const log = new Log(view, address, title);
  log.start();
  return log;
}

class Log {
  constructor(view, address, title) {
    this.address = address;
    this.lines = [];
    this.rest = "";
    this.received = 0;
    this.stopped = false;
    this.hits = [];
    this.current = -1;
    this.build(view, title);
    this.reset();
  }

  build(view, title) {
    const tools = element("div", "log-tools");
    this.search = element("input");
    Object.assign(this.search, { type: "search", placeholder: "Search the log", autocomplete: "off", spellcheck: false });
    this.search.setAttribute("aria-label", `Search the log of ${title}`);
    this.found = element("span", "muted small");
    this.found.setAttribute("role", "status");
    const before = button("↑", () => this.step(-1), "Previous match");
    const after = button("↓", () => this.step(1), "Next match");
    this.wrap = toggle("Wrap", true, (on) => this.text.classList.toggle("wrap", on));
    this.follow = toggle("Follow", true, (on) => on && this.toEnd());
    const download = element("a", "button small", "Download");
    download.href = `${this.address}?download=1`;
    download.download = "";
    download.dataset.outside = "";
    tools.append(this.search, before, after, this.found, this.wrap, this.follow, download);
    this.text = element("div", "log-text wrap");
    Object.assign(this.text, { tabIndex: 0 });
    this.text.setAttribute("role", "log");
    this.text.setAttribute("aria-live", "off");
    this.text.setAttribute("aria-label", `Log of ${title}`);
    view.replaceChildren(tools, this.text);
    view.hidden = false;
    this.search.addEventListener("input", () => this.find());
    this.search.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), this.step(event.shiftKey ? -1 : 1)));
    this.text.addEventListener("scroll", () => {
      const atEnd = this.text.scrollTop + this.text.clientHeight >= this.text.scrollHeight - 40;
      if (!atEnd && this.following() && !this.filling) press(this.follow, false);
    }, { passive: true });
  }

  following() {
    return this.follow.getAttribute("aria-pressed") === "true";
  }

  reset() {
    this.ansi = new Anser();
    this.lines = [];
    this.rest = "";
    this.received = 0;
    this.chunk = null;
    this.text.replaceChildren();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  async start() {
    this.waiting("Fetching the log …");
    await this.fetch();
  }

  async fetch() {
    let status = "running";
    const began = performance.now();
    try {
      const answer = await fetch(`${this.address}?from=${this.received}`, { headers: { "X-Dagctl-Request": "log" }, credentials: "same-origin" });
      if (answer.ok) {
        status = answer.headers.get("X-Dagctl-Step-Status");
        await this.take(await answer.text(), Number(answer.headers.get("X-Dagctl-Log-From")), Number(answer.headers.get("X-Dagctl-Log-Length")));
        if (!this.lines.length) this.waiting(FINISHED.has(status) ? "This step left no log." : "No line has been written yet.");
      } else if (answer.status < 500) {
        if (answer.status === 401) sessionOver();
        this.waiting("The log cannot be read.");
        return;
      }
    } catch {
      // The next round tries again.
    }
    if (!this.stopped && !FINISHED.has(status)) {
      // Airflow reads a log from its beginning: the longer that takes, the less often it is asked for.
      this.timer = setTimeout(() => this.fetch(), Math.max(POLL_MS, PATIENCE * (performance.now() - began)));
    }
  }

  waiting(text) {
    if (!this.lines.length) this.text.replaceChildren(element("p", "muted", text));
  }

  async take(text, from, length) {
    if (from !== this.received && this.received) this.reset();
    if (!text) return;
    if (!this.lines.length) this.text.replaceChildren();
    this.received = length;
    // What the server ends with may go on in the next answer: the line it stands in is drawn again then.
    const whole = this.rest + text;
    if (this.rest !== "" || this.open) this.dropOpen();
    const lines = whole.split("\n");
    this.rest = lines.at(-1);
    this.filling = true;
    for (let at = 0; at < lines.length; at += SLICE_LINES) {
      if (this.stopped) return;
      for (const line of lines.slice(at, at + SLICE_LINES)) this.append(line);
      if (at + SLICE_LINES < lines.length) await new Promise((resolve) => setTimeout(resolve));
    }
    this.open = true;
    if (this.search.value) this.find(false);
    if (this.following()) this.toEnd();
    requestAnimationFrame(() => (this.filling = false));
  }

  dropOpen() {
    this.lines.pop();
    this.chunk?.lastElementChild?.remove();
    this.open = false;
  }

  append(line) {
    if (!this.chunk || this.chunk.childElementCount >= CHUNK_LINES) {
      // Only a full one may be skipped while out of sight: the end has to be as high as it is, to be followed.
      this.chunk?.classList.add("full");
      this.chunk = element("div", "log-chunk");
      this.text.append(this.chunk);
    }
    const row = element("div", "log-line");
    let plain = "";
    for (const part of this.ansi.ansiToJson(line.replace(/\r/g, ""), { use_classes: true, remove_empty: true })) {
      const classes = [part.fg, ...(part.decorations ?? [])].filter((name) => /^[a-z-]+$/.test(name ?? "")).map((name) => (name.startsWith("ansi-") ? name : `ansi-${name}`));
      const span = element("span", classes.join(" "));
      span.append(...visibleParts(part.content));
      plain += part.content;
      row.append(span);
    }
    if (/\b(ERROR|CRITICAL|Traceback)\b/.test(plain)) row.classList.add("error");
    this.chunk.append(row);
    this.lines.push({ row, plain: plain.toLowerCase() });
  }

  find(move = true) {
    for (const line of this.hits) line.row.classList.remove("hit", "current");
    const wanted = this.search.value.trim().toLowerCase();
    this.hits = wanted ? this.lines.filter((line) => line.plain.includes(wanted)) : [];
    for (const line of this.hits) line.row.classList.add("hit");
    this.current = -1;
    this.found.textContent = wanted ? `${this.hits.length.toLocaleString()} found` : "";
    if (move && this.hits.length) this.step(1);
  }

  step(by) {
    if (!this.hits.length) return;
    this.hits[this.current]?.row.classList.remove("current");
    this.current = (this.current + by + this.hits.length) % this.hits.length;
    const { row } = this.hits[this.current];
    row.classList.add("current");
    press(this.follow, false);
    row.scrollIntoView({ block: "center" });
    this.found.textContent = `${(this.current + 1).toLocaleString()} of ${this.hits.length.toLocaleString()}`;
  }

  toEnd() {
    this.text.scrollTop = this.text.scrollHeight;
  }
}

function button(text, action, label) {
  const made = element("button", "small", text);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", action);
  return made;
}

function toggle(text, on, action) {
  const made = button(text, () => {
    press(made, made.getAttribute("aria-pressed") !== "true");
    action(made.getAttribute("aria-pressed") === "true");
  });
  press(made, on);
  return made;
}

function press(made, on) {
  made.setAttribute("aria-pressed", String(on));
}

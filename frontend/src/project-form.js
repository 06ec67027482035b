// The form of a project: asks the server about what was typed, under the very rules that saving applies, and tests the repository
// without leaving the page.

import { sessionOver } from "./live.js";

const TYPING_MS = 350;

// Each tool has a group of its own; without scripts all of them show.
function showType(form, type) {
  form.dataset.type = type;
  for (const group of form.querySelectorAll("[data-for]")) group.hidden = group.dataset.for !== type;
}

// What is read without credentials asks for none. A name that was given before stays to be seen, so that it can be removed.
function showCredentials(form) {
  const field = form.querySelector('[data-field="git_secret_ref"]'), access = form.elements.namedItem("git_auth_method");
  if (field && access) field.hidden = access.value === "none" && !field.querySelector("input").value;
}

function showErrors(form, errors, touched) {
  for (const field of form.querySelectorAll("[data-field]")) {
    const name = field.dataset.field;
    const place = field.querySelector(".error");
    const control = form.elements.namedItem(name);
    const text = touched.has(name) ? (errors[name] ?? "") : place.textContent && errors[name] ? errors[name] : "";
    if (place.textContent !== text) place.textContent = text;
    if (text) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
}

function showHints(hints) {
  for (const [name, text] of Object.entries(hints)) {
    const place = document.getElementById(`field-${name}-hint`);
    if (place && place.textContent !== text) place.textContent = text;
  }
}

async function send(form, intent) {
  const body = new URLSearchParams(new FormData(form));
  body.set("intent", intent);
  const answer = await fetch(form.action || location.href, { method: "POST", body, headers: { "X-Dagctl-Request": intent } });
  if (answer.status === 401) sessionOver();
  return answer;
}

function checkAsTyped(form) {
  const touched = new Set();
  let timer;
  let turn = 0;
  const check = async () => {
    const mine = ++turn;
    const answer = await send(form, "check");
    if (mine !== turn || !answer.ok) return;
    const { errors, hints } = await answer.json();
    showErrors(form, errors, touched);
    showHints(hints);
  };
  form.addEventListener("input", (event) => {
    touched.add(event.target.name);
    if (event.target.name === "project_type") showType(form, event.target.value);
    showCredentials(form);
    clearTimeout(timer);
    timer = setTimeout(() => check().catch(() => {}), TYPING_MS);
  });
}

function testInPlace(form) {
  const button = form.querySelector("[data-test-repository]");
  button?.addEventListener("click", async (event) => {
    event.preventDefault();
    const report = form.querySelector("#repository-report");
    button.setAttribute("aria-disabled", "true");
    report.replaceChildren(Object.assign(document.createElement("p"), { className: "muted", textContent: "Asking the repository …" }));
    try {
      const answer = await send(form, "test");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const told = page.querySelector("#repository-report")?.childNodes ?? [];
      const general = page.querySelector("main > .note.danger")?.childNodes ?? [];
      const wanted = [...told].some((node) => node.nodeType === Node.ELEMENT_NODE) ? told : general;
      report.replaceChildren(...[...wanted].map((node) => document.adoptNode(node)));
    } catch {
      report.replaceChildren(Object.assign(document.createElement("p"), { className: "note danger", textContent: "The server did not answer." }));
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
}

export function helpWithProject() {
  const form = document.querySelector("form[data-project-form]");
  if (!form) return;
  showType(form, form.dataset.type);
  showCredentials(form);
  checkAsTyped(form);
  testInPlace(form);
  document.querySelector("[data-focus]")?.focus();
}

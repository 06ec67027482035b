// A link marked data-dialog leads to a page that asks before something is done. With scripts the question is shown over the
// present page; its form is sent like any other.

import { sessionOver } from "./live.js";

async function open(link) {
  const answer = await fetch(link.href, { headers: { "X-Dagctl-Request": "dialog" }, credentials: "same-origin" });
  if (answer.status === 401) return sessionOver();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const question = page.querySelector("[data-confirm]");
  if (!answer.ok || !question) return location.assign(link.href);
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", question.getAttribute("aria-labelledby"));
  question.classList.remove("panel");
  dialog.append(document.adoptNode(question));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    const closes = event.target === dialog || event.target.closest("[data-close]");
    if (closes) {
      event.preventDefault();
      dialog.close();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  (dialog.querySelector("input, textarea") ?? dialog.querySelector("button"))?.focus();
}

// A form that is sent twice would be answered twice.
function sendOnce(event) {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
}

function allowAgain() {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
  }
}

export function openDialogs() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-dialog]");
    if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open(link).catch(() => location.assign(link.href));
  });
  document.addEventListener("submit", sendOnce);
  window.addEventListener("pageshow", (event) => event.persisted && allowAgain());
}

// Decisions in a dialog, and their answers without loading the page anew. Without scripts the same links and forms do it all.

import { showDocument } from "./regions.js";

export function followDialogs(plan) {
  plan.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      const dialog = document.getElementById(opener.dataset.opens);
      if (dialog) {
        event.preventDefault();
        open(dialog);
      }
    }
    const closer = event.target.closest("[data-close]");
    if (closer) {
      event.preventDefault();
      closer.closest("dialog").close();
    }
  });
  plan.addEventListener("submit", (event) => {
    if (event.target.matches("form.decision")) {
      event.preventDefault();
      send(event.target);
    }
  });
  const asked = plan.querySelector("dialog[open]");
  if (asked) open(asked);
}

function open(dialog) {
  // One that the server opened stands in the page; taking it out makes it modal.
  if (dialog.open) dialog.close();
  dialog.showModal();
  (dialog.querySelector("textarea") ?? dialog.querySelector("button[type=submit]")).focus();
}

async function send(form) {
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "text/html" },
      credentials: "same-origin",
    });
    const text = await answer.text();
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const same = fresh.querySelector("[data-plan]")?.dataset.plan === document.querySelector("[data-plan]").dataset.plan;
    form.closest("dialog").close();
    if (!same && answer.redirected) return location.assign(answer.url);
    if (!same) return replaceAll(fresh);
    showDocument(fresh, { flash: true });
    allow(button);
    const told = document.querySelector("#refused") ?? document.querySelector("#flash .note");
    if (told) {
      // The button that was pressed may be gone: go on from the answer.
      told.tabIndex = -1;
      told.focus();
    }
  } catch {
    allow(button);
    tell(form, "Airflow did not answer. Nothing is known about what came of it; look at the plan before trying again.");
  }
}

// What was refused may be asked for once more.
function allow(button) {
  button.disabled = false;
  button.removeAttribute("aria-busy");
}

// Errors that are no plan page: signed out, deleted meanwhile.
function replaceAll(fresh) {
  document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
}

function tell(form, text) {
  const note = form.querySelector(".note.answer") ?? document.createElement("div");
  note.className = "note danger answer";
  note.setAttribute("role", "alert");
  note.textContent = text;
  form.append(note);
}

// The page of a run: its log, as a plan has one.

import { followLogs } from "./plan/logs.js";

const run = document.querySelector("[data-run]");
if (run) {
  followLogs(run);
  // The log looks at its link again whenever a part of the page has been shown anew.
  document.addEventListener("dagctl:refreshed", () => document.dispatchEvent(new CustomEvent("dagctl:shown")));
}

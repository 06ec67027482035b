// The plan page. Diffs, graph and log come when they are looked at, each with its own code.

import { followDialogs } from "./plan/dialogs.js";
import { followDiffs } from "./plan/diffs.js";
import { followFilter } from "./plan/filter.js";
import { followGraph } from "./plan/graphs.js";
import { followLogs } from "./plan/logs.js";
import { followChanges } from "./plan/live.js";
import { followResults } from "./plan/results.js";
import { followCopying } from "./plan/copying.js";

const plan = document.querySelector("[data-plan]");
if (plan) {
  followDialogs(plan);
  followFilter(plan);
  followDiffs(plan);
  followResults(plan);
  followGraph(plan);
  followLogs(plan);
  followCopying(plan);
  followChanges(plan);
}

// Filters the models by name. All of them are in the page, so there is nothing to ask the server.

export function followFilter(plan) {
  for (const tools of plan.querySelectorAll("[data-tools]")) tools.hidden = false;
  document.addEventListener("dagctl:shown", () => {
    for (const tools of plan.querySelectorAll("[data-tools]")) tools.hidden = false;
  });
  plan.addEventListener("input", (event) => {
    if (event.target.matches("[data-filter]")) filter(plan, event.target.value);
  });
}

function filter(plan, text) {
  const wanted = text.trim().toLowerCase();
  let found = 0;
  for (const group of plan.querySelectorAll("[data-group]")) {
    let inGroup = 0;
    for (const chunk of group.querySelectorAll(".models")) {
      let inChunk = 0;
      for (const row of chunk.children) {
        const matches = !wanted || nameOf(row).includes(wanted);
        if (row.hidden === matches) row.hidden = !matches;
        inChunk += matches;
      }
      chunk.hidden = inChunk === 0;
      inGroup += inChunk;
    }
    group.hidden = inGroup === 0;
    if (wanted && inGroup) {
      group.dataset.folded ??= group.open ? "" : "yes";
      group.open = true;
    } else if (!wanted && group.dataset.folded !== undefined) {
      group.open = group.dataset.folded !== "yes";
      delete group.dataset.folded;
    }
    found += inGroup;
  }
  plan.querySelector("[data-no-match]").hidden = found > 0;
}

const names = new WeakMap();

export function nameOf(row) {
  if (!names.has(row)) names.set(row, row.querySelector("b").textContent.toLowerCase());
  return names.get(row);
}

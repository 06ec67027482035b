// Menus are <details>, so they open without scripts. With them: one is open at a time, Escape closes it and gives the focus back,
// arrow keys go through it.

const OPEN = "details.menu[open]";

function step(menu, by) {
  const entries = [...menu.querySelectorAll("a, button")];
  const at = entries.indexOf(document.activeElement);
  entries[(at + by + entries.length) % entries.length]?.focus();
}

export function keepMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(OPEN)) {
      if (!menu.contains(event.target) || event.target.closest("a")) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    const menu = document.activeElement?.closest?.(OPEN);
    if (!menu) return;
    if (event.key === "Escape") {
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      step(menu, event.key === "ArrowDown" ? 1 : -1);
    }
  });
}

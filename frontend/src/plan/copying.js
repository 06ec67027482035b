// "Link to this plan" puts the address into the clipboard; where that is not allowed it stays a link.

export function followCopying(plan) {
  plan.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-copy]");
    if (!link || !navigator.clipboard) return;
    event.preventDefault();
    event.stopPropagation();
    try {
      await navigator.clipboard.writeText(link.href);
      link.textContent = "Copied";
    } catch {
      link.textContent = link.href;
    }
  });
}

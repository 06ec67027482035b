// What was said after an action is said once: reloading the page, or sending its address to somebody, does not say it again.

export function sayOnce() {
  const address = new URL(location.href);
  if (!address.searchParams.has("said")) return;
  address.searchParams.delete("said");
  history.replaceState(history.state, "", address);
}

// Links that lead out of the frame. Airflow shows these pages in a sandboxed frame that may neither open windows nor move the
// page around it. The page around it is Airflow's own, of the same origin, so the click is made there.
//
// data-outside: anywhere else than these pages, in place of Airflow's page; with target="_blank", in a new tab.
// data-airflow: a page of Airflow, shown without loading Airflow again.
// data-login: Airflow's sign-in; it comes back to Airflow's page with this one inside.

export function airflowWindow() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
}

// Airflow's sign-in, which comes back to `place`.
export function loginUrl(place = (airflowWindow() ?? window).location) {
  return `${document.body.dataset.airflow}/auth/login?next=${encodeURIComponent(place.pathname + place.search)}`;
}

export function leadOutside(link) {
  const outer = airflowWindow();
  if (!outer) return false;
  if (link.dataset.airflow !== undefined && link.target !== "_blank") {
    outer.history.pushState(null, "", link.href);
    outer.dispatchEvent(new outer.PopStateEvent("popstate", { state: null }));
    return true;
  }
  const copy = outer.document.createElement("a");
  copy.href = link.dataset.login === undefined ? link.href : loginUrl(outer.location);
  copy.target = link.target || "_self";
  copy.rel = "noopener noreferrer";
  copy.click();
  return true;
}

export function openOutside() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-outside], a[data-airflow]");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (link && plain && leadOutside(link)) event.preventDefault();
  });
}

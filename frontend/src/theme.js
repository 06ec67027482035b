// Light or dark as Airflow shows itself: inside its page the class of the surrounding document counts, and is followed when it
// changes; alone, what Airflow remembers in this browser; else what the system prefers (which the style sheet does by itself).

const root = document.documentElement;

function embeddingRoot() {
  try {
    return window.parent !== window ? window.parent.document.documentElement : null;
  } catch {
    return null; // Embedded by somebody else: the headers forbid that, but a script must not stumble over it.
  }
}

function remembered() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

function show(theme) {
  root.classList.toggle("dark", theme === "dark");
  root.classList.toggle("light", theme === "light");
}

const outside = embeddingRoot();
const themeOf = (element) => ["dark", "light"].find((name) => element.classList.contains(name));
if (outside) {
  root.classList.add("embedded");
  show(themeOf(outside) ?? remembered());
  new MutationObserver(() => show(themeOf(outside) ?? remembered())).observe(outside, { attributeFilter: ["class"] });
} else {
  show(remembered());
  window.addEventListener("storage", (event) => event.key === "theme" && show(event.newValue));
}

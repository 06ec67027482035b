// Elements and text. Strings come from repositories and warehouses: they are set as text, and what would not show is named.

const HIDDEN = /([\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff])/;

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.append(...visibleParts(text));
  return made;
}

export function visibleParts(text) {
  return text.split(HIDDEN).filter(Boolean).map((part) => {
    if (!HIDDEN.test(part)) return document.createTextNode(part);
    const named = document.createElement("span");
    named.className = "unseen";
    named.textContent = `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    return named;
  });
}

export function visible(text) {
  return text.split(HIDDEN).map((part) => (HIDDEN.test(part) ? `[U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]` : part)).join("");
}

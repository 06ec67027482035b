// Colours and patterns of the charts. The style sheet has them; a canvas cannot read it, so the browser is asked for each.

const TONES = ["success", "warning", "danger", "violet", "info", "neutral", "ink", "faint", "line", "panel"];

export function readLook(figure) {
  const probe = document.createElement("i");
  probe.hidden = true;
  figure.append(probe);
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const found = {};
  for (const tone of TONES) {
    probe.className = `tone-${tone}`;
    found[tone] = plainColour(pen, getComputedStyle(probe).color);
  }
  const { fontFamily } = getComputedStyle(figure);
  probe.remove();
  return { ...found, fontFamily };
}

// Whatever notation a style sheet uses, as red, green and blue: the library knows older notations only.
function plainColour(pen, colour) {
  pen.fillStyle = colour;
  pen.clearRect(0, 0, 1, 1);
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return `rgb(${red}, ${green}, ${blue})`;
}

// Patterns tell states apart where colours do not.
const STROKES = {
  stripes: (pen) => line(pen, [0, 8, 8, 0]),
  crossed: (pen) => {
    line(pen, [0, 8, 8, 0]);
    line(pen, [0, 0, 8, 8]);
  },
  dots: (pen) => pen.fillRect(2, 2, 3, 3),
};

export function filled(pattern, colour, paper) {
  if (!STROKES[pattern]) return colour;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = pen.fillStyle = paper;
  pen.lineWidth = 1.5;
  STROKES[pattern](pen);
  return pen.createPattern(tile, "repeat");
}

function line(pen, [fromX, fromY, toX, toY]) {
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.lineTo(toX, toY);
  pen.stroke();
}

// Calls back when the colours change: with the theme of the page or of the system.
export function onTheme(changed) {
  const watcher = new MutationObserver(changed);
  watcher.observe(document.documentElement, { attributeFilter: ["class"] });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", changed);
  return () => {
    watcher.disconnect();
    system.removeEventListener("change", changed);
  };
}

// Draws a chart into its figure, says aloud what the arrow keys come to, and draws it anew when the colours change.

import { BarController, BarElement, CategoryScale, Chart, Legend, LinearScale, LineController, LineElement, PointElement, Tooltip } from "chart.js";
import { element } from "../plan/text.js";
import { KINDS, ROW_HEIGHT } from "./configs.js";
import { onTheme, readLook } from "./look.js";
import { stepped } from "./series.js";

Chart.register(BarController, BarElement, CategoryScale, Legend, LinearScale, LineController, LineElement, PointElement, Tooltip);

const HINT = "Arrow keys go from one to the next, Enter opens it.";

// Dashed lines with a mark and a word, over the whole height.
const marksOf = (marks, look) => ({
  id: "marks",
  afterDatasetsDraw({ ctx, chartArea, scales }) {
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = look.ink;
    ctx.font = `11px ${look.fontFamily}`;
    ctx.setLineDash([4, 3]);
    let free = -Infinity;
    for (const { x, label } of marks) {
      const at = scales.x.getPixelForValue(x);
      ctx.beginPath();
      ctx.moveTo(at, chartArea.top);
      ctx.lineTo(at, chartArea.bottom);
      ctx.stroke();
      const text = `▼ ${label}`;
      const wide = ctx.measureText(text).width;
      // Of deploys close to each other the first is named.
      if (at >= free) {
        ctx.fillText(text, Math.min(at + 3, chartArea.right - wide), chartArea.top + 10);
        free = at + wide + 8;
      } else ctx.fillText("▼", at - 4, chartArea.top + 10);
    }
    ctx.restore();
  },
});

export function draw(figure) {
  const place = figure.querySelector(".chart-place");
  const { figures, chart: kind, label } = figure.dataset;
  const canvas = element("canvas");
  const box = element("div", `chart-box is-${kind}`);
  const said = element("p", "chart-said small muted", HINT);
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "chart");
  canvas.setAttribute("aria-label", `${label}. ${HINT} The table has the same figures.`);
  said.setAttribute("role", "status");
  box.append(canvas);
  place.replaceChildren(box, said);
  place.hidden = false;

  const shown = { current: -1, chart: null, items: [] };
  const paint = () => {
    shown.chart?.destroy();
    const look = readLook(figure);
    const made = KINDS[kind](JSON.parse(figures), look);
    if (made.height) box.style.height = `${made.height}px`;
    shown.items = made.items;
    made.config.options.onClick = (event, active) => open(shown.items[active[0]?.index]);
    made.config.plugins = made.marks ? [marksOf(made.marks, look)] : [];
    shown.chart = new Chart(canvas, made.config);
    if (shown.current >= 0) point(shown, shown.current);
  };
  paint();
  const forget = onTheme(paint);

  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") return open(shown.items[shown.current]);
    const next = stepped(event.key, shown.current, shown.items.length);
    if (next === null || !shown.items.length) return;
    event.preventDefault();
    shown.current = next;
    point(shown, next);
    said.replaceChildren(shown.items[next].text);
    if (kind === "gantt") place.scrollTop = Math.max(0, next * ROW_HEIGHT - place.clientHeight / 2);
  });
  canvas.addEventListener("blur", () => {
    shown.chart.setActiveElements([]);
    shown.chart.tooltip?.setActiveElements([], { x: 0, y: 0 });
    shown.chart.update();
  });
  return {
    figures,
    destroy() {
      forget();
      shown.chart.destroy();
      place.replaceChildren();
    },
  };
}

function point({ chart }, index) {
  const datasetIndex = chart.data.datasets.findIndex((set, at) => set.data[index] !== undefined && chart.isDatasetVisible(at));
  const active = [{ datasetIndex, index }];
  const { x, y } = chart.getDatasetMeta(datasetIndex).data[index];
  chart.setActiveElements(active);
  chart.tooltip.setActiveElements(active, { x, y });
  chart.update();
}

// Where a point leads to was made by the server; anything else is left alone.
function open(item) {
  if (item?.href?.startsWith("/") && !item.href.startsWith("//")) location.assign(item.href);
}

// What the library is to draw: series and colours as its configuration. Nothing moves: there is nothing to be switched off for
// those who asked for less motion.

import { daysSeries, fitted, ganttSeries, historySeries, momentStep, timeStep, took, wrapped } from "./series.js";
import { filled } from "./look.js";

export const ROW_HEIGHT = 22;
const LETTER = 6.6;
const LABELS_SHARE = 0.4;
const MARKS = 6;

export const KINDS = { days: daysChart, gantt: ganttChart, history: historyChart };

function common(look, items) {
  return {
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    color: look.ink,
    font: { family: look.fontFamily, size: 12 },
    interaction: { mode: "nearest", intersect: false, axis: "xy" },
    plugins: {
      legend: { position: "top", align: "start", labels: { color: look.ink, usePointStyle: false, boxWidth: 14, boxHeight: 10 }, onClick: () => {} },
      tooltip: {
        displayColors: false,
        filter: (item, at) => at === 0,
        callbacks: { title: () => "", label: (context) => wrapped(items[context.dataIndex]?.text ?? "", Math.max(20, Math.floor(context.chart.width / LETTER) - 8)) },
      },
    },
  };
}

function axis(look, more = {}) {
  const { ticks = {}, ...rest } = more;
  return { grid: { color: look.line }, border: { color: look.line }, ticks: { color: look.faint, ...ticks }, ...rest };
}

const seconds = (most) => ({ callback: took, stepSize: timeStep(most, MARKS) });

function legend(options, labels) {
  options.plugins.legend.labels.generateLabels = () => labels;
}

const swatch = (look, { word, mark, tone, pattern }) => ({
  text: `${mark} ${word}`, fillStyle: filled(pattern, look[tone], look.panel), strokeStyle: look[tone], lineWidth: 1, fontColor: look.ink,
});

export function daysChart(days, look) {
  const series = daysSeries(days);
  const options = common(look, series.items);
  options.interaction = { mode: "index", intersect: false };
  options.scales = {
    x: axis(look, { stacked: true, grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 12, callback: (at) => series.labels[at]?.slice(5) } }),
    y: axis(look, { stacked: true, beginAtZero: true, title: { display: true, text: "Runs", color: look.faint }, ticks: { precision: 0 } }),
    time: axis(look, { position: "right", beginAtZero: true, grid: { display: false }, title: { display: true, text: "Time together", color: look.faint }, ticks: seconds(Math.max(...series.seconds, 0)) }),
  };
  legend(options, [
    ...series.stacks.map((stack) => swatch(look, stack)),
    { text: "Time together", fillStyle: look.panel, strokeStyle: look.ink, lineWidth: 2, fontColor: look.ink },
  ]);
  return {
    items: series.items,
    config: {
      type: "bar",
      data: {
        labels: series.labels,
        datasets: [
          ...series.stacks.map((stack) => ({
            label: stack.word, data: stack.values, stack: "runs", order: 2, maxBarThickness: 28,
            backgroundColor: filled(stack.pattern, look[stack.tone], look.panel), hoverBackgroundColor: filled(stack.pattern, look[stack.tone], look.panel),
            borderColor: look[stack.tone], hoverBorderColor: look.ink, borderWidth: 1, hoverBorderWidth: 2,
          })),
          {
            type: "line", label: "Time together", data: series.seconds, yAxisID: "time", order: 1, borderColor: look.ink, borderWidth: 1.5,
            pointRadius: 2, pointBackgroundColor: look.ink, pointBorderColor: look.ink, pointHoverBackgroundColor: look.ink, pointHoverRadius: 5,
          },
        ],
      },
      options,
    },
  };
}

export function ganttChart(models, look) {
  const series = ganttSeries(models);
  const options = common(look, series.items);
  options.indexAxis = "y";
  options.interaction = { mode: "nearest", intersect: false, axis: "y" };
  options.scales = {
    x: axis(look, { min: 0, max: series.end || 1, position: "top", ticks: { maxRotation: 0, autoSkipPadding: 16, ...seconds(series.end) } }),
    y: axis(look, {
      grid: { display: false },
      ticks: {
        autoSkip: false,
        callback(at) {
          return fitted(series.rows[at].label, Math.max(6, Math.floor((this.chart.width * LABELS_SHARE) / LETTER)));
        },
      },
    }),
  };
  const critical = { text: "★ Critical path", fillStyle: look.panel, strokeStyle: look.ink, lineWidth: 3, fontColor: look.ink };
  legend(options, [...series.states.map((state) => swatch(look, state)), ...(series.rows.some((row) => row.critical) ? [critical] : [])]);
  const fills = series.rows.map((row) => filled(row.pattern, look[row.tone], look.panel));
  const edges = series.rows.map((row) => (row.critical ? look.ink : look[row.tone]));
  return {
    items: series.items,
    height: series.rows.length * ROW_HEIGHT + 90,
    config: {
      type: "bar",
      data: {
        labels: series.rows.map((row) => row.label),
        datasets: [{
          data: series.rows.map((row) => row.span), minBarLength: 4, barPercentage: 0.8, categoryPercentage: 0.9, borderSkipped: false,
          backgroundColor: fills, hoverBackgroundColor: fills, borderColor: edges, hoverBorderColor: look.ink,
          borderWidth: series.rows.map((row) => (row.critical ? 2.5 : 1)), hoverBorderWidth: 3,
        }],
      },
      options,
    },
  };
}

const POINTS = { success: "circle", failed: "crossRot", skipped: "triangle", cancelled: "rect", not_ready: "rectRot" };

export function historyChart(figures, look) {
  const series = historySeries(figures);
  const options = common(look, series.items);
  // A single point still needs an axis around it.
  const margin = Math.max((series.to - series.from) * 0.03, 60_000);
  options.interaction = { mode: "nearest", intersect: false, axis: "x" };
  options.scales = {
    x: axis(look, { type: "linear", min: series.from - margin, max: series.to + margin, grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 16, callback: momentStep(series.to - series.from) } }),
    y: axis(look, { beginAtZero: true, ticks: seconds(series.most) }),
  };
  legend(options, [
    ...series.states.map((state) => swatch(look, state)),
    ...(series.deploys.length ? [{ text: "▼ Deployed", fillStyle: look.panel, strokeStyle: look.ink, lineWidth: 1, fontColor: look.ink }] : []),
  ]);
  const colours = series.points.map((point) => look[point.tone]);
  const failed = series.points.map((point) => point.status === "failed");
  return {
    items: series.items,
    marks: series.deploys,
    config: {
      type: "line",
      data: {
        datasets: [
          {
            data: series.points, showLine: false, pointStyle: series.points.map((point) => POINTS[point.status] ?? "rectRot"),
            pointRadius: failed.map((is) => (is ? 7 : 4)), pointHoverRadius: 8, pointHitRadius: 12,
            pointBorderWidth: failed.map((is) => (is ? 3 : 1)), pointHoverBorderWidth: 3,
            pointBackgroundColor: colours, pointBorderColor: colours, pointHoverBackgroundColor: colours, pointHoverBorderColor: look.ink,
          },
          { data: series.line, pointRadius: 0, pointHitRadius: 0, pointHoverRadius: 0, borderColor: look.success, borderWidth: 1.5 },
        ],
      },
      options,
    },
  };
}

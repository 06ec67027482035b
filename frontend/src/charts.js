// Charts: each stands beside a table with the same figures, so this only adds. The library comes when the first chart is seen.

const drawn = new Map();

function look() {
  const places = [...document.querySelectorAll("[data-chart]")];
  for (const [figure, chart] of drawn) {
    if (figure.isConnected) continue;
    chart.destroy();
    drawn.delete(figure);
  }
  if (!places.length) return;
  import("./charts/draw.js").then(({ draw }) => {
    for (const figure of places) {
      const known = drawn.get(figure);
      if (known?.figures === figure.dataset.figures) continue;
      known?.destroy();
      drawn.set(figure, draw(figure));
    }
  }).catch(() => {
    // Without the picture the table tells the same.
  });
}

look();
document.addEventListener("dagctl:refreshed", look);

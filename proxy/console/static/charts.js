// Draws the last day. What it draws is said beside it in words and in a table; without this file nothing is missing.
"use strict";

(() => {
  const dashes = [[], [8, 4], [2, 4], [12, 4, 2, 4], [6, 2], [1, 3]];
  const says = {
    score: (value) => value.toFixed(2),
    share: (value) => (value >= 0.1 ? `${(value * 100).toFixed(1)} %` : `${Number((value * 100).toPrecision(2))} %`),
    x: (value) => `${value.toFixed(2)}×`,
  };
  const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let drawn = [];

  const draw = (box, history) => {
    const unit = box.dataset.unit;
    const keys = JSON.parse(box.dataset.lines);
    const said = (_, value) => (value === null || value === undefined ? "–" : says[unit](value));
    const axis = { stroke: tone("--soft"), grid: { stroke: tone("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const colours = ["--accent", "--warn", "--good", "--bad", "--soft", "--ink"].map(tone);
    const top = { score: 1, share: 0.01, x: 1 }[unit];
    const options = {
      width: box.clientWidth,
      height: 132,
      padding: [8, 8, 0, 0],
      legend: { show: keys.length > 1 },
      cursor: { y: false },
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(high ?? 0, top) * (unit === "score" ? 1 : 1.1)] } },
      axes: [
        { ...axis, size: 24, space: 64, values: (_, ticks) => ticks.map((at) => new Date(at * 1000).toISOString().slice(11, 16)) },
        { ...axis, size: 52, space: 28, values: (_, ticks) => ticks.map((value) => said(null, value)) },
      ],
      series: [
        { label: "UTC", value: (_, at) => (at ? new Date(at * 1000).toISOString().slice(11, 16) : "–") },
        ...keys.map(([key, name], place) => ({
          label: name, stroke: colours[place % colours.length], dash: dashes[place % dashes.length], width: 1.5,
          fill: keys.length === 1 ? tone("--wash") : undefined, points: { show: false }, value: said, spanGaps: false,
        })),
      ],
    };
    // An hour at least: of a single look the axis would be years.
    const begin = history.at.at(-1) - 3600;
    const before = history.at[0] > begin ? [begin] : [];
    const values = keys.map(([key]) => [...before.map(() => null), ...(history.series[key] ?? [])]);
    box.replaceChildren();
    drawn.push(new uPlot(options, [[...before, ...history.at], ...values], box));
  };

  const redraw = async () => {
    const boxes = document.querySelectorAll("[data-chart]");
    if (!boxes.length) return;
    const answer = await fetch("/partials/history");
    if (!answer.ok) return; // The words and the table stand; the next minute asks again.
    const history = await answer.json();
    for (const each of drawn) each.destroy();
    drawn = [];
    for (const box of boxes) draw(box, history);
  };
  const quietly = () => redraw().catch(() => {}); // No contact: the page says so by itself.

  document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.target.id === "charts") quietly(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", quietly);
  let wide = innerWidth;
  let timer = 0;
  addEventListener("resize", () => {
    if (innerWidth === wide) return;
    wide = innerWidth;
    clearTimeout(timer);
    timer = setTimeout(quietly, 200);
  });
  quietly();
})();

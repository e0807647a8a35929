// Charts of use over weeks. uPlot comes once a chart is near the window; until then, and without it, the table stands.
//
// <figure data-chart='{labels, series: [{name, look: bar|line|target, values}]}'>: see templates/parts/charts.html.

const HEIGHT = 220;
const TOPS = [5, 10, 20, 40, 60, 80, 100, 120];
let library = null;

start(document);

export function start(root) {
  const near = new IntersectionObserver(
    (seen) => {
      for (const one of seen) {
        if (!one.isIntersecting) continue;
        near.unobserve(one.target);
        open(one.target);
      }
    },
    { rootMargin: "300px" },
  );
  for (const figure of root.querySelectorAll("[data-chart]:not([data-started])")) {
    figure.dataset.started = "";
    figure.querySelector("[data-chart-figures]").open = false;
    near.observe(figure);
  }
}

async function open(figure) {
  const paper = figure.querySelector("[data-chart-paper]");
  try {
    library ??= Promise.all([
      element("link", { rel: "stylesheet", href: figure.dataset.style }),
      element("script", { src: figure.dataset.script }),
    ]);
    await library;
  } catch {
    figure.querySelector("[data-chart-figures]").open = true;
    return;
  }
  paper.hidden = false;
  const data = JSON.parse(figure.dataset.chart);
  let chart = draw(paper, data);
  new ResizeObserver(() => {
    const width = Math.floor(paper.clientWidth);
    if (width && width !== chart.width) chart.setSize({ width, height: HEIGHT });
  }).observe(paper);
  const again = () => {
    chart.destroy();
    paper.replaceChildren();
    chart = draw(paper, data);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  figure.dataset.drawn = "";
}

function element(name, properties) {
  return new Promise((resolve, reject) => {
    const made = Object.assign(document.createElement(name), properties);
    made.addEventListener("load", resolve);
    made.addEventListener("error", reject);
    document.head.prepend(made); // our own sheets come after it and win
  });
}

function draw(paper, { labels, series }) {
  const paint = (token) => getComputedStyle(paper).getPropertyValue(token).trim();
  const font = `12px ${getComputedStyle(paper).fontFamily}`;
  const looks = {
    bar: { fill: paint("--chart-booked"), stroke: paint("--chart-booked"), width: 0, paths: window.uPlot.paths.bars({ size: [0.62, 48] }), points: { show: false } },
    line: { stroke: paint("--chart-used"), width: 2, points: { show: true, size: 7, fill: paint("--surface") } },
    target: { stroke: paint("--chart-target"), width: 2, dash: [6, 4], points: { show: false } },
  };
  const most = Math.max(...series.flatMap((one) => one.values.filter((value) => value !== null)), 0);
  const top = TOPS.find((one) => one >= most * 1.1) ?? most * 1.1;
  const axis = { stroke: paint("--ink-faint"), font, ticks: { show: false } };
  return new window.uPlot(
    {
      width: Math.floor(paper.clientWidth) || 300,
      height: HEIGHT,
      padding: [12, 12, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: false, range: [-0.6, labels.length - 0.4] }, y: { range: [0, top] } },
      axes: [
        {
          ...axis,
          size: 32,
          grid: { show: false },
          splits: () => labels.map((_label, n) => n),
          values: (chart, splits) => splits.map((n) => (shown(n, labels.length, chart.width) ? labels[n] : "")),
        },
        { ...axis, size: 48, grid: { stroke: paint("--line"), width: 1 }, values: (_chart, splits) => splits.map((value) => `${value}%`) },
      ],
      series: [{}, ...series.map((one) => ({ label: one.name, ...looks[one.look] }))],
      plugins: [tip(labels, series)],
    },
    [labels.map((_label, n) => n), ...series.map((one) => one.values)],
    paper,
  );
}

function shown(n, count, width) {
  const every = Math.ceil((count * 72) / Math.max(1, width - 60));
  return n % every === 0;
}

// What the pointer is at, in words, and a key of the looks above the paper.
function tip(labels, series) {
  const box = Object.assign(document.createElement("div"), { className: "chart-tip", hidden: true });
  return {
    hooks: {
      init: (chart) => {
        chart.over.append(box);
        const key = Object.assign(document.createElement("ul"), { className: "chart-key" });
        for (const one of series) {
          const item = document.createElement("li");
          item.append(Object.assign(document.createElement("span"), { className: `chart-mark look-${one.look}` }), one.name);
          key.append(item);
        }
        chart.root.prepend(key);
      },
      setCursor: (chart) => {
        const n = chart.cursor.idx;
        box.hidden = n === null || n === undefined;
        if (box.hidden) return;
        box.replaceChildren(
          Object.assign(document.createElement("strong"), { textContent: labels[n] }),
          ...series.map((one) =>
            Object.assign(document.createElement("span"), {
              textContent: `${one.name} ${one.values[n] === null ? "–" : `${one.values[n]}%`}`,
            }),
          ),
        );
        const left = chart.valToPos(n, "x");
        box.classList.toggle("leftwards", left > chart.over.clientWidth / 2);
        box.style.left = `${left}px`;
      },
    },
  };
}

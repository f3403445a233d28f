// The curves of a training run. New epochs are added in place, so that zoom and hidden curves stay.
// Streamlit's own chart becomes a new element with every change of its data.

let library = null;

function plotly(address) {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("The chart library could not be loaded."));
    document.head.append(script);
  });
  return library;
}

// Plotly adds its style rules to the document, where a component's shadow tree does not see them.
function adoptRules(tree) {
  if (tree.querySelector("style.plotly-rules")) return;
  const rules = [...document.styleSheets]
    .filter((sheet) => sheet.ownerNode?.id?.startsWith("plotly.js-style"))
    .flatMap((sheet) => [...sheet.cssRules].map((rule) => rule.cssText));
  const style = document.createElement("style");
  style.className = "plotly-rules";
  style.textContent = rules.join("\n");
  tree.append(style);
}

// Applies the page's theme, as Streamlit does to its own charts.
function themed(layout, chart) {
  const style = getComputedStyle(chart);
  const text = style.color;
  const line = style.getPropertyValue("--line").trim();
  const axis = { gridcolor: line, zeroline: false, linecolor: line, tickfont: { size: 12 } };
  return {
    ...layout,
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.fontFamily, color: text, size: 12 },
    title: { ...layout.title, text: layout.title?.text ? `<b>${layout.title.text}</b>` : "" },
    // Vertical and beside the legend: on top of it, its buttons would catch the clicks that hide a curve.
    modebar: { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: text, orientation: "v" },
    legend: layout.legend.x === 1 ? { ...layout.legend, x: 1 - 36 / Math.max(chart.clientWidth, 200) } : layout.legend,
    hoverlabel: { bgcolor: style.getPropertyValue("--surface").trim(), font: { color: text } },
    xaxis: { ...axis, showgrid: false, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

class Curves {
  constructor(root, tree) {
    this.root = root;
    this.tree = tree;
    this.sentence = document.createElement("p");
    this.grid = document.createElement("div");
    this.grid.className = "charts";
    root.replaceChildren(this.sentence, this.grid);
    this.shown = new Map(); // chart -> key of its content
    this.resized = new ResizeObserver(() => this.shown.forEach((_, chart) => window.Plotly.Plots.resize(chart)));
    this.resized.observe(root);
    this.leave = followNews(() => this.show(this.data));
  }

  async show(data) {
    this.data = data;
    const { sentence, figures } = newsSince(data.follows) ?? data;
    // Every second part was enclosed in two asterisks.
    const parts = sentence.split("**").map((text, index) => Object.assign(document.createElement(index % 2 ? "strong" : "span"), { textContent: text }));
    this.sentence.replaceChildren(...parts);
    this.sentence.hidden = !sentence;
    const charts = Object.entries(figures).map(([name, figure]) => this.chart(name, figure.layout.height));
    const Plotly = await plotly(data.library);
    adoptRules(this.tree);
    Object.values(figures).forEach((figure, index) => this.draw(Plotly, charts[index], figure));
  }

  chart(name, heightPx) {
    let chart = this.grid.querySelector(`[data-name="${name}"]`);
    if (!chart) {
      chart = Object.assign(document.createElement("div"), { className: "chart" });
      chart.dataset.name = name;
      this.grid.append(chart);
    }
    chart.style.height = `${heightPx}px`;
    return chart;
  }

  draw(Plotly, chart, figure) {
    const content = JSON.stringify(figure) + getComputedStyle(chart).color;
    if (this.shown.get(chart) === content) return;
    this.shown.set(chart, content);
    // Plotly modifies its arguments.
    const { data: traces, layout } = structuredClone(figure);
    Plotly.react(chart, traces, themed(layout, chart), { ...this.data.config, responsive: false });
  }

  close() {
    this.leave();
    this.resized.disconnect();
    this.shown.forEach((_, chart) => window.Plotly.purge(chart));
  }
}

export default function ({ data, parentElement }) {
  return mount(parentElement, (root) => new Curves(root, parentElement), (curves) => curves.show(data));
}

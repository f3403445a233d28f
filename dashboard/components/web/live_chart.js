// A Plotly chart that takes new data in place, so that zoom and hidden curves stay while epochs arrive.
// Streamlit's own chart is another element for every change of its data.

const charts = new WeakMap();
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

// Plotly puts its rules into the document, where a component's own tree does not see them.
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

// What the page's theme gives to Streamlit's own charts.
function themed(layout, root) {
  const style = getComputedStyle(root);
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
    // Upright and beside the legend: lying on it, its buttons would take the clicks that hide a curve.
    modebar: { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: text, orientation: "v" },
    legend: { ...layout.legend, x: 1 - 36 / Math.max(root.clientWidth, 200) },
    hoverlabel: { bgcolor: style.getPropertyValue("--surface").trim(), font: { color: text } },
    xaxis: { ...axis, showgrid: false, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root");
  let chart = charts.get(root);
  if (!chart) {
    chart = { shown: "", resized: new ResizeObserver(() => chart.shown && window.Plotly.Plots.resize(root)) };
    charts.set(root, chart);
    chart.resized.observe(parentElement.host ?? root.parentElement);
  }
  root.style.height = `${data.height_px}px`;
  const scheme = getComputedStyle(root).color;
  if (chart.shown !== data.figure + scheme) {
    plotly(data.library).then(async (Plotly) => {
      const { data: traces, layout } = JSON.parse(data.figure);
      adoptRules(parentElement);
      await Plotly.react(root, traces, themed(layout, root), { ...data.config, responsive: false });
      chart.shown = data.figure + scheme;
    });
  }
  return () => {
    chart.resized.disconnect();
    charts.delete(root);
    window.Plotly?.purge(root);
  };
}

// The clusters of a dataset with a checkbox each. A tick is shown immediately; the local ticks are kept until the script
// returns the same ones, so that two quick clicks do not undo each other.

class ClusterList {
  constructor(root) {
    this.root = root;
    this.rows = new Map();
    this.sent = null;
    this.list = document.createElement("div");
    this.list.className = "clusters";
    root.append(this.list);
  }

  update(data, send) {
    this.send = send;
    const given = data.rows.filter((row) => row.ticked).map((row) => row.number);
    if (this.sent !== null && String(this.sent) === String(given)) this.sent = null;
    if (data.clustering !== this.clustering) this.sent = null;
    this.clustering = data.clustering;
    const ticked = new Set(this.sent ?? given);
    this.list.replaceChildren(...data.rows.map((row) => this.draw(row, ticked.has(row.number))));
  }

  draw(row, ticked) {
    const content = JSON.stringify([row.number, row.share, row.proposed, row.colour, row.patches]);
    let kept = this.rows.get(row.number);
    if (!kept || kept.content !== content) {
      kept = { content, element: this.make(row) };
      this.rows.set(row.number, kept);
    }
    kept.element.classList.toggle("ticked", ticked);
    kept.element.querySelector("input").checked = ticked;
    return kept.element;
  }

  make(row) {
    const element = document.createElement("label");
    element.className = "cluster";
    element.dataset.number = row.number;
    const share = row.share < 0.005 ? "< 1 %" : `${Math.round(row.share * 100)} %`;
    element.title = `Cluster ${row.number}: ${share} of the area${row.proposed ? ", proposed as foreground" : ""}`;
    const tick = document.createElement("input");
    tick.type = "checkbox";
    tick.setAttribute("aria-label", element.title);
    tick.addEventListener("change", () => this.changed());
    const swatch = document.createElement("i");
    swatch.style.background = row.colour;
    const patches = document.createElement("span");
    patches.className = "patches";
    for (const address of row.patches) {
      const picture = document.createElement("img");
      Object.assign(picture, { src: address, alt: "", loading: "lazy", draggable: false });
      patches.append(picture);
    }
    const words = document.createElement("span");
    words.className = "words";
    words.textContent = share;
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.textContent = row.proposed ? "★" : "";
    element.append(tick, swatch, patches, words, mark);
    return element;
  }

  changed() {
    const inputs = [...this.list.querySelectorAll(".cluster")];
    this.sent = inputs.filter((row) => row.querySelector("input").checked).map((row) => Number(row.dataset.number));
    for (const row of inputs) row.classList.toggle("ticked", row.querySelector("input").checked);
    this.send(this.sent);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const tick = (numbers) => setTriggerValue("ticks", { numbers });
  return mount(parentElement, (root) => new ClusterList(root), (list) => list.update(data, tick));
}

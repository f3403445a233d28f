// The clusters of a dataset with a checkbox each, which ticks them as the chosen class. A tick is shown immediately; the
// local ticks are kept until the script returns the same ones, so that two quick clicks do not undo each other.

const order = (ticks) => JSON.stringify([...ticks].sort(([one], [other]) => one - other));

class ClusterList {
  constructor(root) {
    this.rows = new Map();
    this.sent = null;
    this.chosen = 1;
    this.added = 0;
    this.group = `class-of-ticks-${Math.random()}`;
    this.choice = document.createElement("div");
    this.choice.className = "classes";
    this.list = document.createElement("div");
    this.list.className = "clusters";
    root.append(this.choice, this.list);
    const group = () => this.data?.group;
    const leaving = [followTicks("picked", group, (number) => this.changed(number)), followTicks("lit", group, (number) => this.light(number))];
    this.close = () => leaving.forEach((leave) => leave());
  }

  update(data, send) {
    this.send = send;
    this.data = data;
    const given = new Map(data.rows.filter((row) => row.ticked).map((row) => [row.number, row.ticked]));
    if (this.sent !== null && order(this.sent) === order(given)) this.sent = null;
    if (data.clustering !== this.clustering) this.sent = null;
    this.clustering = data.clustering;
    this.ticks = new Map(this.sent ?? given);
    this.draw();
  }

  get shown() {
    return Math.min(Math.max(this.data.classes.shown, this.added), this.data.classes.names.length);
  }

  draw() {
    if (this.chosen > this.shown) this.chosen = 1;
    this.drawChoice();
    this.list.replaceChildren(...this.data.rows.map((row) => this.drawRow(row)));
  }

  drawChoice() {
    const { names, colours } = this.data.classes;
    const content = JSON.stringify([this.shown, names, colours]);
    if (content !== this.choiceContent) {
      this.choiceContent = content;
      const radios = this.shown > 1 ? names.slice(0, this.shown).map((name, at) => this.radio(name, colours[at], at + 1)) : [];
      const add = document.createElement("button");
      add.type = "button";
      add.textContent = "Add a class";
      add.hidden = this.shown >= names.length;
      add.addEventListener("click", () => {
        this.added = this.shown + 1;
        this.chosen = this.added;
        this.draw();
      });
      const words = document.createElement("span");
      words.textContent = "A tick means";
      words.hidden = this.shown < 2;
      this.choice.setAttribute("role", "radiogroup");
      this.choice.setAttribute("aria-label", "A tick means");
      this.choice.replaceChildren(words, ...radios, add);
    }
    for (const radio of this.choice.querySelectorAll("input")) radio.checked = Number(radio.value) === this.chosen;
  }

  radio(name, colour, index) {
    const label = document.createElement("label");
    label.style.setProperty("--tick", colour);
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: this.group, value: index });
    radio.addEventListener("change", () => {
      this.chosen = index;
      this.draw();
    });
    const number = document.createElement("b");
    number.textContent = index;
    const words = document.createElement("span");
    words.textContent = name;
    label.append(radio, swatch(colour), number, words);
    return label;
  }

  drawRow(row) {
    const content = JSON.stringify([row.number, row.title, row.words, row.colour, row.patches]);
    let kept = this.rows.get(row.number);
    if (!kept || kept.content !== content) {
      kept = { content, element: this.make(row) };
      this.rows.set(row.number, kept);
    }
    const index = this.ticks.get(row.number) ?? 0;
    const several = this.shown > 1;
    const { names, colours } = this.data.classes;
    const tick = kept.element.querySelector("input");
    const title = row.title + (index && several ? `, ticked as ${names[index - 1]}` : "");
    kept.element.title = title;
    tick.setAttribute("aria-label", title);
    tick.checked = index > 0;
    kept.element.classList.toggle("ticked", index > 0);
    kept.element.style.setProperty("--tick", index && several ? colours[index - 1] : "var(--st-primary-color)");
    kept.element.querySelector(".number").textContent = index && several ? index : "";
    kept.element.querySelector(".number").hidden = !several;
    return kept.element;
  }

  make(row) {
    const element = document.createElement("label");
    element.className = "cluster";
    element.dataset.number = row.number;
    const tick = document.createElement("input");
    tick.type = "checkbox";
    tick.addEventListener("change", () => this.changed(row.number));
    const number = document.createElement("b");
    number.className = "number";
    const patches = document.createElement("span");
    patches.className = "patches";
    for (const address of row.patches) {
      const picture = document.createElement("img");
      Object.assign(picture, { src: address, alt: "", loading: "lazy", draggable: false });
      patches.append(picture);
    }
    const words = document.createElement("span");
    words.className = "words";
    words.textContent = row.words;
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.textContent = row.proposed ? "★" : "";
    const point = (number) => () => tellTicks("lit", this.data.group, number);
    element.addEventListener("pointerenter", point(row.number));
    element.addEventListener("pointerleave", point(null));
    tick.addEventListener("focus", point(row.number));
    tick.addEventListener("blur", point(null));
    element.append(tick, number, swatch(row.colour), ...(row.share === null ? [] : [patches]), words, mark);
    return element;
  }

  // A cluster of another class changes to the chosen one; a second click unticks it.
  changed(number) {
    if (this.ticks.get(number) === this.chosen) this.ticks.delete(number);
    else this.ticks.set(number, this.chosen);
    this.sent = [...this.ticks];
    this.draw();
    tellTicks("ticks", this.data.group, this.sent);
    this.send(this.sent);
  }

  // Mark the row of the cluster pointed at, and bring it into sight in the list alone.
  light(number) {
    for (const [other, { element }] of this.rows) element.classList.toggle("lit", other === number);
    const row = this.rows.get(number)?.element;
    if (!row || row.matches(":hover, :focus-within")) return;
    const [place, seen] = [row.getBoundingClientRect(), this.list.getBoundingClientRect()];
    if (place.top < seen.top) this.list.scrollTop -= seen.top - place.top;
    else if (place.bottom > seen.bottom) this.list.scrollTop += place.bottom - seen.bottom;
  }
}

function swatch(colour) {
  const element = document.createElement("i");
  element.style.background = colour;
  return element;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const tick = (classes) => setTriggerValue("ticks", { classes });
  return mount(parentElement, (root) => new ClusterList(root), (list) => list.update(data, tick));
}

// The main numbers or the newest epoch of a training run.

function element(kind, name, text) {
  const node = document.createElement(kind);
  node.className = name;
  node.textContent = text;
  return node;
}

function numberElement({ label, value, note, help }) {
  const node = element("div", "number", "");
  const words = element("div", "label", label);
  words.title = help;
  node.append(words, element("div", "value", value));
  if (note) node.append(element("div", "note", note));
  return node;
}

class Words {
  constructor(root) {
    this.root = root;
    this.close = followNews(() => this.draw(this.data));
  }

  draw(data) {
    const { root } = this;
    this.data = data;
    const news = newsSince(data.follows) ?? data;
    if (data.part === "numbers") root.replaceChildren(...news.numbers.map(numberElement));
    else root.replaceChildren("Epoch ", element("strong", "epoch", String(news.epoch)));
    root.classList.toggle("numbers", data.part === "numbers");
  }
}

export default function ({ data, parentElement }) {
  return mount(parentElement, (root) => new Words(root), (words) => words.draw(data));
}

// Numbers or words of a run that trains, as the newest epoch has them.

function element(kind, name, text) {
  const made = document.createElement(kind);
  made.className = name;
  made.textContent = text;
  return made;
}

function numberElement({ label, value, note, help }) {
  const made = element("div", "number", "");
  const words = element("div", "label", label);
  words.title = help;
  made.append(words, element("div", "value", value));
  if (note) made.append(element("div", "note", note));
  return made;
}

class Words {
  constructor(root) {
    this.root = root;
    this.close = followNews(() => this.draw());
  }

  draw() {
    const { root, data } = this;
    const news = newsSince(data.follows) ?? data;
    if (data.part === "numbers") root.replaceChildren(...news.numbers.map(numberElement));
    else root.replaceChildren("Epoch ", element("strong", "epoch", String(news.epoch)));
    root.classList.toggle("numbers", data.part === "numbers");
  }
}

export default function ({ data, parentElement }) {
  const [words, unmount] = mount(parentElement, (root) => new Words(root));
  words.data = data;
  words.draw();
  return unmount;
}

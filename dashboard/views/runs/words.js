// Numbers or words of a run that trains, as the newest epoch has them.

const parts = new WeakMap();

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

function draw(root, { data }) {
  const news = newsSince(data.follows) ?? data;
  if (data.part === "numbers") root.replaceChildren(...news.numbers.map(numberElement));
  else root.replaceChildren("Epoch ", element("strong", "epoch", String(news.epoch)));
  root.classList.toggle("numbers", data.part === "numbers");
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root");
  let part = parts.get(root);
  if (!part) {
    parts.set(root, (part = { data }));
    part.leave = followNews(() => draw(root, part));
  }
  part.data = data;
  draw(root, part);
  return () => {
    part.leave();
    parts.delete(root);
  };
}

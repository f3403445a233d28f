// The brush's toolbar and keys.

const SHOWN_REVISIONS = 8;
const SIZE_STEPS = 10; // positions of the slider for each doubling
const svg = (path) => `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;
const SHAPES = [
  ["brush", "Brush", "B", "M13.5 2.5 7.5 8.5M6.5 8c-2 0-3 1.2-3 3 0 1-.6 1.6-1.5 2 3 1 6.5 0 6.5-3z"],
  ["snap", "Brush that stops at edges", "W", "M2 2v12M5.5 8a4 4 0 0 1 4-4h1a4 4 0 0 1 0 8h-1a4 4 0 0 1-4-4z"],
  ["fill", "Fill a region", "F", "M6 2l6.5 6.5-5 5L2 8l5-5M2 8h10M14 11.5c.8 1 .8 2.3 0 2.3s-.8-1.3 0-2.300z"],
  ["polygon", "Polygon", "L", "M3 12.5 2 5l6-3 6 4.5-3.5 7z"],
  ["box", "Box", "X", "M2.5 3.5h11v9h-11z"],
];
const FINISH_HELP = "The whole image was looked at: everything shown is right (A)";
const UNDO = "M6.5 3 3 6.5 6.5 10M3.5 6.5h6a3.5 3.5 0 0 1 0 7h-3";
const REDO = "M9.5 3 13 6.5 9.5 10M12.5 6.5h-6a3.5 3.5 0 0 0 0 7h3";
const KEYS = [
  ["0 … 9", "background, class"], ["B", "brush"], ["W", "brush that stops at edges"], ["E", "erase"], ["I", "ignore"], ["F", "fill"], ["L", "polygon"], ["X", "box"],
  ["[ ]", "size (also Alt and wheel)"], ["Z", "undo"], ["Shift Z", "redo"], ["S", "save now"], ["A", "finished"],
  ["H", "hide what is drawn"], ["Space", "hold to pan (also the middle button)"], ["right button", "erase"],
];
const BRUSH_BAR =
  '<div class="choices values" role="radiogroup" aria-label="Draw as"></div>' +
  '<div class="choices shapes" role="radiogroup" aria-label="Tool"></div>' +
  '<label class="size" title="Size of the brush ([ and ], Alt and wheel)"><input type="range" min="0" max="90" aria-label="Brush size"><output></output></label>' +
  `<div class="choices"><button type="button" class="undo" aria-label="Undo" title="Undo (Z)">${svg(UNDO)}</button>` +
  `<button type="button" class="redo" aria-label="Redo" title="Redo (Shift Z)">${svg(REDO)}</button></div>` +
  '<details class="more"><summary aria-label="More" title="Opacity, history and keys">⋯</summary><div class="panel">' +
  '<label>Opacity <input type="range" class="opacity" min="0.2" max="1" step="0.05" aria-label="Opacity of what is drawn"></label>' +
  '<div class="history"></div><dl class="keys"></dl></div></details>' +
  '<span class="saved" role="status"></span><button type="button" class="newer" hidden>Load the newer one</button>' +
  '<button type="button" class="finish">Finished</button>';

class BrushBar {
  constructor(brush, bar) {
    this.brush = brush;
    this.root = Object.assign(document.createElement("div"), { className: "brush", innerHTML: BRUSH_BAR });
    bar.prepend(this.root);
    bar.classList.add("drawing");
    const part = (name) => this.root.querySelector(name);
    this.part = part;
    part(".shapes").append(...SHAPES.map(([shape, title, key, path]) =>
      this.choice({ shape }, `${title} (${key})`, svg(path), () => brush.use(shape))));
    part(".undo").addEventListener("click", () => brush.undo());
    part(".redo").addEventListener("click", () => brush.redo());
    part(".finish").addEventListener("click", () => brush.finish());
    part(".newer").addEventListener("click", () => this.loadNewer());
    part(".size input").addEventListener("input", (event) => brush.setSize(2 ** (event.target.value / SIZE_STEPS)));
    const opacity = part(".opacity");
    opacity.value = brush.opacity;
    opacity.addEventListener("input", () => {
      brush.opacity = Number(opacity.value);
      brush.paint();
    });
    part(".more").addEventListener("toggle", () => part(".more").open && this.showHistory());
    const keys = brush.viewer.live ? [...KEYS, ["J", "the place most in doubt"]] : KEYS;
    part(".keys").append(...keys.flatMap(([key, words]) => [element("dt", key), element("dd", words)]));
  }

  choice(data, title, content, act) {
    const button = element("button");
    Object.assign(button, { type: "button", title, innerHTML: content });
    Object.assign(button.dataset, data);
    button.setAttribute("role", "radio");
    button.setAttribute("aria-label", title.replace(/ \(.*/, ""));
    button.addEventListener("click", act);
    return button;
  }

  // The classes, then what is not a class.
  showValues() {
    const { classes, colours } = this.brush.config;
    if (this.classes === JSON.stringify([classes, colours])) return;
    this.classes = JSON.stringify([classes, colours]);
    const entries = classes.map((name, index) => [index, name, index < 10 ? String(index) : ""]);
    if (entries.length) entries.push(entries.shift());
    entries.push([LEFT_OUT, entries.length ? "ignore" : "leave out", "I"], [UNTOUCHED, "erase", "E"]);
    const buttons = entries.map(([value, name, key]) => {
      const button = this.choice({ value }, key ? `${name} (${key})` : name, "<i></i>", () => this.brush.choose(value));
      if (value > 0 && value < LEFT_OUT) button.firstChild.style.background = colours[value];
      button.append(name);
      return button;
    });
    this.part(".values").replaceChildren(...buttons);
  }

  describe() {
    const { brush, root, part } = this;
    const { draft, size } = brush;
    if (!brush.config) return;
    this.showValues();
    const chosen = { value: String(brush.value), shape: brush.shape };
    for (const button of root.querySelectorAll("[role=radio]")) {
      const [name] = Object.keys(button.dataset);
      button.setAttribute("aria-checked", String(button.dataset[name] === chosen[name]));
    }
    part(".size input").value = Math.round(SIZE_STEPS * Math.log2(size ?? 1));
    part(".size output").textContent = size ? `${size} px` : "";
    part(".size").hidden = !brush.isBrush;
    part(".undo").disabled = !draft?.raster.done.length;
    part(".redo").disabled = !draft?.raster.undone.length;
    part(".finish").hidden = !brush.config.can_finish;
    part(".finish").disabled = !brush.ready || draft.undivided;
    part(".finish").title = draft?.undivided ? "The mask does not tell the classes apart" : FINISH_HELP;
    part(".finish").setAttribute("aria-pressed", String(Boolean(draft?.raster.finished)));
    part(".newer").hidden = !draft?.stale;
    if (draft) this.say(draft.words, draft.error ? "bad" : draft.dirty ? "" : "good");
    else if (!part(".saved").dataset.tone) this.say("Loading …");
    if (part(".more").open && draft && this.shownRevision !== draft.revision) this.showHistory();
  }

  say(words, tone = words.endsWith(".") ? "bad" : "") {
    const saved = this.part(".saved");
    if (saved.textContent !== words) saved.textContent = words;
    saved.dataset.tone = tone;
  }

  async loadNewer() {
    const { draft } = this.brush;
    await this.trying(draft.loadNewer());
    this.brush.paint();
  }

  async trying(promise) {
    try {
      await promise;
    } catch (error) {
      this.say(error.status ? error.message : "The connection to the app was lost.", "bad");
    }
  }

  async showHistory() {
    const { draft } = this.brush;
    if (!draft) return;
    this.shownRevision = draft.revision;
    const list = this.part(".history");
    await this.trying((async () => {
      const lines = await draft.history();
      if (draft !== this.brush.draft) return;
      list.replaceChildren(...lines.slice(0, SHOWN_REVISIONS).map((line, index) => this.historyLine(line, index === 0)));
      if (lines.length > SHOWN_REVISIONS) list.append(element("p", `and ${lines.length - SHOWN_REVISIONS} earlier`));
      if (!lines.length) list.append(element("p", "Nobody has drawn anything yet."));
    })());
  }

  historyLine({ revision, who, at, source, pixels }, newest) {
    const line = element("div");
    const when = new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    line.append(element("b", `Revision ${revision}`), ` ${source} by ${who}, ${when}, ${pixels.toLocaleString("en")} pixels `);
    if (!newest || !pixels) return line;
    const withdraw = Object.assign(element("button", "Withdraw"), { type: "button" });
    withdraw.addEventListener("click", () => {
      const yes = Object.assign(element("button", `Withdraw revision ${revision}`), { type: "button" });
      const no = Object.assign(element("button", "Keep it"), { type: "button" });
      yes.addEventListener("click", async () => {
        const { draft } = this.brush;
        await this.trying(draft.withdraw());
        this.brush.paint();
        this.showHistory();
      });
      no.addEventListener("click", () => {
        yes.remove();
        no.replaceWith(withdraw);
      });
      withdraw.replaceWith(yes, no);
    });
    line.append(withdraw);
    return line;
  }

  close() {
    this.root.parentElement.classList.remove("drawing");
    this.root.remove();
  }
}

function element(name, text = "") {
  return Object.assign(document.createElement(name), { textContent: text });
}

// Keys work wherever the focus is, except where text is typed and behind an open dialog.
function brushKey(brush, event) {
  const target = event.composedPath()[0];
  if (!brush.ready || target.matches?.("input:not([type=range], [type=checkbox], [type=radio]), textarea, select, [contenteditable=true]")) return;
  const { host } = brush.viewer.root.getRootNode();
  const dialog = document.querySelector("[role=dialog]");
  if (dialog && host && !dialog.contains(host)) return;
  const act = actionOf(brush, event, target);
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act();
}

function actionOf(brush, { key, code, ctrlKey, metaKey, altKey, shiftKey }, target) {
  const command = ctrlKey || metaKey;
  const letter = key.toLowerCase();
  if (altKey) return null;
  if (letter === "z") return () => (shiftKey ? brush.redo() : brush.undo());
  if (command && letter === "y") return () => brush.redo();
  if (letter === "s") return () => brush.draft.save();
  if (command) return null;
  if (/^\d$/.test(key)) return Number(key) < brush.config.classes.length ? () => brush.choose(Number(key)) : () => {};
  if (code === "Space" && !target.matches?.("button, summary, input")) return () => brush.setPanning(true);
  const drawing = brush.points.length > 0;
  const actions = {
    b: () => {
      brush.choose(brush.lastClass);
      brush.use("brush");
    },
    e: () => brush.choose(UNTOUCHED),
    i: () => brush.choose(LEFT_OUT),
    w: () => brush.use("snap"),
    f: () => brush.use("fill"),
    l: () => brush.use("polygon"),
    x: () => brush.use("box"),
    a: () => brush.finish(),
    j: brush.viewer.live ? () => brush.viewer.live.jump() : null,
    h: () => {
      brush.bare = !brush.bare;
      brush.viewer.paintSoon();
    },
    "[": () => brush.resize(0.87),
    "]": () => brush.resize(1.15),
    escape: drawing ? () => brush.drop() : null,
    backspace: drawing ? () => brush.removePoint() : null,
    enter: drawing ? () => brush.closePolygon() : null,
  };
  return actions[letter] ?? null;
}

// Masks of several images that follow each stroke on one of them: small tiles beside the panes, and the mask of the
// pane. The newest answer alone is shown, however long an older one takes.

const LIVE =
  '<div class="about"><label><input type="checkbox" class="doubt"> Show doubt</label>' +
  '<button type="button" class="jump" title="Go to the place where a stroke helps most (J)" disabled>Most in doubt (J)</button>' +
  '<span class="told" role="status"></span></div><div class="tiles" role="group" aria-label="Test images"></div>';
const LIVE_TILE = '<canvas></canvas><span class="mark" hidden>most in doubt</span>';

class LiveMasks {
  constructor(viewer) {
    Object.assign(this, { viewer, turn: 0, images: null, next: null, showsDoubt: false, tiles: new Map() });
    this.root = Object.assign(document.createElement("div"), { className: "live", innerHTML: LIVE });
    viewer.row.after(this.root);
    viewer.root.classList.add("followed");
    const part = (name) => this.root.querySelector(name);
    [this.told, this.list, this.jumper] = [part(".told"), part(".tiles"), part(".jump")];
    this.spot = Object.assign(document.createElement("div"), { className: "spot", hidden: true });
    part(".doubt").addEventListener("change", (event) => {
      this.showsDoubt = event.target.checked;
      this.refresh();
    });
    this.jumper.addEventListener("click", () => this.jump());
    this.resized = new ResizeObserver(() => this.tiles.forEach((tile) => this.paintTile(tile)));
    this.resized.observe(this.list);
  }

  // Show the images of the script's data, and ask for their masks if others were shown before. `open` is called with the
  // id of the image to draw on next.
  show(config, open) {
    const asks = config.address !== this.config?.address;
    Object.assign(this, { config, open });
    if (asks) {
      this.images = this.next = null;
      this.list.replaceChildren();
      this.tiles.clear();
      config.images.forEach((image) => this.tiles.set(image.id, this.makeTile(image)));
      this.ask();
    }
    this.describe();
  }

  makeTile(image) {
    const element = Object.assign(document.createElement("button"), { type: "button", className: "tile", innerHTML: LIVE_TILE });
    element.title = image.name;
    element.dataset.id = image.id;
    element.addEventListener("click", () => this.open(image.id));
    this.list.append(element);
    return { element, image, canvas: element.firstChild, mark: element.lastChild };
  }

  // Ask for the masks that everything stored so far teaches; an older request is ended.
  async ask() {
    const turn = ++this.turn;
    this.asking?.abort();
    this.asking = new AbortController();
    try {
      const response = await fetch(this.config.address, { credentials: "same-origin", signal: this.asking.signal });
      if (!response.ok) await answerOf(response);
      for await (const line of linesOf(response)) {
        if (turn !== this.turn) return;
        this.take(JSON.parse(line));
      }
    } catch (error) {
      if (turn === this.turn) this.say(error.status ? error.message : "The connection to the app was lost.", "bad");
    }
  }

  take({ progress, error, images, next, hint }) {
    this.say(progress || error || hint || "", error ? "bad" : "");
    if (!images) return;
    Object.assign(this, { images, next, answer: this.turn });
    this.refresh();
  }

  refresh() {
    this.describe();
    this.viewer.showGiven();
  }

  describe() {
    const { opened } = this.config;
    for (const [id, tile] of this.tiles) {
      tile.element.setAttribute("aria-current", String(id === opened));
      tile.element.setAttribute("aria-label", id === this.next ? `${tile.image.name}, most in doubt` : tile.image.name);
      tile.mark.hidden = id !== this.next;
      this.load(tile);
    }
    this.jumper.disabled = !this.next;
    this.placeSpot();
  }

  // What is known of the mask of an image: the newest answer, or before the first what the script gave.
  known({ id, mask }) {
    return this.images ? (this.images[id] ?? {}) : { mask };
  }

  // The data of the viewer with the newest mask in its first pane.
  laidInto(data) {
    if (!this.images) return data;
    const [pane, ...others] = data.panes;
    const { mask = null, classes = null, doubt = null } = this.images[this.config.opened] ?? {};
    const shown = this.showsDoubt && doubt ? { doubt, mode: "doubt" } : {};
    const readings = data.readings.filter(({ address }) => address !== pane.mask);
    if (mask) readings.push({ name: pane.title, address: mask, kind: "probability", classes: [], levels: null });
    return { ...data, readings, panes: [{ ...pane, mask, classes, ...shown }, ...others] };
  }

  // The old mask stays until the new one is loaded.
  async load(tile) {
    const { mask, classes, doubt } = this.known(tile.image);
    const parts = this.showsDoubt && doubt ? { mask: doubt } : { mask, classes };
    const asked = JSON.stringify([parts, this.showsDoubt]);
    if (tile.asked === asked) return this.answered(tile);
    tile.asked = asked;
    const loaded = await Promise.all([tile.image.thumbnail, parts.mask, parts.classes].map((address) => address && loadPicture(address)));
    if (tile.asked !== asked) return;
    tile.loaded = { picture: loaded[0], mask: loaded[1], classes: loaded[2], mode: parts.mask && parts.mask === doubt ? "probability" : "fill" };
    this.paintTile(tile);
    tile.element.dataset.shows = parts.mask ?? "";
    this.answered(tile);
  }

  // Say on the page which request a tile shows the answer of.
  answered({ element, loaded }) {
    if (loaded) element.dataset.answer = this.answer ?? 0;
  }

  paintTile({ canvas, loaded }) {
    if (!loaded?.picture) return;
    const { picture, mask, classes, mode } = loaded;
    const width = Math.max(1, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)));
    Object.assign(canvas, { width, height: Math.round((width * picture.height) / picture.width) });
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(picture.bitmap, 0, 0, canvas.width, canvas.height);
    if (!mask) return;
    const { settings, colours, panes } = this.viewer.data;
    const own = panes[0].class_colours.slice(1);
    const overlay = drawOverlay({ mask, classes }, mode, settings, own.length ? { ...colours, classes: own } : colours, width / mask.width);
    context.imageSmoothingEnabled = false;
    context.drawImage(overlay, 0, 0, canvas.width, canvas.height);
  }

  jump() {
    if (this.next && this.next !== this.config.opened) this.open(this.next);
    else if (this.next) this.viewer.reset();
  }

  // A ring where the image in the pane is most in doubt: of the suggested image, or wherever doubt is shown.
  placeSpot() {
    const { opened } = this.config;
    const pane = this.viewer.panes[0];
    const spot = this.images?.[opened]?.spot;
    this.spot.hidden = !pane || !this.viewer.size || !spot || !(this.showsDoubt || this.next === opened);
    if (this.spot.hidden) return;
    if (!this.spot.isConnected) pane.element.querySelector(".frame").append(this.spot);
    const [x, y, width, height] = this.viewer.placeIn(pane.canvas.clientWidth, pane.canvas.clientHeight);
    this.spot.style.transform = `translate(${x + spot[0] * width}px, ${y + spot[1] * height}px)`;
  }

  say(words, tone = "") {
    if (this.told.textContent !== words) this.told.textContent = words;
    this.told.dataset.tone = tone;
  }

  close() {
    this.turn++;
    this.asking?.abort();
    this.resized.disconnect();
    this.root.remove();
    this.spot.remove();
    this.viewer.root.classList.remove("followed");
  }
}

// Yield the lines of a response as they arrive.
async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    yield* lines;
  }
}

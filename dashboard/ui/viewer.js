// Panes that zoom and pan together, or two stacked images with a wipe slider.

const MAPS = ["mask", "classes", "reference", "reference_classes", "doubt"];
const LEAST_PANE_PX = 300;
const GREATEST_SCALE = 64; // maximum width of an image pixel in screen pixels
const SQUARES_FROM = 2; // from this scale on, image pixels are drawn as squares
const ZOOMS = [0.25, 0.5, 1, 2, 4, 8, 16, 32];
const RESERVED_PX = 215; // of a window's height, for what is above and below the panes in a dialog
const KEYS_HELP = "Arrows move, M hides the masks, + and - zoom, 0 shows the whole image, 1 its pixels one to one, Shift and arrows move the cross.";
const FRAME =
  '<div class="bar"><span class="tools"></span><div class="legend"></div><span class="busy" role="status"></span><span class="zooming">' +
  '<button type="button" class="out" aria-label="Zoom out" title="Zoom out (-)">−</button>' +
  '<select class="zoom" aria-label="Zoom" title="100 %: a pixel of the image is a pixel of the screen"></select>' +
  '<button type="button" class="in" aria-label="Zoom in" title="Zoom in (+)">+</button>' +
  '<button type="button" class="reset" title="Show the whole image (0)">Fit</button></span></div>' +
  `<div class="panes" tabindex="0" role="group" aria-label="Panes. ${KEYS_HELP}"></div>` +
  '<div class="readout"></div><div class="spoken" role="status"></div>';
const PANE =
  '<div class="names"><span class="left"></span><span class="right" hidden></span></div><div class="frame">' +
  '<canvas role="img"></canvas><button type="button" class="swap" hidden></button><div class="cross" hidden><i></i></div><span class="note" hidden></span>' +
  '<div class="handle" role="slider" tabindex="0" aria-label="Wipe" aria-valuemin="0" aria-valuemax="100" hidden></div></div>';

class Viewer {
  constructor(root) {
    this.root = root;
    this.view = { x: 0.5, y: 0.5, zoom: 1 }; // centre of the pane in shares of the image; zoom 1 shows all of it
    this.wipeAt = 0.5;
    this.cursor = null; // [x, y] in pixels of the image
    this.pinned = false;
    this.panes = [];
    this.pointers = new Map();
    root.innerHTML = FRAME;
    const part = (name) => root.querySelector(name);
    this.row = part(".panes");
    this.busy = part(".busy");
    this.zoomSelect = part(".zoom");
    this.readout = new Readout(part(".readout"), part(".spoken"));
    part(".reset").addEventListener("click", () => this.reset());
    part(".in").addEventListener("click", () => this.zoomBy(ZOOM_STEP));
    part(".out").addEventListener("click", () => this.zoomBy(1 / ZOOM_STEP));
    this.zoomSelect.addEventListener("change", () => this.zoomTo(Number(this.zoomSelect.value)));
    this.tools = new ViewerTools(this, part(".tools"));
    listenToKeys(this, this.row);
    this.leaveKeys = stepByArrows(this);
    this.resized = new ResizeObserver(() => this.arrange());
    this.resized.observe(this.row);
  }

  update(given, stored, open) {
    Object.assign(this, { given, stored });
    if (!given.live) this.dropLive();
    else (this.live ??= new LiveMasks(this)).show(given.live, open);
    this.showGiven();
  }

  // Draw the data of the script, with newer masks if there are any.
  showGiven() {
    const data = (this.data = this.tools.laidInto(this.live?.laidInto(this.given) ?? this.given));
    const { panes, settings } = data;
    const together = settings.wipe && panes.length > 1;
    this.groups = together ? [panes.slice(0, 2)] : panes.map((pane) => [pane]);
    const wanted = panes.flatMap((pane) => [pane.image, ...MAPS.map((map) => pane[map])]);
    const asked = JSON.stringify([together, wanted, data.readings, Boolean(data.brush)]);
    if (!data.brush) this.dropBrush();
    this.readout.setDrawing(Boolean(data.brush));
    if (asked === this.asked) return this.apply();
    this.asked = asked;
    this.whole = Object.keys(data.smaller).length === 0;
    this.load();
  }

  // Load the content of all panes and then change them together; until then the old content stays.
  async load() {
    const { asked, groups, whole } = this;
    this.busy.textContent = "Loading …";
    const { readings, smaller, ahead } = this.data;
    const source = (address) => (whole ? address : (smaller[address] ?? address));
    const map = (pane, part) => (pane[part] ? loadMap(source(pane[part]), part.endsWith("classes")) : null);
    const layer = async (pane) => {
      const [image, ...maps] = await Promise.all([loadPicture(source(pane.image)), ...MAPS.map((part) => map(pane, part))]);
      return { image, ...Object.fromEntries(MAPS.map((part, index) => [part, maps[index]])) };
    };
    const loaded = groups.map((layers) => Promise.all(layers.map(layer)));
    if (!this.panes.length) this.paintFirst(loaded);
    const read = this.readout.load(
      readings.map((reading) => ({ ...reading, address: source(reading.address), levels: reading.levels && source(reading.levels) })),
    );
    const [pictures] = await Promise.all([Promise.all(loaded), read]);
    if (this.asked !== asked || this.whole !== whole) return;
    this.busy.textContent = "";
    this.shown = asked;
    this.setPanes(groups, pictures);
    ahead.forEach(layer); // so that the next image is shown immediately
  }

  // At first, each pane is shown as soon as it is loaded.
  paintFirst(loaded) {
    const { groups } = this;
    this.shown = this.asked;
    this.setPanes(groups, groups.map(() => []));
    loaded.forEach(async (promise, index) => {
      const pictures = await promise;
      if (this.groups === groups && this.panes[index]) this.setPanes(groups, this.panes.map((pane, at) => (at === index ? pictures : pane.loaded)));
    });
  }

  setPanes(groups, pictures) {
    while (this.panes.length > groups.length) this.panes.pop().element.remove();
    while (this.panes.length < groups.length) this.panes.push(this.makePane());
    groups.forEach((layers, index) => Object.assign(this.panes[index], { layers, loaded: pictures[index] }));
    this.fitTo(this.panes.find((pane) => pane.loaded[0]?.image)?.loaded[0].image);
    this.apply();
  }

  // The view is kept for the next image of the same size, so that the same region can be compared.
  fitTo(image) {
    if (!image) return;
    const [width, height] = this.data.settings.full_px ?? [image.width, image.height];
    if (this.size && (this.size.width !== width || this.size.height !== height)) {
      this.view = { x: 0.5, y: 0.5, zoom: 1 };
      this.cursor = null;
      this.pinned = false;
    }
    this.size = { width, height };
  }

  // Show titles, notes and legend of the loaded content, and paint it.
  apply() {
    this.panes.forEach((pane, index) => {
      pane.layers = this.groups[index] ?? pane.layers;
      this.describe(pane);
    });
    this.root.querySelector(".legend").replaceWith(viewerLegend(this.groups.flat(), this.data.settings, this.data.colours));
    this.arrange();
    this.showReadout(false);
    if (this.data.brush && this.shown === this.asked) (this.brush ??= new Brush(this)).show(this.data.brush);
  }

  dropLive() {
    this.live?.close();
    this.live = null;
  }

  dropBrush() {
    this.brush?.close();
    this.brush = null;
  }

  describe(pane) {
    const { layers, loaded } = pane;
    const titles = layers.map((layer) => layer.title);
    [pane.left, pane.right].forEach((name, index) => {
      name.textContent = name.title = titles[index] ?? "";
      name.hidden = index >= titles.length;
    });
    pane.handle.hidden = layers.length < 2;
    pane.handle.setAttribute("aria-label", layers.length < 2 ? "Wipe" : `Wipe between ${titles.join(" and ")}`);
    pane.canvas.setAttribute("aria-label", titles.join(" against "));
    pane.swap.setAttribute("aria-label", `Show large: ${titles[0]}`);
    const gone = loaded.length && !loaded[0].image ? "The image is gone" : "";
    const missing = layers.some((layer, index) => loaded[index] && layer.mask && !loaded[index].mask) ? "There is no mask" : "";
    const note = gone || layers.find((layer) => layer.note)?.note || missing;
    pane.note.textContent = note;
    pane.note.hidden = !note;
  }

  // The fewest rows with panes of a useful width; all panes are as wide as those of the fullest row.
  arrange() {
    const rows = Math.ceil((this.panes.length * LEAST_PANE_PX) / Math.max(this.row.clientWidth, LEAST_PANE_PX));
    this.row.style.setProperty("--across", String(Math.ceil(this.panes.length / rows)));
    const lead = this.leadPane();
    this.row.classList.toggle("led", Boolean(lead));
    for (const pane of this.panes) {
      pane.swap.hidden = !lead || pane === lead;
      pane.element.classList.toggle("lead", pane === lead);
    }
    if (this.size) {
      const { width, height } = this.size;
      this.row.style.setProperty("--ratio", String(width / height));
      const most = this.data.settings.height_px ?? Math.max(240, window.innerHeight - RESERVED_PX);
      this.row.style.setProperty("--widest", `${Math.round((most * width) / height)}px`);
    }
    this.paintSoon();
  }

  makePane() {
    const element = document.createElement("div");
    element.className = "pane";
    element.innerHTML = PANE;
    this.row.append(element);
    const part = (name) => element.querySelector(name);
    const pane = {
      element, canvas: part("canvas"), left: part(".left"), right: part(".right"), handle: part(".handle"),
      note: part(".note"), swap: part(".swap"), cross: part(".cross"), layers: [], loaded: [],
    };
    listenToPane(this, pane);
    pane.swap.addEventListener("click", () => this.setLead(pane));
    return pane;
  }

  paintSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      if (!this.size) return;
      this.seen = new Map(); // results of one pane that the other panes of a frame reuse
      this.panes.forEach((pane) => this.paint(pane));
      this.showZoom();
    });
  }

  paint(pane) {
    const density = window.devicePixelRatio || 1;
    const box = pane.canvas.parentElement.getBoundingClientRect();
    const [width, height] = [box.width, box.height].map((length) => Math.max(1, Math.floor(length * density)));
    if (pane.canvas.width !== width || pane.canvas.height !== height) {
      Object.assign(pane.canvas, { width, height });
      // Whole screen pixels, or the browser would blur the canvas.
      Object.assign(pane.canvas.style, { width: `${width / density}px`, height: `${height / density}px` });
    }
    const context = pane.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const edge = Math.round(width * this.wipeAt);
    pane.layers.forEach((layer, index) => {
      context.save();
      if (pane.layers.length > 1) {
        context.beginPath();
        context.rect(index ? edge : 0, 0, index ? width - edge : edge, height);
        context.clip();
      }
      if (pane.loaded[index]) this.paintLayer(context, layer, pane.loaded[index], density);
      context.restore();
    });
    pane.handle.style.left = `${this.wipeAt * 100}%`;
    pane.handle.setAttribute("aria-valuenow", String(Math.round(this.wipeAt * 100)));
    this.placeCross(pane, density);
    this.live?.placeSpot();
    if (this.brush?.isOn(pane)) this.brush.paint();
  }

  paintLayer(context, layer, loaded, density) {
    const { image } = loaded;
    if (!image || layer.note) return;
    const place = this.placeIn(context.canvas.width, context.canvas.height);
    const scale = place[2] / this.size.width;
    context.drawImage(this.scaled(image, place, context.canvas, scale >= SQUARES_FROM), 0, 0);
    const settings = { ...this.data.settings, only_class: onlyClass(layer, this.data.settings) };
    const own = layer.class_colours.slice(1);
    const colours = own.length ? { ...this.data.colours, classes: own } : this.data.colours;
    const bare = this.tools.bare || (this.brush?.bare && this.panes[0].layers.includes(layer));
    const mode = bare ? "image" : layer.mode;
    paintOverlay(context, loaded, mode, settings, colours, place, density, this.seen);
    // The smaller copies are not sufficient once one of their pixels is larger than a screen pixel.
    if (!this.whole && image.width < this.size.width && scale > (1.25 * image.width) / this.size.width) {
      this.whole = true;
      this.load();
    }
  }

  // The image in a canvas of the given size, once for all panes of a frame, because scaling it down takes long.
  scaled(image, place, { width, height }, squares) {
    return once(this.seen, image, [place, width, height], () => {
      const canvas = canvasOf(width, height);
      const context = canvas.getContext("2d");
      context.imageSmoothingEnabled = !squares;
      context.imageSmoothingQuality = "high";
      context.drawImage(image.bitmap, ...place);
      return canvas;
    });
  }

  // The place of the image in a box: [x, y, width, height], in the unit of the box.
  placeIn(width, height, zoom = this.view.zoom) {
    const scale = Math.min(width / this.size.width, height / this.size.height) * zoom;
    const shown = [this.size.width * scale, this.size.height * scale];
    return [width / 2 - this.view.x * shown[0], height / 2 - this.view.y * shown[1], ...shown];
  }

  // The width of an image pixel in screen pixels.
  scale(zoom = this.view.zoom) {
    const { canvas } = this.leadPane() ?? this.panes[0];
    return (this.placeIn(canvas.clientWidth, canvas.clientHeight, zoom)[2] / this.size.width) * (window.devicePixelRatio || 1);
  }

  zoomAt(pane, point, factor) {
    if (!this.size) return;
    const box = pane.canvas.getBoundingClientRect();
    const at = [point.clientX - box.left, point.clientY - box.top];
    const before = this.placeIn(box.width, box.height);
    const held = [(at[0] - before[0]) / before[2], (at[1] - before[1]) / before[3]];
    const greatest = Math.max(1, GREATEST_SCALE / this.scale(1));
    this.view.zoom = clamp(this.view.zoom * factor, 1, greatest);
    const after = this.placeIn(box.width, box.height);
    this.move(held[0] - (at[0] - after[0]) / after[2], held[1] - (at[1] - after[1]) / after[3]);
  }

  // Zoom around the cursor if it is pinned, else around the centre.
  zoomBy(factor) {
    const pane = this.panes.length ? (this.leadPane() ?? this.panes[0]) : null;
    if (!pane || !this.size) return;
    const box = pane.canvas.getBoundingClientRect();
    const place = this.placeIn(box.width, box.height);
    const [x, y] = this.pinned
      ? [0, 1].map((axis) => place[axis] + ((this.cursor[axis] + 0.5) * place[2]) / this.size.width)
      : [box.width / 2, box.height / 2];
    this.zoomAt(pane, { clientX: box.left + x, clientY: box.top + y }, factor);
  }

  zoomTo(scale) {
    if (this.size) this.zoomBy(scale / this.scale());
  }

  panBy(pane, x, y) {
    if (!this.size) return;
    const [, , width, height] = this.placeIn(pane.canvas.clientWidth, pane.canvas.clientHeight);
    this.move(-x / width, -y / height);
  }

  moveView(x, y) {
    const step = 0.1 / this.view.zoom;
    this.move(x * step, y * step);
  }

  move(x, y) {
    const half = 0.5 / this.view.zoom;
    this.view.x = clamp(this.view.x + x, half, 1 - half);
    this.view.y = clamp(this.view.y + y, half, 1 - half);
    this.paintSoon();
  }

  wipe(share) {
    this.wipeAt = clamp(share, 0, 1);
    this.paintSoon();
  }

  reset() {
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.paintSoon();
  }

  showZoom() {
    const fit = this.scale(1);
    const now = this.scale();
    const words = (scale) => `${Math.round(100 * scale)} %`;
    const option = (scale) => Object.assign(document.createElement("option"), { value: String(scale), textContent: words(scale) });
    const known = ZOOMS.filter((scale) => scale > fit && words(scale) !== words(now));
    const options = [...known, now].sort((a, b) => a - b).map(option);
    this.zoomSelect.replaceChildren(...options);
    this.zoomSelect.value = String(now);
  }

  close() {
    this.dropBrush();
    this.dropLive();
    this.resized.disconnect();
    this.leaveKeys();
    this.asked = this.groups = null; // what is still loading finds nothing to draw into
  }
}

Object.assign(Viewer.prototype, CursorMoves, LeadMoves);

export default function ({ data, parentElement, setTriggerValue }) {
  const stored = (correction) => setTriggerValue("stored", correction);
  const open = (id) => setTriggerValue("opened", id);
  return mount(parentElement, (root) => new Viewer(root), (viewer) => viewer.update(data, stored, open));
}

// Panes that zoom and pan as one, or two pictures upon each other with a wipe slider.

const viewers = new WeakMap();
const GREATEST_ZOOM = 64;
const LEAST_PANE_PX = 300;

class Viewer {
  constructor(root) {
    this.root = root;
    this.view = { x: 0.5, y: 0.5, zoom: 1 }; // the middle of the pane in shares of the image; 1 shows all of it
    this.wipeAt = 0.5;
    this.panes = [];
    this.pointers = new Map();
    root.innerHTML =
      '<div class="bar"><div class="legend"></div><span class="zoom" aria-live="polite"></span>' +
      '<button type="button" class="reset" title="Show the whole image (0)">Fit</button></div><div class="panes"></div>';
    this.row = root.querySelector(".panes");
    root.querySelector(".reset").addEventListener("click", () => this.reset());
    this.resized = new ResizeObserver(() => this.arrange());
    this.resized.observe(this.row);
  }

  update(data) {
    this.data = data;
    const { panes, settings, colours } = data;
    const groups = settings.wipe && panes.length > 1 ? [panes.slice(0, 2)] : panes.map((pane) => [pane]);
    while (this.panes.length > groups.length) this.panes.pop().element.remove();
    while (this.panes.length < groups.length) this.panes.push(this.makePane());
    const legend = legendOf(new Set(panes.map((pane) => pane.mode)), panes.some((pane) => pane.reference), colours);
    this.root.querySelector(".legend").replaceWith(legend);
    this.arrange();
    groups.forEach((layers, index) => this.fill(this.panes[index], layers));
  }

  // As few rows as panes of a useful width need, and the panes of all rows as wide as the fullest row lets them be.
  arrange() {
    const rows = Math.ceil((this.panes.length * LEAST_PANE_PX) / Math.max(this.row.clientWidth, LEAST_PANE_PX));
    this.row.style.setProperty("--across", String(Math.ceil(this.panes.length / rows)));
    this.paintSoon();
  }

  makePane() {
    const element = document.createElement("div");
    element.className = "pane";
    element.innerHTML =
      '<canvas tabindex="0" role="img"></canvas><span class="name left"></span><span class="name right" hidden></span>' +
      '<div class="handle" role="slider" tabindex="0" aria-label="Wipe" aria-valuemin="0" aria-valuemax="100" hidden></div>' +
      '<span class="gone" hidden></span>';
    this.row.append(element);
    const part = (name) => element.querySelector(name);
    const pane = {
      element, canvas: part("canvas"), left: part(".left"), right: part(".right"), handle: part(".handle"),
      gone: part(".gone"), layers: [], loaded: [], overlays: new Map(), asked: "",
    };
    this.listen(pane);
    return pane;
  }

  async fill(pane, layers) {
    pane.layers = layers;
    pane.left.textContent = layers[0].title;
    pane.right.hidden = pane.handle.hidden = layers.length < 2;
    pane.right.textContent = layers[1]?.title ?? "";
    pane.canvas.setAttribute("aria-label", layers.map((layer) => layer.title).join(" against "));
    const asked = JSON.stringify(layers.map((layer) => [layer.image, layer.mask, layer.reference]));
    if (asked !== pane.asked) {
      pane.asked = asked;
      const load = (address) => (address ? loadPicture(address) : null);
      const loaded = await Promise.all(
        layers.map((layer) => Promise.all([load(layer.image), load(layer.mask), load(layer.reference)])),
      );
      if (pane.asked !== asked) return;
      pane.loaded = loaded;
    }
    pane.overlays.clear();
    const image = pane.loaded[0]?.[0];
    pane.gone.hidden = Boolean(image);
    pane.gone.textContent = pane.asked && pane.loaded.length ? "The image is gone" : "";
    if (image) {
      const height = this.data.settings.height_px;
      pane.element.style.setProperty("--ratio", String(image.width / image.height));
      pane.element.style.maxWidth = `${Math.round((height * image.width) / image.height)}px`;
    }
    this.paintSoon();
  }

  paintSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.panes.forEach((pane) => this.paint(pane)));
  }

  paint(pane) {
    const image = pane.loaded[0]?.[0];
    if (!image) return;
    const density = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(pane.canvas.clientWidth * density));
    const height = Math.max(1, Math.round(pane.canvas.clientHeight * density));
    if (pane.canvas.width !== width || pane.canvas.height !== height) Object.assign(pane.canvas, { width, height });
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
      this.paintLayer(context, pane, index, width, height);
      context.restore();
    });
    pane.handle.style.left = `${this.wipeAt * 100}%`;
    pane.handle.setAttribute("aria-valuenow", String(Math.round(this.wipeAt * 100)));
    this.root.querySelector(".zoom").textContent = `${Math.round(100 * (this.placeOf(image, width, height)[2] / image.width / density))} %`;
  }

  paintLayer(context, pane, index, width, height) {
    const [image, mask, reference] = pane.loaded[index];
    if (!image) return;
    const place = this.placeOf(image, width, height);
    context.imageSmoothingEnabled = place[2] < 2 * image.width; // zoomed in, a pixel is a square
    context.imageSmoothingQuality = "high";
    context.drawImage(image.bitmap, ...place);
    const { settings, colours } = this.data;
    const mode = pane.layers[index].mode;
    const leading = mask ?? reference;
    if (!leading) return;
    if (!pane.overlays.has(index)) {
      const shown = Math.max(0.05, this.placeOf(image, width, height, 1)[2] / leading.width);
      const overlay = mode === "side by side"
        ? drawMaskAlone(leading, mask ? levelOf(settings.threshold) : 128)
        : drawOverlay(mask, reference, mode, settings, colours, shown);
      pane.overlays.set(index, overlay);
    }
    const overlay = pane.overlays.get(index);
    context.imageSmoothingEnabled = false;
    if (overlay) context.drawImage(overlay, ...place);
  }

  // Where the image lies in the pane, in device pixels: [x, y, width, height].
  placeOf(image, width, height, zoom = this.view.zoom) {
    const scale = Math.min(width / image.width, height / image.height) * zoom;
    const shown = [image.width * scale, image.height * scale];
    return [width / 2 - this.view.x * shown[0], height / 2 - this.view.y * shown[1], ...shown];
  }

  listen(pane) {
    const { canvas, handle } = pane;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomAt(pane, event, Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
    });
    canvas.addEventListener("pointermove", (event) => this.drag(pane, event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("keydown", (event) => this.key(pane, event));
    handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = canvas.getBoundingClientRect();
      this.wipe((event.clientX - box.left) / box.width);
    });
    handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.wipe(this.wipeAt + step);
    });
  }

  drag(pane, event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const image = pane.loaded[0]?.[0];
    if (!image) return;
    if (this.pointers.size === 2) {
      const other = [...this.pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
      const apart = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
      this.zoomAt(pane, event, apart(event) / Math.max(1, apart(before)));
    } else {
      const [, , width, height] = this.placeOf(image, pane.canvas.clientWidth, pane.canvas.clientHeight);
      this.move(-(event.clientX - before.clientX) / width, -(event.clientY - before.clientY) / height);
    }
    this.pointers.set(event.pointerId, event);
  }

  zoomAt(pane, event, factor) {
    const image = pane.loaded[0]?.[0];
    if (!image) return;
    const box = pane.canvas.getBoundingClientRect();
    const point = [event.clientX - box.left, event.clientY - box.top];
    const before = this.placeOf(image, box.width, box.height);
    const held = [(point[0] - before[0]) / before[2], (point[1] - before[1]) / before[3]];
    this.view.zoom = Math.min(GREATEST_ZOOM, Math.max(1, this.view.zoom * factor));
    const after = this.placeOf(image, box.width, box.height);
    this.move(held[0] - (point[0] - after[0]) / after[2], held[1] - (point[1] - after[1]) / after[3]);
  }

  move(x, y) {
    const half = 0.5 / this.view.zoom;
    const keep = (value) => Math.min(1 - half, Math.max(half, value));
    this.view.x = keep(this.view.x + x);
    this.view.y = keep(this.view.y + y);
    this.paintSoon();
  }

  key(pane, event) {
    const step = 0.1 / this.view.zoom;
    const middle = pane.canvas.getBoundingClientRect();
    const at = { clientX: middle.left + middle.width / 2, clientY: middle.top + middle.height / 2 };
    const actions = {
      "+": () => this.zoomAt(pane, at, 1.25), "=": () => this.zoomAt(pane, at, 1.25), "-": () => this.zoomAt(pane, at, 0.8),
      0: () => this.reset(), ArrowLeft: () => this.move(-step, 0), ArrowRight: () => this.move(step, 0),
      ArrowUp: () => this.move(0, -step), ArrowDown: () => this.move(0, step),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  }

  wipe(share) {
    this.wipeAt = Math.min(1, Math.max(0, share));
    this.paintSoon();
  }

  reset() {
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.paintSoon();
  }
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root");
  let viewer = viewers.get(root);
  if (!viewer) viewers.set(root, (viewer = new Viewer(root)));
  viewer.update(data);
  return () => {
    viewer.resized.disconnect();
    viewers.delete(root);
    root.replaceChildren();
  };
}

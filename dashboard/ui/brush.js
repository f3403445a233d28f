// Drawing on the first pane of a viewer: brush, fill, polygon and box, in the image's own pixels.

const NEAR_PX = 9; // a click this near to a polygon's first point closes it
const LARGEST_PX = 512;

class Brush {
  constructor(viewer) {
    this.viewer = viewer;
    this.shape = "brush";
    this.value = this.lastClass = 1;
    this.size = null; // in pixels of the image
    this.opacity = 0.8;
    this.points = []; // of a polygon or box that is not closed yet
    this.canvas = document.createElement("canvas");
    this.canvas.className = "strokes";
    this.ring = Object.assign(document.createElement("div"), { className: "ring", hidden: true });
    this.place = Object.assign(document.createElement("div"), { className: "place", hidden: true });
    this.bar = new BrushBar(this, viewer.root.querySelector(".bar"));
    this.listening = new AbortController();
    const { signal } = this.listening;
    document.addEventListener("keydown", (event) => brushKey(this, event), { capture: true, signal });
    document.addEventListener("keyup", (event) => event.code === "Space" && this.setPanning(false), { capture: true, signal });
    document.addEventListener("visibilitychange", () => document.hidden && this.draft?.save(), { signal });
  }

  // Called whenever the viewer shows an image; `config` names the image that is drawn on.
  show(config) {
    const pane = this.viewer.panes[0];
    if (!pane) return;
    if (this.canvas.parentElement !== pane.canvas.parentElement) {
      pane.canvas.after(this.canvas);
      pane.element.querySelector(".frame").append(this.ring, this.place);
      pane.element.classList.add("brushed");
    }
    if (config.address !== this.config?.address) this.open(config);
    if (!config.classes.length) this.lastClass = LEFT_OUT;
    if (this.value < LEFT_OUT && !config.classes.length) this.value = LEFT_OUT;
    this.config = config;
    if (this.draft) this.draft.maskOf = config.mask_of;
    if (this.draft) this.layOver();
    this.bar.describe();
  }

  async open(config) {
    this.leave();
    try {
      const draft = await openDraft(config);
      if (this.config?.address !== config.address || this.listening.signal.aborted) return;
      this.draft = draft;
      this.size ??= Math.max(1, Math.round(Math.max(draft.raster.width, draft.raster.height) / 50));
      draft.tell = () => this.bar.describe();
      draft.wasStored = (revision) => {
        this.viewer.live?.ask();
        if (this.config.tells) this.viewer.stored({ address: config.address, revision });
      };
      draft.autosaveMs = this.viewer.live ? 0 : AUTOSAVE_MS;
      this.layOver();
      this.viewer.paintSoon();
    } catch (error) {
      this.bar.say(error.status ? error.message : "The connection to the app was lost.");
    }
    this.bar.describe();
  }

  // Store what was drawn; if that fails, the draft is kept for when the image is shown again.
  leave() {
    this.drop();
    if (this.draft) Object.assign(this.draft, { tell: () => {}, wasStored: () => this.viewer.live?.ask() });
    this.draft?.save();
    this.draft = null;
  }

  layOver() {
    const [loaded] = this.viewer.panes[0].loaded;
    const { raster } = this.draft;
    const { threshold } = this.viewer.data.settings;
    if (loaded) this.draft.undivided = this.config.classes.length > 2 && Boolean(loaded.mask && !loaded.classes);
    if (!loaded || (this.laid?.loaded === loaded && this.laid.threshold === threshold && this.laid.raster === raster)) return;
    this.laid = { loaded, threshold, raster };
    let below = null;
    this.draft.below = () => (below ??= classMapOf(loaded, threshold, raster.width, raster.height));
  }

  get ready() {
    return Boolean(this.draft && this.viewer.size && this.viewer.panes[0]?.loaded[0]?.image);
  }

  get isBrush() {
    return this.shape === "brush" || this.shape === "snap";
  }

  choose(value) {
    this.value = value;
    if (value < LEFT_OUT) this.lastClass = value;
    this.bar.describe();
  }

  use(shape) {
    this.drop();
    this.shape = shape;
    this.bar.describe();
    this.paint();
  }

  resize(factor) {
    if (this.size === null) return;
    const wanted = Math.round(this.size * factor);
    this.setSize(wanted === this.size ? this.size + Math.sign(factor - 1) : wanted);
  }

  setSize(size) {
    this.size = clamp(Math.round(size), 1, LARGEST_PX);
    this.placeRing();
    this.bar.describe();
  }

  setPanning(panning) {
    this.panning = panning;
    this.viewer.panes[0]?.element.classList.toggle("panning", panning);
  }

  undo() {
    this.step((raster) => raster.undo());
  }

  redo() {
    this.step((raster) => raster.redo());
  }

  step(act) {
    if (!this.ready || this.held) return;
    act(this.draft.raster);
    this.draft.changed();
    this.paint();
  }

  finish() {
    if (!this.ready || this.held || this.draft.undivided || !this.config.can_finish) return;
    this.draft.finish();
    this.paint();
  }

  isOn(pane) {
    return pane === this.viewer.panes[0];
  }

  double(pane) {
    if (this.isOn(pane) && this.points.length) this.closePolygon();
    return this.isOn(pane);
  }

  // What follows returns whether the pointer draws, and so neither pans nor pins.
  press(pane, event) {
    if (!this.isOn(pane)) return false;
    if (this.viewer.pointers.size > 1) return this.drop(); // the second finger: pan and zoom
    if (!this.ready || event.button === 1 || this.panning) return false;
    const point = this.pointAt(event);
    const value = event.button === 2 || event.ctrlKey ? UNTOUCHED : this.value;
    const { raster } = this.draft;
    if (this.shape === "polygon") this.addPoint(point);
    else if (this.shape === "fill") {
      if (isInside(point, raster)) this.drawStep(() => raster.fill(point, value, laidOver(this.draft.below(), raster.values)));
    } else {
      this.held = { value, last: this.snapped(point) };
      if (this.shape === "box") this.points = [point, point];
      raster.begin();
      if (this.isBrush) this.dab(point);
    }
    return true;
  }

  drag(pane, event) {
    if (!this.isOn(pane)) return false;
    this.pointer = event;
    this.placeRing();
    if (this.points.length) this.previewSoon(this.pointAt(event));
    if (!this.held) return !this.isBrush && this.ready && !this.panning && !(event.buttons & 4) && event.pointerType !== "touch";
    if (this.shape === "box") this.points[1] = this.pointAt(event);
    else for (const each of event.getCoalescedEvents?.() ?? [event]) this.dab(this.pointAt(each));
    return true;
  }

  lift(pane) {
    if (!this.isOn(pane)) return false;
    if (this.held) {
      const { value } = this.held;
      this.held = null;
      const { raster } = this.draft;
      if (this.shape === "box") {
        const [[left, top], [right, bottom]] = this.points;
        this.points = [];
        raster.polygon([[left, top], [right, top], [right, bottom], [left, bottom]], value);
        this.paint();
      }
      raster.end();
      this.draft.changed();
    }
    return true;
  }

  away() {
    this.pointer = null;
    this.placeRing();
  }

  // Give up what is being drawn.
  drop() {
    const busy = Boolean(this.held || this.points.length);
    if (this.held) this.draft.raster.cancel();
    this.held = null;
    this.points = [];
    if (busy) this.paint();
    return false;
  }

  dab(point) {
    const to = this.snapped(point);
    const area = this.shape === "snap" ? this.snapTo(to) : this.draft.raster.line(this.held.last, to, this.size, this.held.value);
    this.held.last = to;
    if (area) this.paintLater(area);
  }

  // Discs that stop at edges, along the way from the last point.
  snapTo(to) {
    const { last, value } = this.held;
    const [dx, dy] = [to[0] - last[0], to[1] - last[1]];
    const steps = Math.max(1, Math.ceil((4 * Math.hypot(dx, dy)) / this.size));
    const { bitmap } = this.viewer.panes[0].loaded[0].image;
    for (let step = 1; step <= steps; step++) {
      const region = withinEdges(bitmap, [last[0] + (dx * step) / steps, last[1] + (dy * step) / steps], this.size);
      if (region) this.paintLater(this.draft.raster.region(region, value));
    }
  }

  paintLater(area) {
    const { dirty } = this;
    const grown = (at) => (at < 2 ? Math.min : Math.max)(dirty[at], area[at]);
    this.dirty = dirty ? [0, 1, 2, 3].map(grown) : area;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.paint(this.dirty);
      this.dirty = null;
    });
  }

  drawStep(draw) {
    this.draft.inOneStep(draw);
    this.draft.changed();
    this.paint();
  }

  addPoint(point) {
    const [first] = this.points;
    const near = first && Math.hypot(first[0] - point[0], first[1] - point[1]) * this.scale() < NEAR_PX;
    if (near && this.points.length > 2) return this.closePolygon();
    this.points.push(point);
    this.paint();
  }

  closePolygon() {
    const points = this.points.splice(0);
    if (points.length > 2) this.drawStep(() => this.draft.raster.polygon(points, this.value));
    else this.paint();
  }

  removePoint() {
    this.points.pop();
    this.paint();
  }

  // A brush of an odd size is centred on a pixel, one of an even size between pixels.
  snapped(point) {
    return point.map((at) => (this.size % 2 ? Math.floor(at) + 0.5 : Math.round(at)));
  }

  // The place of a pointer in pixels of the image, with fractions.
  pointAt(event) {
    const box = this.viewer.panes[0].canvas.getBoundingClientRect();
    const place = this.viewer.placeIn(box.width, box.height);
    return [event.clientX - box.left - place[0], event.clientY - box.top - place[1]].map((at) => at / this.scale());
  }

  // The width of an image pixel in CSS pixels.
  scale() {
    const { canvas } = this.viewer.panes[0];
    return this.viewer.placeIn(canvas.clientWidth, canvas.clientHeight)[2] / this.viewer.size.width;
  }

  placeRing() {
    const { ring, pointer } = this;
    ring.hidden = !pointer || !this.ready || !this.isBrush || pointer.pointerType === "touch";
    if (ring.hidden) return;
    const box = this.viewer.panes[0].canvas.getBoundingClientRect();
    const wide = Math.max(3, this.size * this.scale());
    Object.assign(ring.style, { width: `${wide}px`, height: `${wide}px` });
    ring.style.transform = `translate(${pointer.clientX - box.left - wide / 2}px, ${pointer.clientY - box.top - wide / 2}px)`;
  }

  // Mark where to begin, until something is drawn.
  markPlace() {
    const { place, viewer } = this;
    const at = this.config.place;
    place.hidden = !at || !this.ready || this.bare || this.held || this.draft.raster.done.length > 0;
    if (place.hidden) return;
    const { canvas } = viewer.panes[0];
    const [left, top] = viewer.placeIn(canvas.clientWidth, canvas.clientHeight);
    const [x, y] = [left + (at[0] + 0.5) * this.scale(), top + (at[1] + 0.5) * this.scale()];
    place.style.transform = `translate(${x}px, ${y}px)`;
  }

  previewSoon(point) {
    cancelAnimationFrame(this.preview);
    this.preview = requestAnimationFrame(() => this.paint(null, point));
  }

  // Draw the layer at the resolution of the screen: all of it, or what shows an area of the image.
  paint(changed = null, hover = null) {
    const pane = this.viewer.panes[0];
    if (!pane) return;
    const { canvas, viewer, draft } = this;
    const { width, height } = pane.canvas;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    Object.assign(canvas.style, { width: pane.canvas.style.width, height: pane.canvas.style.height, opacity: this.opacity });
    const context = canvas.getContext("2d");
    if (!changed) context.clearRect(0, 0, width, height);
    canvas.hidden = Boolean(this.bare);
    this.place.hidden = true;
    if (!this.ready) return;
    const place = viewer.placeIn(width, height);
    paintStrokes(context, draft.raster, place, changed, this.shades(), Math.max(1, Math.round(window.devicePixelRatio || 1)));
    if (this.points.length) outlinePoints(context, this.shape, hover ? [...this.points, hover] : this.points, place, draft.raster);
    this.placeRing();
    this.markPlace();
  }

  // The colours inside and at the edge of what is drawn, by value + 1, so that 0 is untouched.
  shades() {
    const { colours } = this.config;
    const [inner, edge] = [175, 255].map((alpha) => {
      const shades = new Uint32Array(256);
      colours.forEach((code, index) => (shades[index + 1] = index ? pixelOf(rgbOf(code), alpha) : 0));
      shades[LEFT_OUT + 1] = pixelOf(rgbOf(this.viewer.data.colours.ignored), alpha);
      return shades;
    });
    if (!this.draft.raster.finished) edge[1] = pixelOf([255, 255, 255], 255); // else all the rest is background
    return { inner, edge };
  }

  close() {
    this.leave();
    this.listening.abort();
    cancelAnimationFrame(this.frame);
    this.canvas.remove();
    this.ring.remove();
    this.place.remove();
    this.bar.close();
    this.viewer.panes[0]?.element.classList.remove("brushed", "panning");
  }
}

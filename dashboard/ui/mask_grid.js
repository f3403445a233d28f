// The grid of tiles. A rerun updates the existing tiles instead of rebuilding them.

const PARTS = ["image", "mask", "classes", "reference", "reference_classes", "teacher", "teacher_classes", "clusters"];
const PAINT_MS = 12; // of a frame's 16

class Grid {
  constructor(root) {
    this.root = root;
    this.tiles = new Map();
    this.due = new Set(); // tiles to paint
    this.frame = null;
    this.legend = document.createElement("div");
    this.list = document.createElement("div");
    this.list.className = "grid";
    root.append(this.legend, this.list);
    this.seen = new IntersectionObserver((entries) => this.onSeen(entries), { rootMargin: "300px" });
    this.resized = new ResizeObserver(() => this.repaintSoon());
    this.resized.observe(this.list);
    this.clusters = new GridClusters(this);
    this.leave = followNews(() => this.given?.follows && this.showGiven());
  }

  // Draw the data of the script, with the masks of a newer epoch if there are any.
  give(data, choose) {
    this.choose = choose;
    this.given = data;
    this.clusters.given(data.ticks);
    this.showGiven();
  }

  showGiven() {
    const { masks = {}, classes = {} } = newsSince(this.given.follows) ?? {};
    const newest = (tile) => ({ ...tile, mask: masks[tile.id] ?? tile.mask, classes: tile.classes && (classes[tile.id] ?? tile.classes) });
    this.update({ ...this.given, tiles: this.given.tiles.map(newest) });
  }

  update(data) {
    this.data = data;
    const { settings, tiles, colours } = data;
    const across = this.panesAcross();
    this.list.style.setProperty("--tile", `${settings.tile_px * (0.4 + 0.6 * across)}px`);
    this.list.style.gridTemplateColumns = settings.columns ? `repeat(${settings.columns}, minmax(0, 1fr))` : "";
    this.list.style.setProperty("--aspect", String(settings.aspect * across));
    const legend = legendOf(settings.mode, tiles, settings.only_class, colours, settings.error_words ?? undefined);
    this.legend.replaceWith(legend);
    this.legend = legend;
    this.folder = commonFolder(tiles.map((tile) => tile.title));
    const wanted = new Set(tiles.map((tile) => tile.id));
    const turned = this.tiles.size > 0 && tiles.length > 0 && !tiles.some((tile) => this.tiles.has(tile.id));
    for (const [id, tile] of this.tiles) if (!wanted.has(id)) this.remove(id, tile);
    tiles.forEach((content, index) => {
      let tile = this.tiles.get(content.id);
      if (!tile) this.tiles.set(content.id, (tile = this.makeTile(content.id)));
      if (this.list.children[index] !== tile.element) this.list.insertBefore(tile.element, this.list.children[index] ?? null);
      this.describe(tile, content);
      this.refresh(tile);
    });
    // The page numbers are below the tiles, so the start of a new page may be above the visible area.
    if (turned && this.list.getBoundingClientRect().top < 0) this.list.scrollIntoView({ block: "start" });
  }

  panesAcross() {
    if (this.data.settings.mode !== "side by side") return 1;
    const most = Math.max(...this.data.tiles.map((tile) => [tile.teacher, tile.mask, tile.reference || tile.reference_classes].filter(Boolean).length));
    return Math.max(2, 1 + most);
  }

  makeTile(id) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = "tile";
    element.innerHTML =
      '<span class="frame"><canvas></canvas><span class="gone" hidden></span></span>' +
      '<span class="line"><span class="title"></span><span class="badge"></span></span><span class="subtitle"></span>';
    const part = (name) => element.querySelector(name);
    const tile = {
      id, element, frame: part(".frame"), canvas: part("canvas"), gone: part(".gone"), title: part(".title"),
      badge: part(".badge"), subtitle: part(".subtitle"), visible: false, loaded: null, asked: "", arrived: "", content: null,
    };
    element.addEventListener("click", (event) => {
      if (!this.clusters.pick(tile, event) && this.data.settings.selectable) this.choose(id);
    });
    this.clusters.listen(tile);
    element.dataset.id = id;
    this.seen.observe(element);
    return tile;
  }

  describe(tile, content) {
    const { settings } = this.data;
    tile.content = content;
    tile.title.textContent = content.title.slice(this.folder.length);
    tile.title.title = content.title;
    tile.subtitle.textContent = content.subtitle;
    tile.subtitle.hidden = !content.subtitle;
    tile.badge.textContent = content.badge;
    tile.badge.hidden = !content.badge;
    tile.badge.dataset.tone = content.tone;
    tile.element.classList.toggle("selected", content.id === settings.selected);
    tile.element.classList.toggle("left-out", content.left_out);
    if (settings.selectable) tile.element.setAttribute("aria-pressed", String(content.id === settings.selected));
    tile.element.disabled = !settings.selectable;
  }

  onSeen(entries) {
    for (const entry of entries) {
      const tile = this.tiles.get(entry.target.dataset.id);
      if (!tile) continue;
      tile.visible = entry.isIntersecting;
      if (tile.visible) this.refresh(tile);
    }
  }

  // Load the current content of a tile and draw it; the old content stays until it is loaded.
  async refresh(tile) {
    if (!tile.visible) return;
    const addresses = PARTS.map((part) => tile.content[part]);
    const asked = JSON.stringify(addresses);
    if (asked !== tile.asked || tile.loaded === null) {
      tile.asked = asked;
      if (!tile.loaded) tile.frame.classList.add("loading"); // not before: a tile out of sight would be animated, too
      const parts = addresses.map((address) => (address ? loadPicture(address) : null));
      if (!tile.loaded) this.paintFirst(tile, asked, parts[0]);
      const loaded = await Promise.all(parts);
      if (tile.asked !== asked) return;
      tile.loaded = Object.fromEntries(PARTS.map((part, index) => [part, loaded[index]]));
      tile.arrived = asked;
    }
    this.paintSoon(tile);
  }

  // A new tile shows its image without waiting for the masks.
  async paintFirst(tile, asked, part) {
    const image = await part;
    if (!image || tile.loaded || tile.asked !== asked) return;
    const context = this.clearCanvas(tile);
    const { width, height } = tile.canvas;
    context.drawImage(image.bitmap, ...fit(image, 0, 0, width / this.panesAcross(), height));
  }

  clearCanvas(tile) {
    const box = tile.frame.getBoundingClientRect();
    const density = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(box.width * density));
    const height = Math.max(1, Math.round(box.height * density));
    if (tile.canvas.width !== width || tile.canvas.height !== height) Object.assign(tile.canvas, { width, height });
    const context = tile.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    return context;
  }

  paint(tile) {
    const loaded = this.clusters.laidInto(tile);
    const { image, mask } = loaded;
    tile.frame.classList.remove("loading");
    const missing = !image ? "The image is gone" : tile.content.mask && !mask ? "No mask yet" : "";
    tile.gone.textContent = missing;
    tile.gone.hidden = !missing;
    tile.gone.classList.toggle("whole", !image);
    const context = this.clearCanvas(tile);
    const { width, height } = tile.canvas;
    if (!image) return;
    const { settings, colours } = this.data;
    if (settings.mode === "side by side") return this.paintBeside(context, width, height, tile);
    const place = fit(image, 0, 0, width, height);
    context.imageSmoothingEnabled = isSmooth(place, image);
    context.drawImage(image.bitmap, ...place);
    const leading = mask ?? loaded.reference ?? loaded.reference_classes;
    const scale = leading && place[2] / leading.width;
    const overlay = leading && drawOverlay(loaded, settings.mode, settings, colours, scale);
    context.imageSmoothingEnabled = false;
    if (overlay) context.drawImage(overlay, ...place);
    this.clusters.paint(context, tile, place);
  }

  paintBeside(context, width, height, tile) {
    const { image, mask, classes, reference, reference_classes, teacher, teacher_classes } = tile.loaded;
    const { settings, colours } = this.data;
    const across = this.panesAcross();
    const gap = Math.round(2 * (window.devicePixelRatio || 1));
    const each = (width - gap * (across - 1)) / across;
    const level = levelOf(settings.threshold);
    const alone = [[teacher, teacher_classes, 128], [mask, mask && classes, level], [reference, reference_classes, 128]];
    const put = (picture, index, smooth) => {
      const place = fit(picture, index * (each + gap), 0, each, height);
      context.imageSmoothingEnabled = smooth && isSmooth(place, picture);
      context.drawImage(picture, ...place);
    };
    put(image.bitmap, 0, true);
    const there = alone.filter(([levels, numbers]) => levels || numbers);
    there.forEach((part, index) => put(drawMaskAlone(...part, settings, colours), index + 1, false));
  }

  repaintSoon() {
    for (const tile of this.tiles.values()) if (tile.visible && tile.loaded) this.paintSoon(tile);
  }

  paintSoon(tile) {
    this.due.add(tile);
    this.frame ??= requestAnimationFrame(() => this.paintDue());
  }

  // A few tiles per frame, so that the numbers beside a slider need not wait for the tiles.
  paintDue() {
    this.frame = null;
    const until = performance.now() + PAINT_MS;
    for (const tile of this.due) {
      if (performance.now() > until) break;
      this.due.delete(tile);
      if (this.tiles.get(tile.id) === tile) this.paint(tile);
    }
    if (this.due.size) this.frame = requestAnimationFrame(() => this.paintDue());
  }

  remove(id, tile) {
    this.seen.unobserve(tile.element);
    tile.element.remove();
    this.tiles.delete(id);
  }

  close() {
    this.leave();
    this.clusters.close();
    this.seen.disconnect();
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
  }
}

// The folder in which all of these names lie, with its slash: it need not be repeated on each tile.
function commonFolder(names) {
  const folder = names[0]?.slice(0, names[0].lastIndexOf("/") + 1) ?? "";
  return names.every((name) => name.startsWith(folder)) ? folder : "";
}

// The place of an image that fits into a box: [x, y, width, height].
function fit(picture, left, top, width, height) {
  const scale = Math.min(width / picture.width, height / picture.height);
  const shownWidth = picture.width * scale;
  const shownHeight = picture.height * scale;
  return [left + (width - shownWidth) / 2, top + (height - shownHeight) / 2, shownWidth, shownHeight];
}

// From twice its size on, an image is drawn with visible pixels; below that they would have unequal sizes.
function isSmooth([, , width], picture) {
  return width < 2 * picture.width;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const choose = (id) => setTriggerValue("chosen", id);
  return mount(parentElement, (root) => new Grid(root), (grid) => grid.give(data, choose));
}

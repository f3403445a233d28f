// The cross at the same pixel in every pane: it follows the mouse, or stays where a click or the keyboard pinned it.

const CursorMoves = {
  pixelAt(pane, event) {
    const box = pane.canvas.getBoundingClientRect();
    const place = this.placeIn(box.width, box.height);
    const at = [event.clientX - box.left - place[0], event.clientY - box.top - place[1]];
    const found = at.map((value) => Math.floor((value / place[2]) * this.size.width));
    const inside = found[0] >= 0 && found[1] >= 0 && found[0] < this.size.width && found[1] < this.size.height;
    return inside ? found : null;
  },

  pointAt(pane, event) {
    if (!this.size || this.pinned || event.pointerType === "touch") return;
    this.setCursor(this.pixelAt(pane, event));
  },

  pointAway() {
    if (!this.pinned) this.setCursor(null);
  },

  // Pin the cross to a clicked pixel; a second click releases it.
  pinAt(pane, event) {
    if (!this.size) return;
    this.pinned = !this.pinned;
    if (this.pinned || event.pointerType !== "touch") this.setCursor(this.pixelAt(pane, event));
    else this.setCursor(null);
    this.pinned &&= this.cursor !== null;
  },

  // One image pixel, or one screen pixel if that is larger.
  moveCursor(x, y) {
    if (!this.size) return;
    const { width, height } = this.size;
    const step = Math.max(1, Math.round(1 / this.scale()));
    const [left, top] = this.cursor ?? [Math.floor(this.view.x * width) - x * step, Math.floor(this.view.y * height) - y * step];
    this.pinned = true;
    this.setCursor([clamp(left + x * step, 0, width - 1), clamp(top + y * step, 0, height - 1)], true);
    this.bringIntoSight();
  },

  bringIntoSight() {
    const half = 0.5 / this.view.zoom;
    const shares = [(this.cursor[0] + 0.5) / this.size.width, (this.cursor[1] + 0.5) / this.size.height];
    const beyond = (share, middle) => share - clamp(share, middle - half, middle + half);
    const [x, y] = [beyond(shares[0], this.view.x), beyond(shares[1], this.view.y)];
    if (x || y) this.move(x + Math.sign(x) * half * 0.2, y + Math.sign(y) * half * 0.2);
  },

  setCursor(cursor, aloud = false) {
    this.cursor = cursor;
    for (const pane of this.panes) this.placeCross(pane);
    this.showReadout(aloud);
  },

  showReadout(aloud) {
    const image = this.panes[0]?.loaded[0]?.image;
    if (!this.cursor || !image) return this.readout.clear();
    const rough = image.width < this.size.width;
    this.readout.show(this.cursor, image, this.size, rough, this.data.settings.threshold, aloud);
  },

  placeCross(pane) {
    const { canvas, cross } = pane;
    cross.hidden = !this.cursor;
    if (!this.cursor) return;
    const place = this.placeIn(canvas.clientWidth, canvas.clientHeight);
    const size = place[2] / this.size.width;
    const [x, y] = [0, 1].map((axis) => place[axis] + this.cursor[axis] * size);
    cross.style.setProperty("--pixel", `${Math.max(size, 3)}px`);
    cross.style.transform = `translate(${x + size / 2}px, ${y + size / 2}px)`;
    cross.classList.toggle("pinned", this.pinned);
  },
};

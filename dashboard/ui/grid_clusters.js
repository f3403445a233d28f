// Clusters in the tiles of a grid: the one pointed at is lit in all of them, a click ticks it, and until the script brings
// the masks of the newest ticks, masks are looked up in the map of clusters.

const LIT = pixelOf([255, 255, 255], 120);
const LIT_EDGE = pixelOf([255, 255, 255], 255);

class GridClusters {
  constructor(grid) {
    Object.assign(this, { grid, lit: null, ticks: null, answered: null, leaving: [] });
    const group = () => grid.given?.ticks?.group;
    const follow = (kind, show) => this.leaving.push(followTicks(kind, group, show));
    follow("lit", (number) => this.light(number));
    follow("ticks", (ticks) => {
      this.ticks = new Map(ticks);
      grid.repaintSoon();
    });
  }

  get group() {
    return this.grid.given?.ticks?.group;
  }

  // The masks of the script are those of its own ticks: only while these are older, or their pictures are on the way,
  // masks are looked up.
  given(ticks) {
    const order = (pairs) => JSON.stringify([...pairs].sort(([one], [other]) => one - other));
    const same = (own) => Boolean(own && ticks?.now && order(ticks.now) === order(own));
    if (same(this.ticks)) [this.answered, this.ticks] = [this.ticks, null];
    if (!ticks) this.ticks = null;
    if (!same(this.answered)) this.answered = null;
  }

  light(number) {
    if (this.lit === number) return;
    this.lit = number;
    this.grid.repaintSoon();
  }

  listen(tile) {
    const { canvas, element } = tile;
    canvas.addEventListener("pointermove", (event) => this.group && this.point(this.numberAt(tile, event)));
    canvas.addEventListener("pointerleave", () => this.group && this.point(null));
    element.addEventListener("dblclick", () => this.group && this.grid.choose(tile.id));
  }

  point(number) {
    if (number !== this.lit) tellTicks("lit", this.group, number);
  }

  // Whether a click on a tile ticked something; the keyboard and a click on the name open the tile.
  pick(tile, event) {
    if (!this.group || event.detail === 0 || event.composedPath()[0] !== tile.canvas) return false;
    const number = this.numberAt(tile, event);
    if (number !== null) tellTicks("picked", this.group, number);
    return true;
  }

  numberAt(tile, event) {
    const map = tile.loaded?.clusters;
    if (!map) return null;
    const box = tile.canvas.getBoundingClientRect();
    const [left, top, width, height] = fit(tile.loaded.image, 0, 0, box.width, box.height);
    const [x, y] = [(event.clientX - box.left - left) / width, (event.clientY - box.top - top) / height];
    if (x < 0 || y < 0 || x >= 1 || y >= 1) return null;
    return map.grey()[Math.floor(y * map.height) * map.width + Math.floor(x * map.width)];
  }

  // The pictures of a tile, with the mask of the newest ticks.
  laidInto({ loaded, arrived, asked }) {
    const map = loaded.clusters;
    const ticks = this.ticks ?? (arrived === asked ? null : this.answered);
    if (!map || !ticks) return loaded;
    const table = new Uint8Array(256);
    for (const [number, index] of ticks) table[number] = index;
    const numbers = map.grey().map((number) => table[number]);
    const { width, height } = map;
    const several = Math.max(...table) > 1 || loaded.classes;
    const mask = { width, height, grey: () => numbers.map((index) => (index ? 255 : 0)) };
    return { ...loaded, mask, classes: several ? { width, height, grey: () => numbers } : null };
  }

  paint(context, tile, place) {
    const map = tile.loaded.clusters;
    if (!map || this.lit === null) return;
    const { width, height } = map;
    const inside = map.grey().map((number) => (number === this.lit ? 1 : 0));
    const drawn = scratchContext(width, height);
    const picture = drawn.createImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < pixels.length; i++) {
      if (inside[i]) pixels[i] = atBorder(inside, i, i % width, Math.floor(i / width), width, height, 1) ? LIT_EDGE : LIT;
    }
    drawn.putImageData(picture, 0, 0);
    context.drawImage(drawn.canvas, ...place);
  }

  close() {
    this.leaving.forEach((leave) => leave());
  }
}

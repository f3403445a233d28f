// What is drawn on an image: one value for each of its pixels, with undo and redo for each stroke.

const [LEFT_OUT, UNTOUCHED] = [254, 255]; // as in engine/imaging/corrections.py
const TILE_PX = 64;
const UNDO_BYTES = 96e6;

class Raster {
  constructor(width, height, values = null) {
    Object.assign(this, { width, height, values: values ?? new Uint8Array(width * height).fill(UNTOUCHED) });
    this.finished = false; // the whole image was looked at
    this.done = []; // steps of undo, oldest first
    this.undone = [];
    this.step = null; // what is being drawn
    this.version = 0; // counts changes
  }

  // A step keeps what it changes as it was before: some tiles, or all values.
  begin() {
    this.step = { tiles: new Map(), all: null, finished: this.finished };
  }

  end() {
    const { step } = this;
    this.step = null;
    if (!step || (!step.tiles.size && !step.all && step.finished === this.finished)) return;
    this.done.push(step);
    this.undone = [];
    this.version += 1;
    const bytesOf = ({ tiles, all }) => tiles.size * TILE_PX ** 2 + (all?.length ?? 0);
    let bytes = this.done.reduce((sum, each) => sum + bytesOf(each), 0);
    while (bytes > UNDO_BYTES && this.done.length > 1) bytes -= bytesOf(this.done.shift());
  }

  cancel() {
    if (this.step) this.exchange(this.step);
    this.step = null;
  }

  undo() {
    this.move(this.done, this.undone);
  }

  redo() {
    this.move(this.undone, this.done);
  }

  move(from, to) {
    const step = from.pop();
    if (!step) return;
    this.exchange(step);
    to.push(step);
    this.version += 1;
  }

  exchange(step) {
    [this.finished, step.finished] = [step.finished, this.finished];
    if (step.all) [this.values, step.all] = [step.all, this.values];
    for (const [index, kept] of step.tiles) step.tiles.set(index, this.tile(index, kept));
  }

  // Return a copy of a tile; with `put`, that is put in its place.
  tile(index, put = null) {
    const across = Math.ceil(this.width / TILE_PX);
    const [left, top] = [(index % across) * TILE_PX, Math.floor(index / across) * TILE_PX];
    const wide = Math.min(TILE_PX, this.width - left);
    const copy = new Uint8Array(wide * Math.min(TILE_PX, this.height - top));
    for (let at = 0, from = top * this.width + left; at < copy.length; at += wide, from += this.width) {
      copy.set(this.values.subarray(from, from + wide), at);
      if (put) this.values.set(put.subarray(at, at + wide), from);
    }
    return copy;
  }

  // Keep what is inside of [left, top, right, bottom], the ends excluded, for undo; return it within the image.
  keep([left, top, right, bottom]) {
    const area = [Math.max(0, left), Math.max(0, top), Math.min(this.width, right), Math.min(this.height, bottom)];
    if (area[0] >= area[2] || area[1] >= area[3]) return null;
    const across = Math.ceil(this.width / TILE_PX);
    const [first, above, last, below] = [area[0], area[1], area[2] - 1, area[3] - 1].map((at) => Math.floor(at / TILE_PX));
    for (let row = above; row <= below; row++) {
      for (let column = first; column <= last; column++) {
        const index = row * across + column;
        if (!this.step.tiles.has(index)) this.step.tiles.set(index, this.tile(index));
      }
    }
    return area;
  }

  // A line from one point to another with round ends, `size` pixels wide. Return the area that changed.
  line(from, to, size, value) {
    const reach = size / 2;
    const [left, right] = [Math.min(from[0], to[0]) - reach, Math.max(from[0], to[0]) + reach];
    const [top, bottom] = [Math.min(from[1], to[1]) - reach, Math.max(from[1], to[1]) + reach];
    const area = this.keep([Math.floor(left), Math.floor(top), Math.ceil(right), Math.ceil(bottom)]);
    if (!area) return null;
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const length = dx * dx + dy * dy || 1;
    for (let y = area[1]; y < area[3]; y++) {
      for (let x = area[0], i = y * this.width + area[0]; x < area[2]; x++, i++) {
        const [px, py] = [x + 0.5 - from[0], y + 0.5 - from[1]];
        const along = clamp((px * dx + py * dy) / length, 0, 1);
        const [ox, oy] = [px - along * dx, py - along * dy];
        if (ox * ox + oy * oy <= reach * reach) this.values[i] = value;
      }
    }
    return area;
  }

  // The inside of a polygon of [x, y], by the even-odd rule at the middle of each pixel.
  polygon(points, value) {
    const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
    const area = this.keep([Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1].map(Math.floor));
    if (!area) return;
    for (let y = area[1]; y < area[3]; y++) {
      const level = y + 0.5;
      const crossed = [];
      points.forEach(([x, from], index) => {
        const [next, to] = points[(index + 1) % points.length];
        if (from <= level !== to <= level) crossed.push(x + ((level - from) / (to - from)) * (next - x));
      });
      crossed.sort((a, b) => a - b);
      for (let k = 0; k + 1 < crossed.length; k += 2) {
        const [start, end] = [crossed[k], crossed[k + 1]].map((x) => clamp(Math.ceil(x - 0.5), area[0], area[2]));
        this.values.fill(value, y * this.width + start, y * this.width + end);
      }
    }
  }

  // The region of equal values around a point: of what is drawn, or, if that is untouched up to the image's edge, of
  // `shown`, the mask with what is drawn over it.
  fill([x, y], value, shown) {
    const start = Math.floor(y) * this.width + Math.floor(x);
    const region = regionOf(this.values, this.width, this.height, start, this.values[start] === UNTOUCHED) ??
      regionOf(shown, this.width, this.height, start, false);
    this.keep(region.area);
    for (let i = 0; i < region.inside.length; i++) if (region.inside[i]) this.values[i] = value;
  }

  // Some pixels of an area. Return it.
  region({ area, inside }, value) {
    this.keep(area);
    for (let y = area[1], k = 0; y < area[3]; y++) {
      for (let x = area[0], i = y * this.width + x; x < area[2]; x++, i++, k++) if (inside[k]) this.values[i] = value;
    }
    return area;
  }

  // Put other values in place of all; nobody else may change them later.
  replace(values) {
    this.step.all = this.values;
    this.values = values;
  }
}

// Return {inside, area} of the pixels that are connected with pixel `start` by equal values; null if `inner` and they
// reach the edge of the image.
function regionOf(values, width, height, start, inner) {
  const inside = new Uint8Array(values.length);
  const wanted = values[start];
  const area = [width, height, 0, 0];
  const waiting = [start];
  const fits = (i) => !inside[i] && values[i] === wanted;
  while (waiting.length) {
    let left = waiting.pop();
    if (!fits(left)) continue;
    const y = Math.floor(left / width);
    const row = y * width;
    let right = left;
    while (left > row && fits(left - 1)) left--;
    while (right < row + width - 1 && fits(right + 1)) right++;
    if (inner && (left === row || right === row + width - 1 || y === 0 || y === height - 1)) return null;
    inside.fill(1, left, right + 1);
    area[0] = Math.min(area[0], left - row);
    area[1] = Math.min(area[1], y);
    area[2] = Math.max(area[2], right - row + 1);
    area[3] = Math.max(area[3], y + 1);
    for (const step of [-width, width]) {
      if (step < 0 ? y === 0 : y === height - 1) continue;
      for (let i = left + step; i <= right + step; i++) if (fits(i) && (i === left + step || !fits(i - 1))) waiting.push(i);
    }
  }
  return { inside, area };
}

// `drawn` where something is drawn, else `below`.
function laidOver(below, drawn) {
  const found = drawn.slice();
  for (let i = 0; i < found.length; i++) if (found[i] === UNTOUCHED) found[i] = below[i];
  return found;
}

// `drawn` where it differs from `other`, else untouched.
function differing(drawn, other) {
  const found = drawn.slice();
  for (let i = 0; i < found.length; i++) if (found[i] === other[i]) found[i] = UNTOUCHED;
  return found;
}

function isSame(first, second) {
  for (let i = 0; i < first.length; i++) if (first[i] !== second[i]) return false;
  return true;
}

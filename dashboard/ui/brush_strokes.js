// What is drawn, painted at the resolution of the screen: only what is seen, and of that only what changed.

const HATCH_PX = 8; // of the screen
const [PAPER, INK] = [pixelOf([255, 255, 255], 200), pixelOf([0, 0, 0], 90)];

function isInside([x, y], { width, height }) {
  return x >= 0 && y >= 0 && x < width && y < height;
}

// The class of each pixel of the mask that is shown, 0 for background, in the image's size.
function classMapOf({ mask, classes }, threshold, width, height) {
  if (!mask && !classes) return new Uint8Array(width * height);
  const [values, numbers] = [mask, classes].map((map) => map && valuesIn(map, [0, 0, width, height], { x: 0, y: 0, width, height }, new Map()));
  return classesOf(values, numbers, levelOf(threshold), null);
}

function paintStrokes(context, raster, place, changed, { inner, edge }, line) {
  const { width, height } = context.canvas;
  const whole = windowOf(place, width, height, 0);
  const scale = place[2] / raster.width;
  const area = whole && changed ? within(whole, changed.map((at, index) => place[index % 2] + at * scale), line + 1) : whole;
  if (!area) return;
  const outer = { x: area.x - line, y: area.y - line, width: area.width + 2 * line, height: area.height + 2 * line };
  const inside = drawnIn(raster, place, outer);
  const picture = context.createImageData(outer.width, outer.height);
  const pixels = new Uint32Array(picture.data.buffer);
  colourBy(pixels, inside, inner);
  hatch(pixels, inside, outer, !raster.finished);
  shadeBorder(pixels, inside, outer, line, false, edge);
  context.putImageData(picture, outer.x, outer.y, line, line, area.width, area.height);
}

// The part of a window that lies within [left, top, right, bottom] and `margin` pixels around; null if none does.
function within(area, [left, top, right, bottom], margin) {
  const x = Math.max(area.x, Math.floor(left) - margin);
  const y = Math.max(area.y, Math.floor(top) - margin);
  const width = Math.min(area.x + area.width, Math.ceil(right) + margin) - x;
  const height = Math.min(area.y + area.height, Math.ceil(bottom) + margin) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

// What is drawn under each pixel of the screen, plus 1, 0 for nothing. Where a pixel of the screen shows several of the
// image, up to nine are looked at, so that a thin line does not vanish.
function drawnIn(raster, place, area) {
  const scale = place[2] / raster.width;
  const samples = clamp(Math.round(1 / scale), 1, 3);
  const found = new Uint8Array(area.width * area.height);
  const axis = (start, count, most) => Array.from({ length: samples }, (_, sample) =>
    indices(start + (sample + 0.5) / samples - 0.5, count, scale, most));
  const columns = axis(area.x - place[0], area.width, raster.width);
  for (const rows of axis(area.y - place[1], area.height, raster.height)) {
    for (const across of columns) {
      for (let y = 0, i = 0; y < area.height; y++) {
        const start = rows[y] * raster.width;
        for (let x = 0; x < area.width; x++, i++) found[i] ||= raster.values[start + across[x]] + 1;
      }
    }
  }
  return found;
}

// Background and ignored pixels have no colour of a class: they are hatched, in one direction and in two.
function hatch(pixels, inside, area, background) {
  for (let y = 0, i = 0; y < area.height; y++) {
    for (let x = 0; x < area.width; x++, i++) {
      const ignored = inside[i] === LEFT_OUT + 1;
      if (!ignored && !(background && inside[i] === 1)) continue;
      const down = (area.x + x + area.y + y) & (HATCH_PX - 1);
      const up = (area.x + x - area.y - y) & (HATCH_PX - 1);
      if (down < 1 || (ignored && up < 1)) pixels[i] = PAPER;
      else if (down < 2 || (ignored && up < 2)) pixels[i] = INK;
    }
  }
}

// A polygon or box that is not closed yet.
function outlinePoints(context, shape, points, place, raster) {
  const scale = place[2] / raster.width;
  const [first, ...others] = points.map(([x, y]) => [place[0] + x * scale, place[1] + y * scale]);
  const path = new Path2D();
  if (shape === "box") path.rect(...first, others[0][0] - first[0], others[0][1] - first[1]);
  else {
    path.moveTo(...first);
    others.forEach((point) => path.lineTo(...point));
    [first, ...others].forEach(([x, y]) => path.rect(x - 2, y - 2, 4, 4));
  }
  for (const [colour, wide] of [["#000", 4], ["#fff", 2]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: wide });
    context.stroke(path);
  }
}

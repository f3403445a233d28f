// A brush that stops at edges: of the disc under the pointer it paints what has the colour of the middle.

const SAME_COLOUR = 24; // of 255: less apart than this, the disc is one region
const CORE = 0.3; // of the disc's radius: where the colour is taken from

// Return {area, inside} of the pixels to paint around a point of an image; null outside of it. The colours of the disc
// are divided in two by their distance from those of the middle (Otsu, "A threshold selection method from gray-level
// histograms", 1979, doi:10.1109/TSMC.1979.4310076), and what is connected with the middle is painted.
function withinEdges(bitmap, [x, y], size) {
  const reach = size / 2;
  const area = [Math.floor(x - reach), Math.floor(y - reach), Math.ceil(x + reach), Math.ceil(y + reach)];
  [area[0], area[1]] = [Math.max(0, area[0]), Math.max(0, area[1])];
  [area[2], area[3]] = [Math.min(bitmap.width, area[2]), Math.min(bitmap.height, area[3])];
  const [width, height] = [area[2] - area[0], area[3] - area[1]];
  if (width <= 0 || height <= 0) return null;
  const context = scratchContext(width, height);
  context.drawImage(bitmap, area[0], area[1], width, height, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height).data;
  const away = Float32Array.from({ length: width * height }, (_, i) =>
    Math.hypot(area[0] + (i % width) + 0.5 - x, area[1] + Math.floor(i / width) + 0.5 - y));
  const core = Math.max(1, reach * CORE);
  const middle = meanColour(pixels, away, core);
  if (!middle) return null;
  const apart = new Uint8Array(away.length);
  const counts = new Uint32Array(256);
  for (let i = 0; i < apart.length; i++) {
    const [red, green, blue] = [pixels[4 * i] - middle[0], pixels[4 * i + 1] - middle[1], pixels[4 * i + 2] - middle[2]];
    apart[i] = Math.max(Math.abs(red), Math.abs(green), Math.abs(blue));
    if (away[i] <= reach) counts[apart[i]] += 1;
  }
  const limit = dividing(counts);
  const fits = Uint8Array.from(apart, (value, i) => (away[i] <= reach && value <= limit ? 1 : 0));
  const inside = new Uint8Array(fits.length);
  const waiting = [];
  const visit = (i) => {
    if (!fits[i] || inside[i]) return;
    inside[i] = 1;
    waiting.push(i);
  };
  for (let i = 0; i < fits.length; i++) if (away[i] <= core) visit(i);
  while (waiting.length) {
    const i = waiting.pop();
    if (i % width) visit(i - 1);
    if ((i + 1) % width) visit(i + 1);
    if (i >= width) visit(i - width);
    if (i + width < fits.length) visit(i + width);
  }
  return { area, inside };
}

function meanColour(pixels, away, core) {
  const sum = [0, 0, 0];
  let count = 0;
  for (let i = 0; i < away.length; i++) {
    if (away[i] > core) continue;
    for (let channel = 0; channel < 3; channel++) sum[channel] += pixels[4 * i + channel];
    count += 1;
  }
  return count ? sum.map((value) => value / count) : null;
}

// The greatest distance that still belongs to the middle: 255 if the two sides of the best division are alike.
function dividing(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const weighted = counts.reduce((sum, count, value) => sum + count * value, 0);
  const best = { spread: 0, limit: 255, apart: 0 };
  let [below, sum] = [0, 0];
  for (let value = 0; value < 255; value++) {
    below += counts[value];
    sum += counts[value] * value;
    if (!below || below === total) continue;
    const apart = (weighted - sum) / (total - below) - sum / below;
    const spread = below * (total - below) * apart * apart;
    if (spread > best.spread) Object.assign(best, { spread, limit: value, apart });
  }
  return best.apart > SAME_COLOUR ? best.limit : 255;
}

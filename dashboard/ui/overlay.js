// Loading images and drawing a mask over an image. Shared by the mask grid and the viewer.

const KEPT_BYTES = 160e6;
const kept = new Map(); // key -> promise of an image, least recently used first
let keptBytes = 0;
let ask = (address) => fetch(address, { credentials: "same-origin" });

// An image is {bitmap, width, height, bytes, grey()}; null where the server has none.
function loadPicture(address) {
  return loadOnce(address, () => fetchPicture(address));
}

// Return the cached promise of a key, or that of `fetchIt()`. The `bytes` of its result count for the cache size.
function loadOnce(key, fetchIt) {
  const known = kept.get(key);
  if (known) {
    kept.delete(key);
    kept.set(key, known);
    return known;
  }
  const promise = fetchIt().then((picture) => {
    if (picture === null) kept.delete(key); // it may exist later: fetch again next time
    else keptBytes += picture.bytes;
    forgetOldest();
    return picture;
  });
  kept.set(key, promise);
  return promise;
}

async function fetchPicture(address) {
  try {
    const response = await ask(address);
    if (!response.ok) {
      await response.body?.cancel(); // an unread response keeps its connection open
      return null;
    }
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const bitmap = await createImageBitmap(await response.blob(), options);
    const { width, height } = bitmap;
    let values = null;
    const grey = () => (values ??= greyValues(bitmap, width, height));
    return { bitmap, width, height, bytes: 5 * width * height, grey };
  } catch {
    return null;
  }
}

function forgetOldest() {
  for (const [key, promise] of kept) {
    if (keptBytes <= KEPT_BYTES || kept.size <= 8) return;
    kept.delete(key);
    promise.then((picture) => { if (picture) keptBytes -= picture.bytes; });
  }
}

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

// The context of a shared canvas, valid until the next call: creating one for each of many images takes longer than
// drawing them. It is in main memory, not on a graphics card, so that reading it is fast.
let scratch = null;
function scratchContext(width, height) {
  scratch ??= canvasOf(width, height).getContext("2d", { willReadFrequently: true });
  Object.assign(scratch.canvas, { width, height }); // this also clears it
  return scratch;
}

// The red channel of an image at the given size, nearest neighbour.
function greyValues(bitmap, width, height) {
  const context = scratchContext(width, height);
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height).data;
  const values = new Uint8Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = pixels[4 * i];
  return values;
}

// The same threshold rule as in engine/imaging/metrics.py.
function levelOf(threshold) {
  return Math.ceil(threshold * 255 - 1e-6);
}

function rgbOf(code) {
  return [1, 3, 5].map((start) => parseInt(code.slice(start, start + 2), 16));
}

// Stops of the magma colour map (Smith and van der Walt, 2015): dark is 0, light is 1, perceptually uniform.
const MAGMA = ["#000004", "#221150", "#5f187f", "#982d80", "#d3436e", "#f8765c", "#febb81", "#fcfdbf"].map(rgbOf);

function magma(value) {
  const position = (value / 255) * (MAGMA.length - 1);
  const index = Math.min(Math.floor(position), MAGMA.length - 2);
  const part = position - index;
  return MAGMA[index].map((low, channel) => Math.round(low + part * (MAGMA[index + 1][channel] - low)));
}
const MAGMA_TABLE = Array.from({ length: 256 }, (_, value) => magma(value));

// Whether pixel i lies within `reach` of the border of its region, on the inside.
function atBorder(inside, i, x, y, width, height, reach) {
  if (x < reach || y < reach || x >= width - reach || y >= height - reach) return false;
  return !inside[i - reach] || !inside[i + reach] || !inside[i - reach * width] || !inside[i + reach * width];
}

// Which pixels are at least `level`, 0 or 1 each.
function maskOf(values, level) {
  const inside = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) inside[i] = values[i] >= level ? 1 : 0;
  return inside;
}

// A colour in the format of ImageData: red in the lowest byte, opacity in the highest (browsers' machines are little endian).
function pixelOf([red, green, blue], opacity) {
  return ((opacity << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// Return a canvas of the mask's size with the overlay of the image, or null when there is nothing to draw.
// It is valid until the next call.
function drawOverlay(mask, reference, mode, settings, colours, pixelsPerMaskPixel) {
  const leading = mask ?? (mode === "outline" || mode === "fill" ? reference : null);
  if (!leading || mode === "image") return null;
  const { width, height } = leading;
  const values = leading.grey();
  const inMask = mask ? maskOf(values, levelOf(settings.threshold)) : null;
  let inReference = null;
  if (reference && (mode === "errors" || mode === "outline")) {
    const same = reference.width === width && reference.height === height;
    inReference = maskOf(same ? reference.grey() : greyValues(reference.bitmap, width, height), 128);
  } else if (!mask) {
    inReference = maskOf(values, 128);
  }
  const alpha = Math.round(255 * settings.opacity);
  const edge = Math.round(255 * Math.min(1, settings.opacity * 1.8));
  const reach = Math.max(1, Math.round(1.4 / pixelsPerMaskPixel));
  const colour = (name, opacity) => pixelOf(rgbOf(colours[name]), opacity);
  const context = scratchContext(width, height);
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const atEdge = (inside, i) => atBorder(inside, i, i % width, Math.floor(i / width), width, height, reach);
  if (mode === "probability") {
    const shades = MAGMA_TABLE.map((shade) => pixelOf(shade, alpha));
    for (let i = 0; i < pixels.length; i++) pixels[i] = shades[values[i]];
  } else if (mode === "outline") {
    const [ofMask, ofReference] = [colour("mask", 255), colour("fn", 255)];
    for (let i = 0; i < pixels.length; i++) {
      if (inMask?.[i] && atEdge(inMask, i)) pixels[i] = ofMask;
      else if (inReference?.[i] && atEdge(inReference, i)) pixels[i] = ofReference;
    }
  } else if (mode === "errors" && inReference && inMask) {
    const kinds = [0, colour("fn", alpha), colour("fp", alpha), colour("tp", alpha)];
    for (let i = 0; i < pixels.length; i++) pixels[i] = kinds[2 * inMask[i] + inReference[i]];
  } else {
    const inside = inMask ?? inReference;
    const [inner, outer] = [alpha, edge].map((opacity) => colour(inMask ? "mask" : "fn", opacity));
    for (let i = 0; i < pixels.length; i++) if (inside[i]) pixels[i] = atEdge(inside, i) ? outer : inner;
  }
  context.putImageData(picture, 0, 0);
  return context.canvas;
}

// Return a canvas with only a mask, white on black, to show it beside its image. It is valid until the next call.
function drawMaskAlone(mask, level) {
  const values = mask.grey();
  const context = scratchContext(mask.width, mask.height);
  const picture = context.createImageData(mask.width, mask.height);
  const pixels = new Uint32Array(picture.data.buffer);
  const [white, black] = [pixelOf([255, 255, 255], 255), pixelOf([16, 16, 16], 255)];
  for (let i = 0; i < values.length; i++) pixels[i] = values[i] >= level ? white : black;
  context.putImageData(picture, 0, 0);
  return context.canvas;
}

const ERROR_WORDS = ["right", "extra (false positive)", "missed (false negative)"];

function legendOf(modes, hasReference, colours, errorWords = ERROR_WORDS) {
  const entries = [];
  if (modes.has("errors") && hasReference) {
    [colours.tp, colours.fp, colours.fn].forEach((colour, index) => entries.push([errorWords[index], colour]));
  }
  if (modes.has("outline") && hasReference) entries.push(["mask", colours.mask], ["reference", colours.fn]);
  const legend = document.createElement("div");
  legend.className = "legend";
  for (const [words, colour] of entries) {
    const entry = document.createElement("span");
    const swatch = document.createElement("i");
    swatch.style.background = colour;
    entry.append(swatch, words);
    legend.append(entry);
  }
  legend.hidden = entries.length === 0;
  return legend;
}

// Loading pictures and drawing a mask over an image. Shared by the mask grid and the viewer.

const KEPT_BYTES = 160e6;
const kept = new Map(); // address -> promise of a picture, oldest use first
let keptBytes = 0;

// A picture is {bitmap, width, height, grey()}; null where the server has none.
function loadPicture(address) {
  const known = kept.get(address);
  if (known) {
    kept.delete(address);
    kept.set(address, known);
    return known;
  }
  const promise = fetchPicture(address).then((picture) => {
    if (picture === null) kept.delete(address); // it may come yet: ask again next time
    else keptBytes += picture.width * picture.height * 5;
    forgetOldest();
    return picture;
  });
  kept.set(address, promise);
  return promise;
}

async function fetchPicture(address) {
  try {
    const response = await fetch(address, { credentials: "same-origin" });
    if (!response.ok) {
      await response.body?.cancel(); // an answer left unread keeps its connection
      return null;
    }
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const bitmap = await createImageBitmap(await response.blob(), options);
    let values = null;
    const grey = () => (values ??= greyValues(bitmap, bitmap.width, bitmap.height));
    return { bitmap, width: bitmap.width, height: bitmap.height, grey };
  } catch {
    return null;
  }
}

function forgetOldest() {
  for (const [address, promise] of kept) {
    if (keptBytes <= KEPT_BYTES || kept.size <= 8) return;
    kept.delete(address);
    promise.then((picture) => { if (picture) keptBytes -= picture.width * picture.height * 5; });
  }
}

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

// The red channel of a picture, nearest neighbour at the size wanted.
function greyValues(bitmap, width, height) {
  const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height).data;
  const values = new Uint8Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = pixels[4 * i];
  return values;
}

// The one rule for thresholds, as engine/metrics.py has it.
function levelOf(threshold) {
  return Math.ceil(threshold * 255 - 1e-6);
}

function rgbOf(code) {
  return [1, 3, 5].map((start) => parseInt(code.slice(start, start + 2), 16));
}

// Stops of the magma colour map (Smith and van der Walt, 2015): dark is 0, light is 1, even in lightness.
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

// Return a canvas in the mask's own size with what is to lie over the image, or null when there is nothing to draw.
function drawOverlay(mask, reference, mode, settings, colours, pixelsPerMaskPixel) {
  const leading = mask ?? (mode === "outline" || mode === "fill" ? reference : null);
  if (!leading || mode === "image") return null;
  const { width, height } = leading;
  const level = levelOf(settings.threshold);
  const values = leading.grey();
  const inMask = mask ? values.map((value) => +(value >= level)) : null;
  let inReference = null;
  if (reference && (mode === "errors" || mode === "outline")) {
    const same = reference.width === width && reference.height === height;
    inReference = (same ? reference.grey() : greyValues(reference.bitmap, width, height)).map((value) => +(value >= 128));
  } else if (!mask) {
    inReference = values.map((value) => +(value >= 128));
  }
  const canvas = canvasOf(width, height);
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const colour = { mask: rgbOf(colours.mask), tp: rgbOf(colours.tp), fp: rgbOf(colours.fp), fn: rgbOf(colours.fn) };
  const alpha = Math.round(255 * settings.opacity);
  const edge = Math.round(255 * Math.min(1, settings.opacity * 1.8));
  const reach = Math.max(1, Math.round(1.4 / pixelsPerMaskPixel));
  const put = (i, [red, green, blue], opacity) => {
    picture.data[4 * i] = red;
    picture.data[4 * i + 1] = green;
    picture.data[4 * i + 2] = blue;
    picture.data[4 * i + 3] = opacity;
  };
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (mode === "probability") {
        put(i, MAGMA_TABLE[values[i]], alpha);
      } else if (mode === "outline") {
        if (inMask?.[i] && atBorder(inMask, i, x, y, width, height, reach)) put(i, colour.mask, 255);
        else if (inReference?.[i] && atBorder(inReference, i, x, y, width, height, reach)) put(i, colour.fn, 255);
      } else if (mode === "errors" && inReference) {
        if (inMask[i]) put(i, inReference[i] ? colour.tp : colour.fp, alpha);
        else if (inReference[i]) put(i, colour.fn, alpha);
      } else {
        const inside = inMask ?? inReference;
        const shade = inMask ? colour.mask : colour.fn;
        if (inside[i]) put(i, shade, atBorder(inside, i, x, y, width, height, reach) ? edge : alpha);
      }
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

// Return a canvas with a mask alone, white on black, for showing it beside its image.
function drawMaskAlone(mask, level) {
  const canvas = canvasOf(mask.width, mask.height);
  const context = canvas.getContext("2d");
  const picture = context.createImageData(mask.width, mask.height);
  const values = mask.grey();
  for (let i = 0; i < values.length; i++) {
    const shade = values[i] >= level ? 255 : 16;
    picture.data.set([shade, shade, shade, 255], 4 * i);
  }
  context.putImageData(picture, 0, 0);
  return canvas;
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

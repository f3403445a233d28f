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

const DASH_PX = 4; // of the screen

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
  const [own, row] = [inside[i], reach * width];
  return inside[i - reach] !== own || inside[i + reach] !== own || inside[i - row] !== own || inside[i + row] !== own;
}

const IGNORE = 255; // the class of pixels that are left out of training and scores

// How a pixel's class compares with the reference's: an index of the colours of `errorColours`.
const [NEITHER, MISSED, EXTRA, RIGHT, WRONG] = [0, 1, 2, 3, 4];
function errorKind(predicted, actual) {
  if (actual === IGNORE) return NEITHER;
  if (predicted === actual) return predicted ? RIGHT : NEITHER;
  if (!predicted) return MISSED;
  return actual ? WRONG : EXTRA;
}

const DIMMED = pixelOf([0, 0, 0], 150);

// Darken what is outside of the mask, so that the eye finds what is inside.
function dimOutside(pixels, inside) {
  for (let i = 0; i < pixels.length; i++) if (!inside[i] && !pixels[i]) pixels[i] = DIMMED;
}

function errorColours(colours, opacity) {
  const { fn, fp, tp, wrong } = colours;
  return Uint32Array.from([0, ...[fn, fp, tp, wrong].map((code) => pixelOf(rgbOf(code), opacity))]);
}

// Which pixels are at least `level`, 0 or 1 each.
function maskOf(values, level) {
  const inside = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) inside[i] = values[i] >= level ? 1 : 0;
  return inside;
}

// The class of each pixel, 0 for background: foreground, `values` from `level` on, has its class number, or 1 without
// `numbers`. Numbers without values say it all. With `only`, any other class is background.
function classesOf(values, numbers, level, only) {
  if (!numbers) return maskOf(values, level);
  const found = new Uint8Array(numbers.length);
  for (let i = 0; i < found.length; i++) {
    const wanted = !only || numbers[i] === only || numbers[i] === IGNORE;
    if (wanted && (!values || values[i] >= level)) found[i] = numbers[i];
  }
  return found;
}

// A colour in the format of ImageData: red in the lowest byte, opacity in the highest (browsers' machines are little endian).
function pixelOf([red, green, blue], opacity) {
  return ((opacity << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// The pixel of each class at an opacity, transparent for background; `single` is the colour where classes have no numbers.
function classShades(numbers, colours, single, opacity) {
  if (!numbers) return new Uint32Array(256).fill(pixelOf(rgbOf(single), opacity), 1);
  const codes = colours.classes.map((code) => pixelOf(rgbOf(code), opacity));
  const shades = Uint32Array.from({ length: 256 }, (_, index) => (index ? codes[(index - 1) % codes.length] : 0));
  shades[IGNORE] = pixelOf(rgbOf(colours.ignored), opacity);
  return shades;
}

// Whether the line through a pixel is drawn there, if it is dashed.
function inDash(x, y, length) {
  return !(Math.floor((x + y) / length) & 1);
}

// Return a canvas of the mask's size with the overlay of the image, or null when there is nothing to draw.
// It is valid until the next call. `parts` are the pictures of a tile: mask, classes, reference and reference_classes.
function drawOverlay(parts, mode, settings, colours, pixelsPerMaskPixel) {
  const { mask, classes } = parts;
  const reference = parts.reference ?? parts.reference_classes;
  const leading = mask ?? (mode === "outline" || mode === "fill" ? reference : null);
  if (!leading || mode === "image") return null;
  const { width, height } = leading;
  const sized = (picture) => {
    if (!picture) return null;
    return picture.width === width && picture.height === height ? picture.grey() : greyValues(picture.bitmap, width, height);
  };
  const only = settings.only_class;
  const inMask = mask ? classesOf(mask.grey(), sized(classes), levelOf(settings.threshold), only) : null;
  const drawsReference = reference && (!mask || mode === "errors" || mode === "outline");
  const inReference = drawsReference ? classesOf(sized(parts.reference), sized(parts.reference_classes), 128, only) : null;
  const alpha = Math.round(255 * settings.opacity);
  const edge = Math.round(255 * Math.min(1, settings.opacity * 1.8));
  const reach = Math.max(1, Math.round(1.4 / pixelsPerMaskPixel));
  const ofMask = (opacity) => classShades(classes, colours, colours.mask, opacity);
  const ofReference = (opacity) => classShades(parts.reference_classes, colours, colours.fn, opacity);
  const context = scratchContext(width, height);
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const atEdge = (inside, i) => atBorder(inside, i, i % width, Math.floor(i / width), width, height, reach);
  if (mode === "probability") {
    const values = leading.grey();
    const shades = MAGMA_TABLE.map((shade) => pixelOf(shade, alpha));
    for (let i = 0; i < pixels.length; i++) pixels[i] = shades[values[i]];
  } else if (mode === "outline") {
    const [maskLine, referenceLine] = [ofMask(255), ofReference(255)];
    const dash = parts.reference_classes && mask ? DASH_PX / pixelsPerMaskPixel : Infinity;
    for (let i = 0; i < pixels.length; i++) {
      if (inMask?.[i] && atEdge(inMask, i)) pixels[i] = maskLine[inMask[i]];
      else if (inReference?.[i] && atEdge(inReference, i) && inDash(i % width, Math.floor(i / width), dash)) {
        pixels[i] = referenceLine[inReference[i]];
      }
    }
  } else if (mode === "errors" && inReference && inMask) {
    const kinds = errorColours(colours, alpha);
    for (let i = 0; i < pixels.length; i++) pixels[i] = kinds[errorKind(inMask[i], inReference[i])];
  } else {
    const inside = inMask ?? inReference;
    const [inner, outer] = [alpha, edge].map(inMask ? ofMask : ofReference);
    for (let i = 0; i < pixels.length; i++) if (inside[i]) pixels[i] = (atEdge(inside, i) ? outer : inner)[inside[i]];
  }
  if (settings.dims && inMask && (mode === "fill" || mode === "outline")) dimOutside(pixels, inMask);
  context.putImageData(picture, 0, 0);
  return context.canvas;
}

// Return a canvas with only a mask on black, to show it beside its image: white, or its classes in their colours. It is
// valid until the next call.
function drawMaskAlone(mask, classes, level, settings, colours) {
  const { width, height } = mask ?? classes;
  const numbers = classes && (mask ? greyValues(classes.bitmap, width, height) : classes.grey());
  const inside = classesOf(mask?.grey(), numbers, level, settings.only_class);
  const context = scratchContext(width, height);
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const shades = aloneShades(classes, colours);
  for (let i = 0; i < pixels.length; i++) pixels[i] = shades[inside[i]];
  context.putImageData(picture, 0, 0);
  return context.canvas;
}

function aloneShades(numbers, colours) {
  const shades = classShades(numbers, colours, "#ffffff", 255);
  shades[0] = pixelOf([16, 16, 16], 255);
  return shades;
}

const ERROR_WORDS = ["right", "extra (false positive)", "missed (false negative)"];

// The legend of mode "errors": [words, colour] each. `several` is whether a pixel can have the wrong class.
function errorEntries(words, several, colours) {
  const [right, ...others] = [colours.tp, colours.fp, colours.fn].map((colour, index) => [words[index], colour]);
  return [right, ...(several ? [["wrong class", colours.wrong]] : []), ...others];
}

// The legend of mode "outline" where lines have the colours of their classes.
const LINES = [
  ["mask", "linear-gradient(currentColor 0 0) center / 100% 2px no-repeat"],
  ["reference (dashed)", "repeating-linear-gradient(90deg, currentColor 0 3px, transparent 3px 6px) center / 100% 2px no-repeat"],
];

// The legend of tiles: [words, colour] of what is compared with a reference.
function legendOf(mode, tiles, onlyClass, colours, errorWords = ERROR_WORDS) {
  const compared = tiles.filter((tile) => tile.reference || tile.reference_classes);
  const apart = compared.filter((tile) => tile.reference_classes);
  const entries = [];
  if (mode === "errors" && compared.length) {
    entries.push(...errorEntries(errorWords, apart.some((tile) => tile.classes) && !onlyClass, colours));
  } else if (mode === "outline" && compared.some((tile) => tile.mask)) {
    entries.push(tiles.some((tile) => tile.classes) ? LINES[0] : ["mask", colours.mask]);
    if (apart.length) entries.push(LINES[1]);
    if (apart.length < compared.length) entries.push(["reference", colours.fn]);
  }
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

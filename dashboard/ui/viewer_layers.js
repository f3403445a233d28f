// The overlays of an image, drawn at screen resolution: only the visible part, sharp at any zoom.

const STRIP_PIXELS = 1e6; // read at a time, so that large images do not block the page

// A map is a grey image as bytes, {width, height, bytes, levels}: level k holds means over squares of 2^k pixels.
function loadMap(address) {
  return loadOnce(`map ${address}`, async () => {
    const picture = await fetchPicture(address);
    if (!picture) return null;
    const { bitmap, width, height } = picture;
    const levels = [{ width, height, values: await greyInStrips(bitmap) }];
    bitmap.close(); // free four bytes per pixel
    while (levels.at(-1).width * levels.at(-1).height > STRIP_PIXELS) {
      await pause();
      levels.push(halved(levels.at(-1)));
    }
    return { width, height, bytes: 1.4 * width * height, levels };
  });
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve));
}

async function greyInStrips(bitmap) {
  const { width, height } = bitmap;
  const tall = Math.max(1, Math.min(height, Math.floor(STRIP_PIXELS / width)));
  const context = canvasOf(width, tall).getContext("2d", { willReadFrequently: true });
  const values = new Uint8Array(width * height);
  for (let top = 0; top < height; top += tall) {
    if (top) await pause();
    const rows = Math.min(tall, height - top);
    context.drawImage(bitmap, 0, top, width, rows, 0, 0, width, rows);
    const pixels = context.getImageData(0, 0, width, rows).data;
    for (let i = 0, at = top * width; i < width * rows; i++, at++) values[at] = pixels[4 * i];
  }
  return values;
}

// The level whose pixels are closest to a screen pixel: `shown` is the width of a map's pixel in screen pixels.
function levelFor(map, shown) {
  const wanted = Math.max(0, Math.round(Math.log2(1 / shown)));
  while (map.levels.length <= wanted) map.levels.push(halved(map.levels.at(-1)));
  return { step: 2 ** wanted, ...map.levels[wanted] };
}

function halved({ width, height, values }) {
  const [across, down] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const means = new Uint8Array(across * down);
  for (let y = 0, i = 0; y < down; y++) {
    const upper = 2 * y * width;
    const lower = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < across; x++, i++) {
      const left = 2 * x;
      const right = Math.min(left + 1, width - 1);
      means[i] = (values[upper + left] + values[upper + right] + values[lower + left] + values[lower + right] + 2) >> 2;
    }
  }
  return { width: across, height: down, values: means };
}

// The screen pixels that show the image, with a margin beyond the canvas so that lines there have neighbours.
function windowOf(place, width, height, margin) {
  const first = (start, least) => Math.max(-margin, Math.ceil(start - 0.5), least);
  const x = first(place[0], -margin);
  const y = first(place[1], -margin);
  const right = Math.min(width + margin, Math.ceil(place[0] + place[2] - 0.5));
  const bottom = Math.min(height + margin, Math.ceil(place[1] + place[3] - 0.5));
  return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : null;
}

// The values of a map under each pixel of a window, nearest neighbour. `seen` keeps them for the other panes of a frame.
function valuesIn(map, place, area, seen) {
  return once(seen, map, [area, place], () => {
    const level = levelFor(map, place[2] / map.width);
    const columns = indices(area.x - place[0], area.width, (place[2] / map.width) * level.step, level.width);
    const rows = indices(area.y - place[1], area.height, (place[3] / map.height) * level.step, level.height);
    const values = new Uint8Array(area.width * area.height);
    for (let y = 0, i = 0; y < area.height; y++) {
      const start = rows[y] * level.width;
      for (let x = 0; x < area.width; x++, i++) values[i] = level.values[start + columns[x]];
    }
    return values;
  });
}

// Return the result of `make()` for an object and a key; the result of the last key is cached in the Map `seen`.
function once(seen, thing, key, make) {
  const asked = JSON.stringify(key);
  const known = seen.get(thing);
  if (known?.asked === asked) return known.made;
  const made = make();
  seen.set(thing, { asked, made });
  return made;
}

// The index among `most` squares of width `size` for each of `count` screen pixels, the first of them at `start`.
function indices(start, count, size, most) {
  const found = new Int32Array(count);
  for (let i = 0; i < count; i++) found[i] = clamp(Math.floor((start + i + 0.5) / size), 0, most - 1);
  return found;
}

function clamp(value, least, greatest) {
  return Math.min(greatest, Math.max(least, value));
}

// Give each pixel the shade of its index.
function colourBy(pixels, indices, shades) {
  const table = Uint32Array.from(shades);
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[indices[i]];
}

// Shade where `inside` begins (its own pixels) or, with `outer`, ends (the pixels around it), `reach` pixels wide.
function shadeBorder(pixels, inside, area, reach, outer, shade) {
  const { width, height } = area;
  const wanted = outer ? 0 : 1;
  const beyond = 0; // outside of the image
  const row = reach * width;
  for (let y = 0, i = 0; y < height; y++) {
    const [above, below] = [y >= reach, y + reach < height];
    for (let x = 0; x < width; x++, i++) {
      if (inside[i] !== wanted) continue;
      if (
        (x >= reach ? inside[i - reach] : beyond) !== wanted || (x + reach < width ? inside[i + reach] : beyond) !== wanted ||
        (above ? inside[i - row] : beyond) !== wanted || (below ? inside[i + row] : beyond) !== wanted
      ) pixels[i] = shade;
    }
  }
}

// Draw a layer's mask and reference over the image at `place` ([x, y, width, height] in pixels of the canvas). `seen`
// is a Map for one frame.
function paintOverlay(context, mask, reference, mode, settings, colours, place, density, seen) {
  const line = Math.max(1, Math.round(density));
  const area = windowOf(place, context.canvas.width, context.canvas.height, 2 * line);
  const leading = mask ?? reference;
  if (!area || !leading || mode === "image") return;
  const canvas = canvasOf(area.width, area.height);
  const target = canvas.getContext("2d");
  const picture = target.createImageData(area.width, area.height);
  const pixels = new Uint32Array(picture.data.buffer);
  const alpha = Math.round(255 * settings.opacity);
  const within = (map, level) => {
    const values = map && valuesIn(map, place, area, seen);
    return values && once(seen, values, level, () => maskOf(values, level));
  };
  const inMask = within(mask, levelOf(settings.threshold));
  const inReference = !mask || mode === "errors" || mode === "outline" ? within(reference, 128) : null;
  if (mode === "probability") {
    colourBy(pixels, valuesIn(leading, place, area, seen), MAGMA_TABLE.map((shade) => pixelOf(shade, alpha)));
  } else if (mode === "outline") {
    shadeContours(pixels, inMask, inReference, area, line, colours);
  } else if (mode === "errors" && inMask && inReference) {
    const kinds = inMask.map((value, i) => 2 * value + inReference[i]);
    colourBy(pixels, kinds, [0, ...[colours.fn, colours.fp, colours.tp].map((code) => pixelOf(rgbOf(code), alpha))]);
  } else if (mode === "side by side") {
    colourBy(pixels, inMask ?? inReference, [pixelOf([16, 16, 16], 255), pixelOf([255, 255, 255], 255)]);
  } else {
    const shade = rgbOf(inMask ? colours.mask : colours.fn);
    const edge = Math.round(255 * Math.min(1, settings.opacity * 1.8));
    colourBy(pixels, inMask ?? inReference, [0, pixelOf(shade, alpha)]);
    shadeBorder(pixels, inMask ?? inReference, area, line, false, pixelOf(shade, edge));
  }
  target.putImageData(picture, 0, 0);
  context.drawImage(canvas, area.x, area.y);
}

// Contours are drawn in screen pixels: the mask's just inside its border and the reference's just outside, so that both
// are visible where they agree. A dark line beside each makes it visible on a background of the same colour.
function shadeContours(pixels, inMask, inReference, area, line, colours) {
  const lines = [[inReference, true, colours.fn], [inMask, false, colours.mask]].filter(([inside]) => inside);
  for (const [inside, outer] of lines) shadeBorder(pixels, inside, area, 2 * line, outer, pixelOf([0, 0, 0], 110));
  for (const [inside, outer, code] of lines) shadeBorder(pixels, inside, area, line, outer, pixelOf(rgbOf(code), 255));
}

// The legend of the panes. If colours differ in meaning, each entry has the name of its pane.
function viewerLegend(panes, colours) {
  const meanings = new Map(); // legend of a pane -> its first title
  for (const pane of panes) {
    if (pane.mode !== "errors" || !pane.mask || !pane.reference) continue;
    const words = (pane.words ?? ERROR_WORDS).map((text, index) => [text, [colours.tp, colours.fp, colours.fn][index]]);
    meanings.set(JSON.stringify(words), pane.title);
  }
  const entries = [...meanings].flatMap(([words, title]) => [...(meanings.size > 1 ? [[title, null]] : []), ...JSON.parse(words)]);
  const outlined = panes.filter((pane) => pane.mode === "outline");
  if (outlined.some((pane) => pane.mask)) entries.push(["mask", colours.mask]);
  if (outlined.some((pane) => pane.reference)) entries.push(["reference", colours.fn]);
  if (panes.some((pane) => pane.mode === "probability")) {
    entries.push(["0 to 1", `linear-gradient(90deg, ${MAGMA.map((shade) => `rgb(${shade.join(" ")})`).join(", ")})`]);
  }
  const legend = document.createElement("div");
  legend.className = "legend";
  legend.hidden = entries.length === 0;
  for (const [words, colour] of entries) {
    const entry = document.createElement(colour ? "span" : "b");
    entry.append(words);
    if (colour) {
      const swatch = document.createElement("i");
      swatch.style.background = colour;
      swatch.classList.toggle("scale", colour.startsWith("linear"));
      entry.prepend(swatch);
    }
    legend.append(entry);
  }
  return legend;
}

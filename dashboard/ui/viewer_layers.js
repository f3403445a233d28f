// The overlays of an image, drawn at screen resolution: only the visible part, sharp at any zoom.

const STRIP_PIXELS = 1e6; // read at a time, so that large images do not block the page

// A map is a grey image as bytes, {width, height, bytes, levels}: level k holds means over squares of 2^k pixels, or of
// class numbers, `numbers`, one of the square's.
function loadMap(address, numbers) {
  return loadOnce(`${numbers ? "numbers" : "map"} ${address}`, async () => {
    const picture = await fetchPicture(address);
    if (!picture) return null;
    const { bitmap, width, height } = picture;
    const levels = [{ width, height, values: await greyInStrips(bitmap) }];
    bitmap.close(); // free four bytes per pixel
    while (levels.at(-1).width * levels.at(-1).height > STRIP_PIXELS) {
      await pause();
      levels.push(halved(levels.at(-1), numbers));
    }
    return { width, height, bytes: 1.4 * width * height, levels, numbers };
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
  while (map.levels.length <= wanted) map.levels.push(halved(map.levels.at(-1), map.numbers));
  return { step: 2 ** wanted, ...map.levels[wanted] };
}

function halved({ width, height, values }, numbers) {
  const [across, down] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const means = new Uint8Array(across * down);
  for (let y = 0, i = 0; y < down; y++) {
    const upper = 2 * y * width;
    const lower = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < across; x++, i++) {
      const left = 2 * x;
      const right = Math.min(left + 1, width - 1);
      if (numbers) means[i] = values[upper + left];
      else means[i] = (values[upper + left] + values[upper + right] + values[lower + left] + values[lower + right] + 2) >> 2;
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

// Shade where a class of `inside` begins (its own pixels) or, with `outer`, ends (the pixels around it), `reach` pixels
// wide; between two classes it is the greater that ends. `shades` has the shade of each class, `dash` the length of
// dashes, without end for a whole line.
function shadeBorder(pixels, inside, area, reach, outer, shades, dash = Infinity) {
  const { width, height } = area;
  const beyond = 0; // outside of the image
  const row = reach * width;
  for (let y = 0, i = 0; y < height; y++) {
    const [above, below] = [y >= reach, y + reach < height];
    for (let x = 0; x < width; x++, i++) {
      const own = inside[i];
      if (!outer && !own) continue;
      const left = x >= reach ? inside[i - reach] : beyond;
      const right = x + reach < width ? inside[i + reach] : beyond;
      const up = above ? inside[i - row] : beyond;
      const down = below ? inside[i + row] : beyond;
      if (left === own && right === own && up === own && down === own) continue;
      const line = outer ? Math.max(left, right, up, down) : own;
      if ((!outer || line > own) && inDash(x, y, dash)) pixels[i] = shades[line];
    }
  }
}

// Draw a layer over the image at `place` ([x, y, width, height] in pixels of the canvas). `maps` are its mask, classes,
// reference, reference_classes and doubt; `seen` is a Map for one frame.
function paintOverlay(context, maps, mode, settings, colours, place, density, seen) {
  const line = Math.max(1, Math.round(density));
  const area = windowOf(place, context.canvas.width, context.canvas.height, 2 * line);
  const { mask, classes } = maps;
  const leading = mode === "doubt" ? maps.doubt : (mask ?? maps.reference ?? maps.reference_classes);
  if (!area || !leading || mode === "image") return;
  const canvas = canvasOf(area.width, area.height);
  const target = canvas.getContext("2d");
  const picture = target.createImageData(area.width, area.height);
  const pixels = new Uint32Array(picture.data.buffer);
  const alpha = Math.round(255 * settings.opacity);
  const within = (levels, numbers, level) => {
    if (!levels && !numbers) return null;
    const [values, classNumbers] = [levels, numbers].map((map) => map && valuesIn(map, place, area, seen));
    const key = [level, settings.only_class, Boolean(numbers)];
    return once(seen, values ?? classNumbers, key, () => classesOf(values, classNumbers, level, settings.only_class));
  };
  const inMask = mask ? within(mask, classes, levelOf(settings.threshold)) : null;
  const drawsReference = !mask || mode === "errors" || mode === "outline";
  const inReference = drawsReference ? within(maps.reference, maps.reference_classes, 128) : null;
  const inside = inMask ?? inReference;
  const ofMask = (opacity) => classShades(classes, colours, colours.mask, opacity);
  const ofReference = (opacity) => classShades(maps.reference_classes, colours, colours.fn, opacity);
  if (mode === "probability" || mode === "doubt") {
    colourBy(pixels, valuesIn(leading, place, area, seen), MAGMA_TABLE.map((shade) => pixelOf(shade, alpha)));
  } else if (mode === "outline") {
    const dash = maps.reference_classes && mask ? DASH_PX * density : Infinity;
    shadeContours(pixels, [[inReference, true, ofReference(255), dash], [inMask, false, ofMask(255)]], area, line);
  } else if (mode === "errors" && inMask && inReference) {
    colourBy(pixels, inMask.map((value, i) => errorKind(value, inReference[i])), errorColours(colours, alpha));
  } else if (mode === "side by side") {
    colourBy(pixels, inside, aloneShades(inMask ? classes : maps.reference_classes, colours));
  } else {
    const shades = inMask ? ofMask : ofReference;
    const edge = Math.round(255 * Math.min(1, settings.opacity * 1.8));
    colourBy(pixels, inside, shades(alpha));
    shadeBorder(pixels, inside, area, line, false, shades(edge));
  }
  if (settings.dims && inMask && (mode === "fill" || mode === "outline")) dimOutside(pixels, inMask);
  target.putImageData(picture, 0, 0);
  context.drawImage(canvas, area.x, area.y);
}

const DARK = new Uint32Array(256).fill(pixelOf([0, 0, 0], 110));

// Contours are drawn in screen pixels: the mask's just inside its border and the reference's just outside, so that both
// are visible where they agree. A dark line beside each makes it visible on a background of the same colour.
function shadeContours(pixels, contours, area, line) {
  const lines = contours.filter(([inside]) => inside);
  for (const [inside, outer] of lines) shadeBorder(pixels, inside, area, 2 * line, outer, DARK);
  for (const [inside, outer, shades, dash] of lines) shadeBorder(pixels, inside, area, line, outer, shades, dash);
}

// The one class that a pane shows, if any: its own, or that of all panes.
function onlyClass(pane, settings) {
  return pane.only_class ?? settings.only_class;
}

// The legend of the panes. If colours differ in meaning, each entry has the name of its pane.
function viewerLegend(panes, settings, colours) {
  const meanings = new Map(); // legend of a pane -> its first title
  for (const pane of panes) {
    if (pane.mode !== "errors" || !pane.mask || !(pane.reference || pane.reference_classes)) continue;
    const words = errorEntries(pane.words ?? ERROR_WORDS, pane.classes && !onlyClass(pane, settings), colours);
    meanings.set(JSON.stringify(words), pane.title);
  }
  const entries = [...meanings].flatMap(([words, title]) => [...(meanings.size > 1 ? [[title, null]] : []), ...JSON.parse(words)]);
  const outlined = panes.filter((pane) => pane.mode === "outline");
  const inClasses = outlined.some((pane) => pane.mask && pane.reference_classes);
  if (inClasses) entries.push(...LINES);
  else if (outlined.some((pane) => pane.mask && !pane.classes)) entries.push(["mask", colours.mask]);
  if (outlined.some((pane) => pane.reference && !pane.reference_classes)) entries.push(["reference", colours.fn]);
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
      swatch.classList.toggle("scale", words === "0 to 1");
      entry.prepend(swatch);
    }
    legend.append(entry);
  }
  return legend;
}

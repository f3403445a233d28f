// What lies over an image, drawn at the resolution of the screen: only the part in sight, and as sharp at any zoom.

// A map is a grey picture as bytes, {width, height, bytes, levels}: level k holds means over squares of 2^k pixels.
function loadMap(address) {
  return loadOnce(`map ${address}`, async () => {
    const picture = await fetchPicture(address);
    if (!picture) return null;
    const { width, height } = picture;
    const levels = [{ width, height, values: picture.grey() }];
    picture.bitmap.close(); // four bytes a pixel that nothing needs any more
    return { width, height, bytes: 1.4 * width * height, levels };
  });
}

// The level whose pixels come closest to one pixel of the screen: `shown` is how many of those a map's pixel takes.
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

// The pixels of the screen that show the image, with a margin beyond the canvas so that lines there have neighbours.
function windowOf(place, width, height, margin) {
  const first = (start, least) => Math.max(-margin, Math.ceil(start - 0.5), least);
  const x = first(place[0], -margin);
  const y = first(place[1], -margin);
  const right = Math.min(width + margin, Math.ceil(place[0] + place[2] - 0.5));
  const bottom = Math.min(height + margin, Math.ceil(place[1] + place[3] - 0.5));
  return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : null;
}

// The values of a map under each pixel of a window, nearest neighbour.
function valuesIn(map, place, area) {
  const level = levelFor(map, place[2] / map.width);
  const indices = (start, length, count, from, shown) => {
    const size = (shown / length) * level.step; // of a level's pixel, on the screen
    return Int32Array.from({ length: count }, (_, i) => Math.floor((from + i + 0.5 - start) / size));
  };
  const columns = indices(place[0], map.width, area.width, area.x, place[2]).map((at) => clamp(at, 0, level.width - 1));
  const rows = indices(place[1], map.height, area.height, area.y, place[3]).map((at) => clamp(at, 0, level.height - 1));
  const found = new Uint8Array(area.width * area.height);
  for (let y = 0, i = 0; y < area.height; y++) {
    const start = rows[y] * level.width;
    for (let x = 0; x < area.width; x++, i++) found[i] = level.values[start + columns[x]];
  }
  return found;
}

function clamp(value, least, greatest) {
  return Math.min(greatest, Math.max(least, value));
}

// Four bytes of a pixel as the one number that stands in memory for them.
function packed([red, green, blue], alpha) {
  return new Uint32Array(new Uint8ClampedArray([red, green, blue, alpha]).buffer)[0];
}

// Mark where `inside` begins (its own pixels) or, with `outer`, ends (the pixels around it), `reach` pixels wide.
function markBorder(inside, area, reach, outer, mark) {
  const { width, height } = area;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const here = inside[i];
      if (Boolean(here) === outer) continue;
      const differs =
        (x >= reach ? inside[i - reach] !== here : !outer) || (x + reach < width ? inside[i + reach] !== here : !outer) ||
        (y >= reach ? inside[i - reach * width] !== here : !outer) ||
        (y + reach < height ? inside[i + reach * width] !== here : !outer);
      if (differs) mark(i);
    }
  }
}

// Draw a layer's mask and reference over the image at `place` ([x, y, width, height] in pixels of the canvas).
// A contour is drawn in the pixels of the screen: the mask's just inside its border, the reference's just outside, so
// that both are seen where they agree.
function paintOverlay(context, mask, reference, mode, settings, colours, place, density) {
  const line = Math.max(1, Math.round(density));
  const area = windowOf(place, context.canvas.width, context.canvas.height, 2 * line);
  const leading = mask ?? reference;
  if (!area || !leading || mode === "image") return;
  const canvas = canvasOf(area.width, area.height);
  const target = canvas.getContext("2d");
  const picture = target.createImageData(area.width, area.height);
  const pixels = new Uint32Array(picture.data.buffer);
  const alpha = Math.round(255 * settings.opacity);
  const level = levelOf(settings.threshold);
  const values = valuesIn(leading, place, area);
  const inMask = mask ? values.map((value) => +(value >= level)) : null;
  const compared = reference && (mode === "errors" || mode === "outline");
  const inReference = compared || !mask ? (mask ? valuesIn(reference, place, area) : values).map((value) => +(value >= 128)) : null;
  const paint = (shadeOf) => {
    for (let i = 0; i < pixels.length; i++) pixels[i] = shadeOf(i);
  };
  if (mode === "probability") {
    const shades = MAGMA_TABLE.map((shade) => packed(shade, alpha));
    paint((i) => shades[values[i]]);
  } else if (mode === "outline") {
    const lines = [[inReference, true, colours.fn], [inMask, false, colours.mask]].filter(([inside]) => inside);
    const dark = packed([0, 0, 0], 110); // beside the line, so that it is seen on ground of its own colour
    for (const [inside, outer] of lines) markBorder(inside, area, 2 * line, outer, (i) => (pixels[i] = dark));
    for (const [inside, outer, code] of lines) {
      const shade = packed(rgbOf(code), 255);
      markBorder(inside, area, line, outer, (i) => (pixels[i] = shade));
    }
  } else if (mode === "errors" && inMask && inReference) {
    const shades = [0, ...[colours.fn, colours.fp, colours.tp].map((code) => packed(rgbOf(code), alpha))];
    paint((i) => shades[2 * inMask[i] + inReference[i]]);
  } else if (mode === "side by side") {
    const shades = [packed([16, 16, 16], 255), packed([255, 255, 255], 255)];
    paint((i) => shades[(inMask ?? inReference)[i]]);
  } else {
    const code = rgbOf(inMask ? colours.mask : colours.fn);
    const [shade, edge] = [packed(code, alpha), packed(code, Math.round(255 * Math.min(1, settings.opacity * 1.8)))];
    const inside = inMask ?? inReference;
    paint((i) => (inside[i] ? shade : 0));
    markBorder(inside, area, line, false, (i) => (pixels[i] = edge));
  }
  target.putImageData(picture, 0, 0);
  context.drawImage(canvas, area.x, area.y);
}

// What the colours of the panes mean. Where panes mean different things by them, each meaning stands after its pane's name.
function viewerLegend(panes, colours) {
  const meanings = new Map(); // the words of a pane -> its first title
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

// The line with the values of the pixel under the pointer or the cursor, from images that are already loaded.

const READOUT_HINT = "Point at a pixel to read it; click keeps it. Shift + arrows move the cross from the keyboard.";
const DRAWING_HINT = "Point at a pixel to read it.";

class Readout {
  constructor(element, spoken) {
    this.element = element;
    this.spoken = spoken; // for screen readers: only after keyboard input
    this.point = canvasOf(1, 1).getContext("2d", { willReadFrequently: true });
    this.maps = [];
    this.clear();
  }

  // `readings` are {name, address, kind, classes, levels}.
  async load(readings) {
    const load = async (reading) => {
      const [map, levels] = await Promise.all([
        loadMap(reading.address, reading.kind === "class"), reading.levels ? loadMap(reading.levels) : null,
      ]);
      return { ...reading, map, levels };
    };
    this.maps = await Promise.all(readings.map(load));
  }

  // While people draw, a click keeps no pixel.
  setDrawing(drawing) {
    if (drawing === this.drawing) return;
    this.drawing = drawing;
    this.clear();
  }

  clear() {
    this.element.replaceChildren(this.drawing ? DRAWING_HINT : READOUT_HINT);
    this.element.classList.add("idle");
  }

  // `cursor` is [x, y] in image pixels, `rough` whether only a smaller copy of the image is loaded.
  show(cursor, image, full, rough, threshold, aloud) {
    const [x, y] = cursor;
    const about = rough ? "≈ " : "";
    const parts = [["x", String(x)], ["y", String(y)]];
    const [red, green, blue] = this.colourAt(cursor, image, full);
    parts.push(["RGB", `${about}${red} ${green} ${blue}`, `rgb(${red} ${green} ${blue})`]);
    for (const reading of this.maps) {
      if (!reading.map) continue;
      const out = reading.levels && valueAt(reading.levels, cursor, full) < levelOf(threshold);
      const value = out ? 0 : valueAt(reading.map, cursor, full);
      parts.push([reading.name, about + inWords(reading, value, threshold)]);
    }
    this.element.classList.remove("idle");
    this.element.replaceChildren(...parts.map(readingElement));
    if (aloud) this.spoken.textContent = parts.map(([name, words]) => `${name} ${words}`).join(", ");
  }

  colourAt([x, y], image, full) {
    this.point.imageSmoothingEnabled = false;
    const at = [Math.floor((x + 0.5) * (image.width / full.width)), Math.floor((y + 0.5) * (image.height / full.height))];
    this.point.drawImage(image.bitmap, ...at, 1, 1, 0, 0, 1, 1);
    return this.point.getImageData(0, 0, 1, 1).data;
  }
}

function valueAt(map, [x, y], full) {
  const column = Math.floor((x + 0.5) * (map.width / full.width));
  const row = Math.floor((y + 0.5) * (map.height / full.height));
  return map.levels[0].values[row * map.width + column];
}

function inWords({ kind, classes }, value, threshold) {
  if (kind === "class") return `${value} ${classes[value] ?? (value === IGNORE ? "ignored" : "no class")}`;
  if (kind === "mask") return value >= 128 ? "foreground" : "background";
  const share = (value / 255).toFixed(3);
  if (kind === "share") return share;
  return `${share} ${value >= levelOf(kind === "label" ? 0.5 : threshold) ? "in" : "out"}`;
}

function readingElement([name, words, colour]) {
  const element = document.createElement("span");
  element.dataset.name = name;
  const label = document.createElement("b");
  label.textContent = name;
  const value = document.createElement("output");
  value.setAttribute("aria-live", "off");
  value.textContent = words;
  element.append(label, value);
  if (colour) {
    const swatch = document.createElement("i");
    swatch.style.background = colour;
    element.append(swatch);
  }
  return element;
}

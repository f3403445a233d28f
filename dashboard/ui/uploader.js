// Uploads files, folders and zips, a few at a time, each streamed by the browser.

const AT_ONCE = 4;
const TRIES = 3;
const MOST_IGNORED = 100;
const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|bmp|gif|avif)$/i;
const JUNK = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/i;

class Uploader {
  constructor(root) {
    this.root = root;
    root.innerHTML = `
      <div class="zone">
        <div class="idle">
          <strong class="label"></strong>
          <div class="choices">
            <button type="button" class="files primary">Choose files</button>
            <button type="button" class="folder">Choose a folder</button>
          </div>
        </div>
        <div class="busy" hidden>
          <div class="bar"><div class="fill"></div></div>
          <div class="line"><span class="text" aria-live="polite"></span><button type="button" class="cancel">Cancel</button></div>
        </div>
        <input type="file" class="pick-files" multiple hidden>
        <input type="file" class="pick-folder" webkitdirectory multiple hidden>
      </div>
      <div class="result" role="status"></div>
      <div class="chosen" hidden>
        <div class="line"><strong class="text" aria-live="polite"></strong><button type="button" class="clear">Remove all</button></div>
        <ul class="list"></ul>
      </div>`;
    this.part = (name) => root.querySelector(name);
    const [pickFiles, pickFolder] = [this.part(".pick-files"), this.part(".pick-folder")];
    this.part(".files").addEventListener("click", () => pickFiles.click());
    this.part(".folder").addEventListener("click", () => pickFolder.click());
    for (const input of [pickFiles, pickFolder]) {
      input.addEventListener("change", () => {
        this.send([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
        input.value = "";
      });
    }
    this.part(".cancel").addEventListener("click", () => this.cancel());
    this.part(".clear").addEventListener("click", () => this.clear());
    this.part(".list").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.remove(button.dataset.name);
    });
    const zone = this.part(".zone");
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", async (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      if (!this.sending) this.send(await droppedFiles(event.dataTransfer));
    });
    this.ignored = [];
    this.pictures = new Map(); // name on the server -> address of the file's own picture
    this.changes = 0;
  }

  update(data, setState) {
    this.data = data;
    this.setState = setState;
    this.part(".label").textContent = data.label;
    this.list();
    if (!this.asked) this.takeUp();
  }

  // Tells the page which upload this tab had before it was reloaded, if there was one.
  takeUp() {
    this.asked = true;
    const token = this.data.url.split("/").pop();
    const earlier = remembered(this.data.name);
    if (earlier && earlier !== token && !this.data.files.length) {
      setTimeout(() => this.setState("earlier", earlier), 0); // what is set while it is drawn for the first time is lost
    } else if (this.data.files.length) {
      remember(this.data.name, token);
    }
  }

  close() {
    for (const address of this.pictures.values()) URL.revokeObjectURL(address);
  }

  // Shows what lies on the server: a picture where the browser still has the file, its name and its size.
  list() {
    const { files, total } = this.data;
    const key = JSON.stringify([files, total]);
    if (key === this.listed) return;
    this.listed = key;
    this.part(".chosen").hidden = !files.length;
    this.part(".zone").classList.toggle("filled", files.length > 0);
    const more = total[0] - files.length;
    this.part(".chosen .text").textContent = `${countText(total[0])} uploaded, ${sizeText(total[1])}`;
    const rows = files.map(([name, bytes]) => this.row(name, bytes));
    if (more > 0) rows.push(Object.assign(document.createElement("li"), { textContent: `and ${countText(more)} more` }));
    this.part(".list").replaceChildren(...rows);
  }

  row(name, bytes) {
    const row = document.createElement("li");
    const picture = Object.assign(document.createElement("img"), { alt: "", loading: "lazy" });
    picture.onerror = () => picture.replaceWith(document.createElement("i")); // the browser cannot show it
    if (this.pictures.has(name)) picture.src = this.pictures.get(name);
    const label = Object.assign(document.createElement("span"), { textContent: name, title: name, className: "name" });
    const size = Object.assign(document.createElement("span"), { textContent: sizeText(bytes), className: "size" });
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "×", title: `Remove ${name}` });
    button.setAttribute("aria-label", `Remove ${name}`);
    button.dataset.name = name;
    row.append(picture, label, size, button);
    return row;
  }

  async remove(name) {
    await this.discard(`?path=${encodeURIComponent(name)}`);
    this.say([`${name} removed.`], "");
    this.tell();
  }

  async clear() {
    await this.discard("");
    this.ignored = [];
    this.say(["All files removed."], "");
    this.tell();
  }

  discard(query) {
    return fetch(this.data.url + query, { method: "DELETE", headers: { "X-Maskloom-Upload": "1" } }).catch(() => {});
  }

  // Has the page read again what lies on the server.
  tell() {
    this.changes += 1;
    remember(this.data.name, this.data.url.split("/").pop());
    this.setState("finished", { changes: this.changes, ignored: this.ignored.slice(0, MOST_IGNORED) });
  }

  async send(chosen) {
    const { accept, limit_bytes: limit } = this.data;
    const real = chosen.filter(({ path }) => !JUNK.test(path));
    const wanted = real.filter(({ path }) => accept.some((suffix) => path.toLowerCase().endsWith(suffix)));
    const refused = real.filter((entry) => !wanted.includes(entry)).map(({ path }) => path);
    const total = wanted.reduce((sum, { file }) => sum + file.size, 0);
    if (total > limit) return this.say([`This is ${sizeText(total)}; the limit of an upload is ${sizeText(limit)}.`], "bad");
    if (!wanted.length) {
      const none = real.length ? `None of these files is one of ${accept.join(", ")}.` : "It contains no file.";
      return this.say([none, ...this.explained(refused)], "bad");
    }
    this.job = { total, files: wanted.length, sent: new Map(), failed: [], refused, done: 0, bytes: 0, started: performance.now(), requests: new Set() };
    this.sending = true;
    this.show();
    const queue = wanted.values();
    const job = this.job;
    const lane = async () => {
      for (const entry of queue) {
        if (job.cancelled) return;
        await this.sendOne(job, entry);
        this.showSoon();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    this.sending = false;
    if (!job.cancelled) this.finish(job);
    this.show();
  }

  async sendOne(job, entry) {
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.post(job, entry);
      job.sent.delete(entry);
      if (job.cancelled) return;
      if (outcome.ok) {
        job.done += 1;
        job.bytes += entry.file.size;
        if (PICTURE.test(outcome.name)) this.pictures.set(outcome.name, URL.createObjectURL(entry.file));
        return;
      }
      if (outcome.final || attempt === TRIES) {
        job.failed.push({ path: entry.path, reason: outcome.reason });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 400 * attempt));
    }
  }

  post(job, entry) {
    const { file, path } = entry;
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", `${this.data.url}?path=${encodeURIComponent(path)}`);
      request.setRequestHeader("X-Maskloom-Upload", "1");
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.onprogress = (event) => {
        job.sent.set(entry, event.loaded);
        this.showSoon();
      };
      request.onloadend = () => {
        job.requests.delete(request);
        const ok = request.status === 200;
        const final = request.status >= 400 && request.status < 500;
        resolve({ ok, final, name: ok ? nameOf(request) : "", reason: ok ? "" : reasonOf(request) });
      };
      job.requests.add(request);
      request.send(file);
    });
  }

  finish(job) {
    this.ignored = [...new Set([...this.ignored, ...job.refused])];
    const lines = [];
    if (job.refused.length) {
      lines.push(`${job.refused.length.toLocaleString("en")} ignored, not an image, a zip or an annotation file: ${listText(job.refused)}.`);
    }
    lines.push(...this.explained(job.refused));
    if (job.failed.length) {
      lines.push(`Not uploaded: ${listText(job.failed.map(({ path }) => path))}. ${job.failed[0].reason}`);
    }
    this.say(lines, job.failed.length ? "bad" : "");
    if (job.done) this.tell();
  }

  // What to do with files of a known format that is not read, once for each format.
  explained(paths) {
    const lines = new Map();
    for (const path of paths) {
      const found = this.data.formats.find(([suffix]) => path.toLowerCase().endsWith(suffix));
      if (found && !lines.has(found[1])) lines.set(found[1], `${path}: ${found[1]}`);
    }
    return [...lines.values()];
  }

  cancel() {
    const { job } = this;
    job.cancelled = true;
    for (const request of job.requests) request.abort();
    this.sending = false;
    this.discard("").then(() => this.tell());
    this.ignored = [];
    this.say(["Cancelled; nothing was kept."], "");
    this.show();
  }

  say(lines, tone) {
    const result = this.part(".result");
    result.dataset.tone = tone;
    const shown = lines.map((line) => Object.assign(document.createElement("div"), { textContent: line }));
    result.replaceChildren(...shown);
  }

  showSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.show());
  }

  show() {
    this.part(".idle").hidden = Boolean(this.sending);
    this.part(".busy").hidden = !this.sending;
    if (!this.sending) return;
    const { job } = this;
    const bytes = job.bytes + [...job.sent.values()].reduce((sum, loaded) => sum + loaded, 0);
    const seconds = (performance.now() - job.started) / 1000;
    const rate = bytes / Math.max(seconds, 0.2);
    const share = job.total ? Math.min(1, bytes / job.total) : job.done / job.files;
    this.part(".fill").style.width = `${100 * share}%`;
    const words = [`${job.done.toLocaleString("en")} of ${countText(job.files)}`, `${sizeText(bytes)} of ${sizeText(job.total)}`];
    if (seconds > 1) words.push(`${sizeText(rate)}/s`, `${timeText((job.total - bytes) / Math.max(rate, 1))} left`);
    this.part(".text").textContent = words.join(" · ");
    this.part(".result").replaceChildren();
  }
}

// The dropped files, including those in dropped folders.
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  const visit = async (entry, folder) => {
    if (entry.isFile) {
      const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
      if (file) found.push({ file, path: folder + entry.name });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const batch = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([]))); // 100 at most
      if (!batch.length) return;
      for (const child of batch) await visit(child, `${folder}${entry.name}/`);
    }
  };
  for (const entry of entries) await visit(entry, "");
  return found;
}

function reasonOf(request) {
  try {
    return JSON.parse(request.responseText).error ?? "";
  } catch {
    return request.status ? `The server answered ${request.status}.` : "The connection to the app was lost.";
  }
}

function nameOf(request) {
  try {
    return JSON.parse(request.responseText).name ?? "";
  } catch {
    return "";
  }
}

// The upload of this tab: a reload of the page continues it.
function remember(name, token) {
  try {
    sessionStorage.setItem(`maskloom-upload-${name}`, token);
  } catch {} // where storage is forbidden, a reload begins anew
}

function remembered(name) {
  try {
    return sessionStorage.getItem(`maskloom-upload-${name}`);
  } catch {
    return null;
  }
}

function countText(number) {
  return number === 1 ? "1 file" : `${number.toLocaleString("en")} files`;
}

function listText(paths) {
  return paths.length <= 3 ? paths.join(", ") : `${paths.slice(0, 3).join(", ")} and ${paths.length - 3} more`;
}

function sizeText(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  while (value >= 999.5 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${value.toFixed(value < 9.95 && units[0] !== "B" ? 1 : 0)} ${units[0]}`;
}

function timeText(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export default function ({ data, parentElement, setStateValue }) {
  return mount(parentElement, (root) => new Uploader(root), (uploader) => uploader.update(data, setStateValue));
}

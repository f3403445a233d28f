// What is drawn on one image, and how much of it is stored. A draft outlives the component until it is stored.

const AUTOSAVE_MS = 1000;
const RETRY_MS = 5000;
const KEPT_ALIVE_BYTES = 60_000; // browsers allow 64 KiB
const OURS = { "X-Maskloom-Upload": "1" };
const drafts = new Map(); // address -> draft with strokes that are not stored yet

addEventListener("beforeunload", (event) => {
  if (drafts.size) event.preventDefault(); // the browser asks whether to leave
});

// Return the draft of an image: the one that is not stored yet, or a new one that shows the newest correction.
async function openDraft({ address, mask_of: maskOf }) {
  const known = drafts.get(address);
  if (known) return known;
  const [state, values] = await newestCorrection(address);
  return new Draft(address, maskOf, state, values);
}

// Return [what the route tells of an image's corrections, the values of the newest].
async function newestCorrection(address) {
  const state = await answerOf(await fetch(address, { credentials: "same-origin" }));
  if (!state.address) return [state, new Uint8Array(state.width * state.height).fill(UNTOUCHED)];
  const map = await loadMap(state.address, true);
  if (!map) throw new Error("The stored correction cannot be loaded.");
  return [state, map.levels[0].values.slice()];
}

// Return what a route answered, or throw the sentence that says why it did not.
async function answerOf(response) {
  const told = await response.json().catch(() => ({}));
  if (response.ok) return told;
  throw Object.assign(new Error(told.error ?? `The server answered ${response.status}.`), { status: response.status });
}

class Draft {
  constructor(address, maskOf, state, values) {
    Object.assign(this, { address, maskOf, undivided: false, autosaveMs: AUTOSAVE_MS });
    this.raster = new Raster(state.width, state.height, values);
    this.below = () => new Uint8Array(values.length); // the classes of the mask that is shown
    this.tell = () => {}; // called when `words` change
    this.wasStored = () => {}; // called with the new revision
    this.error = "";
    this.takeOver(state);
    this.stored = values.slice();
  }

  takeOver(state) {
    this.revision = state.revision;
    this.raster.finished = state.finished;
    this.storedFinished = state.finished;
    this.storedVersion = this.raster.version;
    this.stale = false;
  }

  get dirty() {
    return this.raster.version !== this.storedVersion;
  }

  get words() {
    if (this.error) return `Not saved: ${this.error}`;
    if (this.sending) return "Saving …";
    if (this.dirty) return "Not saved yet";
    if (!this.revision) return "Nothing drawn yet";
    return `${this.raster.finished ? "Finished" : "Saved"}, revision ${this.revision}`;
  }

  // Something was drawn or undone: store it soon.
  changed(delay = this.autosaveMs) {
    clearTimeout(this.timer);
    if (this.dirty) {
      drafts.set(this.address, this);
      if (!this.stale) this.timer = setTimeout(() => this.save(), delay);
    }
    this.tell();
  }

  async save() {
    clearTimeout(this.timer);
    if (this.sending || !this.dirty || this.stale) return;
    this.sending = true;
    this.error = "";
    this.tell();
    const failed = await this.send().then(() => null, (error) => error);
    this.sending = false;
    if (!failed) {
      if (this.dirty) return this.changed();
      drafts.delete(this.address);
      return this.tell();
    }
    this.error = failed.status ? failed.message : "The connection to the app was lost.";
    this.stale = failed.status === 409;
    if (!failed.status || failed.status >= 500) this.changed(RETRY_MS);
    else this.tell();
  }

  async send() {
    const { raster } = this;
    const { version, finished } = raster;
    const below = finished ? this.below() : null;
    const values = finished ? laidOver(below, raster.values) : raster.values.slice();
    if (finished === this.storedFinished && isSame(values, this.stored)) return Object.assign(this, { storedVersion: version });
    const accepted = finished && isSame(values, below);
    const query = new URLSearchParams({
      base: this.revision, finished: Number(finished), accepted: Number(accepted), mask_of: this.maskOf,
    });
    const body = await greyPng(raster.width, raster.height, values);
    const headers = { ...OURS, "Content-Type": "image/png" };
    const keepalive = body.size < KEPT_ALIVE_BYTES; // it then arrives although the page is left
    const told = await answerOf(await fetch(`${this.address}?${query}`, { method: "POST", body, headers, keepalive }));
    this.wasStored(told.revision);
    return Object.assign(this, { revision: told.revision, storedVersion: version, stored: values, storedFinished: finished });
  }

  // Show the newest correction with what was drawn since over it; undo takes first one away, then the other.
  async loadNewer() {
    const [state, newest] = await newestCorrection(this.address);
    const { raster, stored } = this;
    const own = raster.finished ? null : differing(raster.values, stored);
    this.inOneStep(() => raster.replace(newest.slice()));
    this.takeOver(state);
    this.stored = newest;
    this.error = "";
    if (own?.some((value) => value !== UNTOUCHED)) this.inOneStep(() => raster.replace(laidOver(newest, own)));
    if (!this.dirty) drafts.delete(this.address);
    this.changed();
  }

  inOneStep(draw) {
    this.raster.begin();
    draw();
    this.raster.end();
  }

  // The whole image was looked at: everything shown is certain. Taken back, only what differs from the mask is kept.
  finish() {
    const { raster } = this;
    const [below, finished] = [this.below(), !raster.finished];
    this.inOneStep(() => {
      raster.replace(finished ? laidOver(below, raster.values) : differing(raster.values, below));
      raster.finished = finished;
    });
    this.changed(0);
  }

  async history() {
    return (await answerOf(await fetch(this.address, { credentials: "same-origin" }))).history;
  }

  async withdraw() {
    await answerOf(await fetch(`${this.address}?base=${this.revision}`, { method: "DELETE", headers: OURS }));
    await this.loadNewer();
  }
}

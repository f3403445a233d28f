// The bar of a run that trains. It asks a small route how far the run is, and tells Python only that what stands on the
// page is out of date: then an epoch has ended, or the run.

const followers = new WeakMap();
// What was told and not acted upon is told again: the message can be lost with the connection.
const TELL_AGAIN_MS = 8000;
const SLOWEST_MS = 10000;

class Follower {
  constructor(root) {
    this.failures = 0;
    this.told = { version: "", at: 0 };
    this.bar = document.createElement("progress");
    this.bar.max = 1;
    this.words = document.createElement("div");
    this.words.className = "words";
    this.time = document.createElement("div");
    this.time.className = "time";
    const line = document.createElement("div");
    line.className = "line";
    line.append(this.words, this.time);
    root.replaceChildren(line, this.bar);
    this.seen = () => document.hidden || this.ask();
    document.addEventListener("visibilitychange", this.seen);
  }

  update(data, tell) {
    this.tell = tell;
    this.data = data;
    this.show(data.drawn);
    if (this.timer === undefined) this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    const pace = this.soon ? this.data.soon_ms : this.data.every_ms;
    const slower = Math.min(pace * 2 ** this.failures, SLOWEST_MS);
    // Pages that were opened together must not go on asking in the same moment.
    this.timer = setTimeout(() => this.ask(), slower * (0.8 + 0.4 * Math.random()));
  }

  async ask() {
    if (this.ended) return;
    // A page that nobody looks at is brought up to date when somebody does.
    if (document.hidden) return this.wait();
    try {
      const response = await fetch(this.data.url, { cache: "no-store" });
      if (response.status === 404) this.outdated("gone");
      else if (!response.ok) throw new Error(response.statusText);
      else this.answered(await response.json());
      this.failures = 0;
    } catch {
      this.failures += 1;
      if (this.failures === 3) this.words.textContent = "The app does not answer. Training goes on without it; asking again …";
    }
    if (!this.ended) this.wait();
  }

  answered(now) {
    this.show(now);
    if (now.version !== this.data.drawn.version) this.outdated(now.version);
  }

  outdated(version) {
    const now = Date.now();
    if (this.told.version === version && now - this.told.at < TELL_AGAIN_MS) return;
    this.told = { version, at: now };
    this.tell(version);
  }

  show(moment) {
    this.soon = moment.soon;
    const working = moment.share !== null;
    for (const part of [this.bar, this.words, this.time]) part.hidden = !working;
    if (!working) return;
    this.bar.value = moment.share;
    this.words.textContent = moment.text;
    this.bar.setAttribute("aria-label", moment.text);
    this.time.textContent = moment.elapsed ? `${moment.elapsed} so far` : "";
  }

  end() {
    this.ended = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.seen);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".root");
  let follower = followers.get(root);
  if (!follower) followers.set(root, (follower = new Follower(root)));
  follower.update(data, (version) => setTriggerValue("outdated", version));
  return () => {
    follower.end();
    followers.delete(root);
    root.replaceChildren();
  };
}

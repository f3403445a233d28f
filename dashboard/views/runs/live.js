// The progress bar of a training run. It polls a small route. When an epoch has ended it fetches the news and passes them
// to the other components of the page (run_news.js). Only a new stage of the run has to be drawn by the script.

// A trigger without effect is repeated, because it can be lost with the connection.
const TRIGGER_AGAIN_MS = 8000;
const SLOWEST_MS = 10000;

class Follower {
  constructor(root) {
    this.failures = 0;
    this.sent = { version: "", at: 0 };
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
    this.seen = () => document.hidden || this.poll();
    document.addEventListener("visibilitychange", this.seen);
  }

  update(data, trigger) {
    this.trigger = trigger;
    this.data = data;
    this.known = data.drawn.version;
    this.show(data.drawn);
    if (this.timer === undefined) this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    const pace = this.soon ? this.data.soon_ms : this.data.every_ms;
    const slower = Math.min(pace * 2 ** this.failures, SLOWEST_MS);
    // Pages that were opened together must not keep polling at the same moment.
    this.timer = setTimeout(() => this.poll(), slower * (0.8 + 0.4 * Math.random()));
  }

  async poll() {
    if (this.ended) return;
    // A hidden page is updated when it becomes visible.
    if (document.hidden) return this.wait();
    try {
      const response = await fetch(this.data.url, { cache: "no-store" });
      if (response.status === 404) this.outdated("gone");
      else if (!response.ok) throw new Error(response.statusText);
      else await this.answered(await response.json());
      this.failures = 0;
    } catch {
      this.failures += 1;
      if (this.failures === 3) this.words.textContent = "The app does not respond. Training continues without it; retrying …";
    }
    if (!this.ended) this.wait();
  }

  async answered(now) {
    this.show(now);
    const { drawn, script_draws } = this.data;
    if (now[script_draws] !== drawn[script_draws]) this.outdated(now.version);
    else if (now.version !== this.known) await this.fetchNews(now.version);
  }

  async fetchNews(version) {
    const { data } = this;
    const response = await fetch(`${data.news}&version=${encodeURIComponent(version)}`, { cache: "no-store" });
    if (!response.ok) throw new Error(response.statusText);
    const news = await response.json();
    if (this.ended || this.data !== data) return; // redrawn in the meantime
    this.known = news.version;
    tellNews(data.news, data.drawn.version, news);
  }

  outdated(version) {
    const now = Date.now();
    if (this.sent.version === version && now - this.sent.at < TRIGGER_AGAIN_MS) return;
    this.sent = { version, at: now };
    this.trigger(version);
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

  close() {
    this.ended = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.seen);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const outdated = (version) => setTriggerValue("outdated", version);
  return mount(parentElement, (root) => new Follower(root), (follower) => follower.update(data, outdated));
}

// The bar of a run that trains. It asks a small route how far the run is. When an epoch has ended it fetches what that
// changes and tells it to the other parts of the page (run_news.js). Only another stage of the run is for Python to draw.

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
    this.known = data.drawn.version;
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
      else await this.answered(await response.json());
      this.failures = 0;
    } catch {
      this.failures += 1;
      if (this.failures === 3) this.words.textContent = "The app does not answer. Training goes on without it; asking again …";
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
    if (this.ended || this.data !== data) return; // drawn anew meanwhile
    this.known = news.version;
    tellNews(data.news, data.drawn.version, news);
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

  close() {
    this.ended = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.seen);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const [follower, unmount] = mount(parentElement, (root) => new Follower(root));
  follower.update(data, (version) => setTriggerValue("outdated", version));
  return unmount;
}

// What the bar of a run that trains has learned since the script drew the page, told to the parts that show it. Each part
// is a module of its own; the window is what they share.

const newsOfRun = (window.maskloomNews ??= new EventTarget());

// `address` is where the news came from and `since` the version that the script drew: for parts drawn with both.
function tellNews(address, since, news) {
  newsOfRun.latest = { address, since, news };
  newsOfRun.dispatchEvent(new Event("news"));
}

// The news for a part that the script drew with { address, version }, if there are any since.
function newsSince(follows) {
  const { address, since, news } = newsOfRun.latest ?? {};
  return follows && address === follows.address && since === follows.version ? news : null;
}

// Has `show` called with all news to come; returns what ends that.
function followNews(show) {
  newsOfRun.addEventListener("news", show);
  return () => newsOfRun.removeEventListener("news", show);
}

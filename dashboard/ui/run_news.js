// Events from the progress bar of a training run to the components that show its news. Each component is a separate
// module; they share the window.

const newsOfRun = (window.maskloomNews ??= new EventTarget());

// `address` is the source of the news and `since` the version that the script drew; components are drawn with both.
function tellNews(address, since, news) {
  newsOfRun.latest = { address, since, news };
  newsOfRun.dispatchEvent(new Event("news"));
}

// The news for a component that the script drew with { address, version }, if any.
function newsSince(follows) {
  const { address, since, news } = newsOfRun.latest ?? {};
  return follows && address === follows.address && since === follows.version ? news : null;
}

// Call `show` for all future news; return a function that ends this.
function followNews(show) {
  newsOfRun.addEventListener("news", show);
  return () => newsOfRun.removeEventListener("news", show);
}

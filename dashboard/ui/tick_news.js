// Events between the list of clusters and the images in which they are ticked, each by the name of their group: "lit",
// the cluster that a person points at, or null; "picked", one that was clicked in an image; "ticks", all that are ticked.
// The components are separate modules; they share the window.

const newsOfTicks = (window.maskloomTicks ??= new EventTarget());

function tellTicks(kind, group, value) {
  newsOfTicks.dispatchEvent(new CustomEvent(kind, { detail: { group, value } }));
}

// Call `show` with the news of one kind of a group, which `groupOf()` returns; return a function that ends this.
function followTicks(kind, groupOf, show) {
  const listen = ({ detail }) => detail.group === groupOf() && show(detail.value);
  newsOfTicks.addEventListener(kind, listen);
  return () => newsOfTicks.removeEventListener(kind, listen);
}

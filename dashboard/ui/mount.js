// Keeps the object behind a component from one call of its module to the next. Every component's script starts with this.

const mounted = new WeakMap(); // root element -> { part, draws }
const KEPT = 8; // calls; far more than can be under way at a time

// Draws a component with the object made by `make(root)` at the first call; returns the cleanup for Streamlit.
//
// Streamlit calls the module for each change of the data. Calls made while the module is still being loaded run in any
// order (browsers keep who waits for a module in a set), and the cleanup of each but the newest follows it at once. So
// the cleanup of a component that is still on the page takes back one call: if that was the last to draw, the one before
// it draws again. The component itself is closed once it has left the page.
function mount(parentElement, make, draw) {
  const root = parentElement.querySelector(".root");
  const known = mounted.get(root) ?? { part: make(root), draws: [] };
  mounted.set(root, known);
  known.draws = [...known.draws.slice(1 - KEPT), draw];
  draw(known.part);
  return () => {
    if (root.isConnected) {
      const wasLast = known.draws.at(-1) === draw;
      known.draws = known.draws.filter((other) => other !== draw);
      if (wasLast) known.draws.at(-1)?.(known.part);
    } else if (mounted.delete(root)) {
      known.part.close?.();
      root.replaceChildren();
    }
  };
}

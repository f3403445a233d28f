// Keeps the object behind a component from one call of its module to the next. Every component's script starts with this.

const mounted = new WeakMap(); // root element -> { part, call }

// Returns the object of a component, made by `make(root)` at the first call, and the cleanup for Streamlit.
//
// Streamlit calls the module for each change of the data. If the data change while the module is still being loaded, it
// runs both calls and only then the cleanup of the first one. So a cleanup has to do nothing once a newer call was made.
function mount(parentElement, make) {
  const root = parentElement.querySelector(".root");
  const call = {};
  const part = mounted.get(root)?.part ?? make(root);
  mounted.set(root, { part, call });
  const unmount = () => {
    if (mounted.get(root)?.call !== call) return;
    mounted.delete(root);
    part.close?.();
    root.replaceChildren();
  };
  return [part, unmount];
}

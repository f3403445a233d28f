// Wheel, touch, mouse and keyboard input of a viewer.

const CLICK_PX = 4;
const ZOOM_STEP = 1.25;

function listenToPane(viewer, pane) {
  const { canvas, handle } = pane;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.altKey && viewer.brush) return viewer.brush.resize(event.deltaY < 0 ? 1.15 : 0.87);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    viewer.zoomAt(pane, event, Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => {
    if (viewer.brush?.double(pane)) return;
    if (viewer.view.zoom > 1) viewer.reset();
    else viewer.zoomAt(pane, event, 4);
  });
  canvas.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault()); // no scrolling by it
  canvas.addEventListener("contextmenu", (event) => viewer.brush?.isOn(pane) && event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    viewer.pointers.set(event.pointerId, { clientX: event.clientX, clientY: event.clientY, moved: 0 });
    viewer.brush?.press(pane, event);
  });
  canvas.addEventListener("pointermove", (event) => {
    const draws = viewer.brush?.drag(pane, event);
    if (!draws && viewer.pointers.has(event.pointerId)) drag(viewer, pane, event);
    viewer.pointAt(pane, event);
  });
  canvas.addEventListener("pointerup", (event) => {
    const held = viewer.pointers.get(event.pointerId);
    const drew = viewer.brush?.lift(pane);
    if (!drew && held && held.moved < CLICK_PX && viewer.pointers.size === 1) viewer.pinAt(pane, event);
    viewer.pointers.delete(event.pointerId);
  });
  canvas.addEventListener("pointercancel", (event) => {
    viewer.brush?.drop();
    viewer.pointers.delete(event.pointerId);
  });
  canvas.addEventListener("pointerleave", () => {
    viewer.brush?.away();
    viewer.pointAway();
  });
  handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = canvas.getBoundingClientRect();
    viewer.wipe((event.clientX - box.left) / box.width);
  });
  handle.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -0.02, ArrowRight: 0.02, ArrowDown: -0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    viewer.wipe(viewer.wipeAt + steps[event.key]);
  });
}

// One finger or the mouse pans; two fingers zoom around the point between them, and pan with it.
function drag(viewer, pane, event) {
  const before = viewer.pointers.get(event.pointerId);
  const now = { clientX: event.clientX, clientY: event.clientY };
  const step = [now.clientX - before.clientX, now.clientY - before.clientY];
  viewer.pointers.set(event.pointerId, { ...now, moved: before.moved + Math.hypot(...step) });
  if (viewer.pointers.size > 2) return;
  const other = [...viewer.pointers.entries()].find(([id]) => id !== event.pointerId)?.[1];
  if (!other) return viewer.panBy(pane, ...step);
  const apart = (point) => Math.hypot(point.clientX - other.clientX, point.clientY - other.clientY);
  const middle = { clientX: (now.clientX + other.clientX) / 2, clientY: (now.clientY + other.clientY) / 2 };
  viewer.panBy(pane, step[0] / 2, step[1] / 2);
  viewer.zoomAt(pane, middle, apart(now) / Math.max(1, apart(before)));
}

function listenToKeys(viewer, element) {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const actions = {
    "+": () => viewer.zoomBy(ZOOM_STEP), "=": () => viewer.zoomBy(ZOOM_STEP), "-": () => viewer.zoomBy(1 / ZOOM_STEP),
    0: () => viewer.reset(), 1: () => viewer.zoomTo(1), m: () => viewer.brush || viewer.tools.hide(),
  };
  element.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest(".handle")) return;
    const step = steps[event.key];
    if (step && !event.shiftKey && viewer.view.zoom === 1 && !viewer.brush) return; // for stepByArrows
    const act = step ? () => (event.shiftKey ? viewer.moveCursor(...step) : viewer.moveView(...step)) : actions[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
}

// Let the left and right arrow press the buttons of step_buttons.py, wherever they have no other meaning. Returns a
// function that ends this.
function stepByArrows(viewer) {
  const targets = { ArrowLeft: "previous", ArrowRight: "next" };
  const taken = "input, select, textarea, summary, [contenteditable], [role=slider], [role=radio], [role=tab]";
  const listen = (event) => {
    const modified = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (!(event.key in targets) || modified || event.defaultPrevented || viewer.brush || viewer.view.zoom > 1) return;
    if (event.composedPath()[0].closest?.(taken)) return;
    event.preventDefault();
    document.querySelector(`[class*="st-key-step-${targets[event.key]}-"] button:enabled`)?.click();
  };
  document.addEventListener("keydown", listen);
  return () => document.removeEventListener("keydown", listen);
}

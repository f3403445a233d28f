// What changes how a viewer's masks are drawn, without the script: the threshold, and hiding them.

const TOOLS =
  '<label class="shows"><input type="checkbox" checked> Mask (M)</label>' +
  '<label class="level">Threshold <input type="range" min="0" max="1" step="0.01"> <output></output></label>';

class ViewerTools {
  constructor(viewer, root) {
    Object.assign(this, { viewer, root, bare: false, threshold: null, given: null });
    root.innerHTML = TOOLS;
    const part = (name) => root.querySelector(name);
    [this.box, this.range, this.words] = [part(".shows input"), part(".level input"), part(".level output")];
    this.box.addEventListener("change", () => this.hide(!this.box.checked));
    this.range.addEventListener("input", () => {
      this.threshold = Number(this.range.value);
      viewer.showGiven();
    });
  }

  // The data of the viewer with the threshold chosen here; one that the script changes replaces it.
  laidInto(data) {
    const { settings, panes, brush } = data;
    if (settings.threshold !== this.given) this.threshold = null;
    this.given = settings.threshold;
    const threshold = this.threshold ?? settings.threshold;
    this.range.value = threshold;
    this.words.textContent = threshold.toFixed(2);
    this.root.hidden = Boolean(brush) || !panes.some((pane) => pane.mask || pane.reference || pane.reference_classes);
    this.range.parentElement.hidden = !settings.moves_threshold;
    if (brush) this.bare = false;
    this.box.checked = !this.bare;
    return { ...data, settings: { ...settings, threshold } };
  }

  hide(bare = !this.bare) {
    this.bare = bare;
    this.box.checked = !bare;
    this.viewer.paintSoon();
  }
}

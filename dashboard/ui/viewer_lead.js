// The large one of several panes, and the keys that open the image before or after.

const LeadMoves = {
  // The large pane of a viewer that has one, while the others are small beside it.
  leadPane() {
    const { lead } = this.data.settings;
    if (!lead || this.panes.length < 2) return null;
    const titled = (title) => this.panes.find((pane) => pane.layers[0]?.title === title);
    return titled(this.led) ?? titled(lead) ?? this.panes[0];
  },

  setLead(pane) {
    this.led = pane.layers[0].title;
    this.arrange();
    this.row.focus({ preventScroll: true });
  },

  // Left and right open the image before and after, unless the focus is on what they move.
  stepBy(event) {
    const id = { ArrowLeft: this.data?.steps.before, ArrowRight: this.data?.steps.after }[event.key];
    if (!id || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const moved = 'input, textarea, select, [contenteditable], [role="slider"], [role^="radio"], [role="tab"], [role="combobox"], [role="listbox"]';
    const [at] = event.composedPath();
    if (at.closest?.(moved) || document.querySelector('[role="dialog"]')) return;
    if (at === this.row && this.view.zoom > 1) return;
    event.preventDefault();
    this.open(id);
  },
};

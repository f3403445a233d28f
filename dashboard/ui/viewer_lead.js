// The large one of several panes.

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
};

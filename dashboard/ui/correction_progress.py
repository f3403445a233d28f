"""The curve of how well masks agreed with their corrections, in the order of correction."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.correction_progress import WINDOW, agreements, running_mean, verdict
from dashboard.server import resources
from dashboard.ui import charts
from dashboard.ui.charts import Curve


def correction_progress(dataset_id: str, key: str) -> None:
    """Draw the curve with a sentence on it; the sentence alone while there are less than two finished images."""
    with resources.database().reading() as session:
        found = agreements(session, dataset_id)
    st.markdown(verdict(found))
    if len(found) < 2:
        return
    dice, numbers = [each.dice for each in found], list(range(1, len(found) + 1))
    curves = [
        Curve("each image", numbers, dice, group="train"),
        Curve(f"mean of the last {WINDOW}", numbers, running_mean(dice), group="validation"),
    ]
    figure = charts.curves_figure(curves, height_px=240, x_title="Finished image, in the order of correction")
    figure["layout"]["yaxis"] |= {"range": [0, 1.02], "title": {"text": "Dice of the mask vs correction"}}
    charts.show(figure, key=key)
    st.caption(
        "Images that were only marked with strokes do not count, nor do those of the audit. What is in doubt comes "
        "first in *Correct next*, so early images are harder than most."
    )

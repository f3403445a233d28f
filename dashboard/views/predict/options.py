"""How new masks are made: averaged over flips or not, and moved to the edges of the image or not."""

from __future__ import annotations

import streamlit as st

from dashboard.views.predict.facts import RunChoice
from engine.core.run_parameters import PredictionParams
from engine.prediction.refine_masks import Refine

REFINE: dict[Refine, str] = {"none": "As drawn", "guided_filter": "Guided filter", "grabcut": "GrabCut"}
REFINE_WORDS: dict[Refine, str] = {"guided_filter": "a guided filter", "grabcut": "GrabCut"}


def prediction_options(run: RunChoice) -> PredictionParams:
    """Draw how masks are made, beginning with what the run does for its own images."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        flips = st.toggle(
            "Average over flips",
            run.flips,
            key=f"predict-flips-{run.id}",
            help="Predicts each image four times, mirrored, and averages: often a little better, four times as slow.",
        )
        refine = st.segmented_control(
            "Refine at edges",
            list(REFINE),
            default=run.refine,
            required=True,
            format_func=REFINE.__getitem__,
            key=f"predict-refine-{run.id}",
            help="Moves the outlines of the masks to the edges of the image. GrabCut also cuts again by the colours of "
            "object and ground, which is slower and suits a few clear objects.",
        )
    return PredictionParams(flips=flips, refine=refine)

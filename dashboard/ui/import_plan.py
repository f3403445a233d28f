"""What an import would do, shown before it starts: counts, how images and truth are paired, and what is in doubt."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.facts import wording
from dashboard.server.import_plans import ImportPlan, import_plan, mask_plan
from dashboard.ui.import_form import ChosenSource

_MOST_ROWS = 1_000


def draw_import_plan(chosen: ChosenSource) -> None:
    """Draw the plan of a chosen source; nothing for the sample set."""
    plan = import_plan(chosen.source, chosen.words)
    if plan is not None:
        _draw(plan, "Truth")


def draw_mask_plan(chosen: ChosenSource, images: Sequence[tuple[str, str]]) -> bool:
    """Draw the plan of masks for images that are there, given as (name, id); return whether any gets a mask."""
    plan = mask_plan(chosen.source, chosen.words, images)
    _draw(plan, "Mask")
    return bool(plan.pairs)


def _draw(plan: ImportPlan, what: str) -> None:
    if plan.error:
        st.error(wording.escaped(plan.error))
        return
    st.markdown("\n".join(f"- {wording.escaped(sentence)}" for sentence in plan.sentences))
    for doubt in plan.doubts:
        st.warning(wording.escaped(doubt))
    with st.expander("Pairs and files that are left out"):
        st.dataframe(
            {
                "Image": [image for image, _ in plan.pairs[:_MOST_ROWS]],
                what: [truth for _, truth in plan.pairs[:_MOST_ROWS]],
            },
            hide_index=True,
        )
        if len(plan.pairs) > _MOST_ROWS:
            st.caption(f"The first {_MOST_ROWS:,} of {len(plan.pairs):,} images.")
        if plan.left_out:
            st.dataframe(
                {
                    "File": [name for name, _ in plan.left_out[:_MOST_ROWS]],
                    "Left out because": [reason for _, reason in plan.left_out[:_MOST_ROWS]],
                },
                hide_index=True,
            )

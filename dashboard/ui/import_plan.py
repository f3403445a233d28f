"""What an import would do, shown before it starts: counts, how images and truth are paired, and what is in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard.facts import wording
from dashboard.server.import_plans import ImportPlan, import_plan, mask_plan
from dashboard.ui.import_form import ChosenSource

_MOST_ROWS = 1_000


def draw_import_plan(chosen: ChosenSource) -> bool:
    """Draw the plan of a chosen source, nothing for the sample set; return whether there is any image to import."""
    plan = import_plan(chosen.source, chosen.words)
    if plan is None:
        return True
    _draw(plan, "Truth", f"There is no image to import here ({chosen.words}).")
    return bool(plan.pairs)


def draw_mask_plan(chosen: ChosenSource, images: Sequence[tuple[str, str]]) -> bool:
    """Draw the plan of masks for images that are there, given as (name, id); return whether any gets a mask."""
    plan = mask_plan(chosen.source, chosen.words, images)
    example = Path(images[0][0]).stem if images else "a"
    _draw(
        plan,
        "Mask",
        f"No file is a mask of an image of this dataset. Masks have the names of their images, here {example}.png or "
        f"{example}_mask.png and so on. Rename them, or choose others.",
    )
    return bool(plan.pairs)


def _draw(plan: ImportPlan, what: str, nothing: str) -> None:
    """Draw a plan; `nothing` is the sentence for a plan without pairs."""
    if plan.error:
        st.error(wording.escaped(plan.error))
        return
    if plan.pairs:
        st.markdown("\n".join(f"- {wording.escaped(sentence)}" for sentence in plan.sentences))
    else:
        st.warning(wording.escaped(nothing))
    if not plan.pairs and not plan.left_out:
        return
    for doubt in plan.doubts:
        st.warning(wording.escaped(doubt))
    parts = [*(["pairs"] if plan.pairs else []), *(["files that are left out"] if plan.left_out else [])]
    with st.expander(" and ".join(parts).capitalize(), expanded=not plan.pairs):
        if plan.pairs:
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

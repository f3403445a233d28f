"""What an import would do, shown before it starts and changed there: how files are used and what is in doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.facts import wording
from dashboard.server.import_plans import ImportPlan, import_plan, mask_plan
from dashboard.ui.import_form import ChosenSource

_MOST_ROWS, _MOST_NAMED = 1_000, 3
_IMAGE, _OUT = "image", "skip"


def draw_import_plan(chosen: ChosenSource, details: DeltaGenerator | None = None) -> ChosenSource | None:
    """Draw the plan of a chosen source, nothing for the sample set; return what to import, None if it has no images.

    What is returned has what the person decided on files. The lists of files are drawn into `details` if given.
    """
    if chosen.source["kind"] == "sample":
        return chosen
    nothing = f"There is no image to import here ({chosen.words})."
    return _draw(chosen, lambda source: import_plan(source, chosen.stamp), "truth", nothing, details)


def draw_mask_plan(chosen: ChosenSource, images: Sequence[tuple[str, str]]) -> ChosenSource | None:
    """Draw the plan of masks for images that are there, given as (name, id); return what to import, None if no mask."""
    example = Path(images[0][0]).stem if images else "a"
    nothing = (
        f"No file is a mask of an image of this dataset. Masks have the names of their images, here {example}.png or "
        f"{example}_mask.png and so on. Rename them, choose others, or say below which is whose mask."
    )
    return _draw(chosen, lambda source: mask_plan(source, chosen.stamp, images), "mask", nothing)


def _draw(
    chosen: ChosenSource,
    plan_of: Callable[[dict[str, Any]], ImportPlan],
    what: str,
    nothing: str,
    details: DeltaGenerator | None = None,
) -> ChosenSource | None:
    """Draw a plan; `nothing` is the sentence for a plan without pairs."""
    planned = plan_of(chosen.source)
    if planned.error:
        st.error(wording.escaped(planned.error))
        return None
    facts, details = st.container(), details or st.container()
    with details:
        lists = st.container()
        changes = _changes(planned, what, key=f"uses-{chosen.place}-{chosen.stamp}") if planned.uses else {}
    if changes:
        chosen = replace(chosen, source=chosen.source | {"belongs": changes})
        planned = plan_of(chosen.source)
    with facts:
        if planned.error:
            st.error(wording.escaped(planned.error))
        else:
            _draw_facts(planned, nothing)
    if not planned.error:
        with lists:
            _draw_lists(planned, what)
    return chosen if planned.pairs else None


def _changes(plan: ImportPlan, what: str, key: str) -> dict[str, str]:
    """Draw how each file is used, to change; return {file: image} of what was changed."""
    others = {f"{what} of {image}": image for image in plan.images[:_MOST_ROWS]}
    rows = plan.uses[:_MOST_ROWS]

    def words(name: str, image: str) -> str:
        return _OUT if not image else _IMAGE if image == name and what == "truth" else f"{what} of {image}"

    with st.expander("Change how files are used", icon=":material/swap_horiz:", expanded=bool(plan.doubts)):
        st.caption(f"Double-click a cell of *Use as* to choose an image, or *{_OUT}*.")
        before = [words(name, image) for name, image in rows]
        edited = st.data_editor(
            {"File": [name for name, _ in rows], "Use as": before},
            column_config={
                "Use as": st.column_config.SelectboxColumn(
                    options=list(dict.fromkeys([*([_IMAGE] if what == "truth" else []), _OUT, *others, *before])),
                    required=True,
                    width="large",
                )
            },
            disabled=["File"],
            hide_index=True,
            key=key,
        )
        if len(plan.uses) > len(rows):
            st.caption(
                f"The first {len(rows):,} of {len(plan.uses):,} files, those in doubt first. For the others, rename "
                "them or import by the command line with --pairs."
            )
    after = list(edited["Use as"])
    return {
        name: name if use == _IMAGE else "" if use == _OUT else others[use]
        for (name, _), use, old in zip(rows, after, before, strict=True)
        if use != old
    }


def _draw_facts(plan: ImportPlan, nothing: str) -> None:
    if plan.pairs:
        bullet = "- " if len(plan.sentences) > 1 else ""
        st.markdown("\n".join(f"{bullet}{wording.escaped(sentence)}" for sentence in plan.sentences))
    else:
        st.warning(wording.escaped(nothing))
    if plan.pairs and 0 < len(plan.left_out) <= _MOST_NAMED:
        lines = [f"Skipped: **{wording.escaped(name)}**. {wording.escaped(why)}" for name, why in plan.left_out]
        st.caption("  \n".join(lines))
    for doubt in plan.doubts if plan.pairs or plan.left_out else ():
        st.warning(wording.escaped(doubt))


def _draw_lists(plan: ImportPlan, what: str) -> None:
    if not plan.pairs and not plan.left_out:
        return
    left_out = wording.count(len(plan.left_out), "file that is", "files that are") + " skipped"
    parts = [*(["pairs"] if plan.pairs else []), *([left_out] if plan.left_out else [])]
    title = " and ".join(parts)
    with st.expander(title[0].upper() + title[1:], icon=":material/list:", expanded=not plan.pairs):
        if plan.pairs:
            st.dataframe(
                {
                    "Image": [image for image, _ in plan.pairs[:_MOST_ROWS]],
                    what.capitalize(): [truth for _, truth in plan.pairs[:_MOST_ROWS]],
                },
                hide_index=True,
            )
        if len(plan.pairs) > _MOST_ROWS:
            st.caption(f"The first {_MOST_ROWS:,} of {len(plan.pairs):,} images.")
        if plan.left_out:
            st.dataframe(
                {
                    "File": [name for name, _ in plan.left_out[:_MOST_ROWS]],
                    "Skipped because": [reason for _, reason in plan.left_out[:_MOST_ROWS]],
                },
                hide_index=True,
            )

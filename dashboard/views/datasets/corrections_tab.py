"""The tab of what people drew on the images of a dataset: how much, by whom, and in and out as PNG."""

from __future__ import annotations

import streamlit as st
from sqlalchemy import select

from dashboard.access import rights
from dashboard.facts import urls
from dashboard.facts.datasets import DatasetView
from dashboard.facts.wording import count, escaped
from dashboard.server import resources
from dashboard.ui.correction_progress import correction_progress
from db import corrections, datasets
from db.models import Correction, Dataset, Image
from engine.datasets import corrections as stored_corrections
from engine.datasets.correction_files import drawn_by_file, paired
from engine.imaging.codec import Limits

LISTED = 500
AT = st.column_config.DatetimeColumn(format="localized")
AT_ONCE = 200


def corrections_tab(view: DatasetView) -> None:
    """Draw the tab."""
    with resources.database().reading() as session:
        drawn = corrections.current(session, view.id)
        newest = sorted(drawn.values(), key=lambda row: row.at, reverse=True)[:LISTED]
        named = select(Image.id, Image.name).where(Image.id.in_([row.image_id for row in newest]))
        names = dict(session.execute(named).all())
    if not drawn:
        st.info(
            "Nobody has corrected an image of this dataset yet. Open a mask in the *Gallery* or of a mask set, press "
            "*Correct next* there, and draw what is right. Networks that are trained later learn from it."
        )
    else:
        finished = sum(row.finished for row in drawn.values())
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{count(len(drawn), 'corrected image')}**: {finished:,} finished, {len(drawn) - finished:,} with "
                "strokes only.",
                width="stretch",
            )
            st.link_button("Download as PNG", urls.corrections_zip(view.id), icon=":material/download:")
        st.markdown("**Does it still learn?**")
        correction_progress(view.id, key="correction-progress")
        st.dataframe([_line(row, names[row.image_id]) for row in newest], hide_index=True, column_config={"At": AT})
        st.caption("All revisions of an image, and *Withdraw*, are in its editor under *⋯*.")
    if view.images:
        with st.expander("Import corrections", icon=":material/upload:"):
            _import(view)


def _line(row: Correction, name: str) -> dict[str, object]:
    pixels = sum(pixels for _, pixels in row.pixels)
    state = "finished" if row.finished else "strokes"
    return {
        "Image": name, "State": state, "Revision": row.revision, "By": row.who, "At": row.at, "How": row.source,
        "Pixels": pixels,
    }  # fmt: skip


def _import(view: DatasetView) -> None:
    if rights.only_looking("Correcting"):
        return
    st.caption(
        "PNG files with the names of the images and in their size: class numbers, 0 for background, 254 to ignore, 255 "
        f"where nothing is said. At most {AT_ONCE} at once; *python -m engine correct* takes any number."
    )
    number = st.session_state.setdefault("corrections-import", 0)  # another key empties the uploader
    given = st.file_uploader("Corrections", "png", accept_multiple_files=True, key=f"corrections-files-{number}")
    kinds = ("whole images", "strokes only")
    kind = st.segmented_control("These are", kinds, default=kinds[0], required=True, key="corrections-kind")
    pressed = st.button("Import", type="primary", disabled=not given, key="corrections-go")
    if not pressed:
        return
    if len(given) > AT_ONCE:
        st.error(f"At most {AT_ONCE} files can be imported at once here. Got {len(given):,}.")
        return
    try:
        stored = _store(view.id, {file.name: file.getvalue() for file in given}, finished=kind == kinds[0])
    except ValueError as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    st.session_state["corrections-import"] += 1
    st.toast(f"Stored corrections of {count(stored, 'image')}.", icon=":material/task_alt:")
    st.rerun()


def _store(dataset_id: str, given: dict[str, bytes], finished: bool) -> int:
    """Store what was given over what was there; return for how many images."""
    with resources.database().reading() as session:
        images = {image.id: image for image in datasets.images(session, dataset_id, excluded=True)}
        pairs = paired(list(given), images, datasets.named_images(session, dataset_id))
        classes = max(len(session.get_one(Dataset, dataset_id).classes) - 1, 1)
        before = corrections.current(session, dataset_id, [image.id for _, image in pairs])
    limits = Limits(max_pixels=round(resources.settings().image_limit_megapixels * 1e6), min_side_px=1)
    files = resources.artifacts()
    drawn = [drawn_by_file(files, before, name, given[name], image, classes, limits, finished) for name, image in pairs]
    return len(stored_corrections.store(files, corrections.committing(resources.database().writing), drawn))

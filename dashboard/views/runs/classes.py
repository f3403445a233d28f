"""How well a run tells its classes apart: scores of each class, the confusion matrix, and the images behind a cell."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.facts import urls, wording
from dashboard.facts.class_results import ClassResults, ImagePixels
from dashboard.server.class_tables import class_table
from dashboard.ui import charts, pictures
from dashboard.views.runs.confusion_chart import FEW_CLASSES, MOST_CLASSES, confusion_figure
from dashboard.views.runs.facts import RunHead
from engine.imaging.class_confusion import ClassConfusion

MOST_IMAGES, IMAGE_PX, MOST_NAMED = 8, 150, 6
VALIDATION, ALL = "Validation images", "All images"

Cell = tuple[int, int]
"""(class in truth, class in the masks)."""


def classes_section(head: RunHead, prediction_set_id: str | None) -> None:
    """Draw the classes of a run that tells several apart, once it has predicted its own dataset."""
    everything = class_table(prediction_set_id) if head.classes and prediction_set_id else None
    if everything is None:
        return
    st.subheader("Classes")
    pictures.class_legend(head.classes[: MOST_CLASSES + 1], colours=head.class_colours)
    if head.changed_classes:
        st.caption(wording.escaped(head.changed_classes))
    chosen = st.segmented_control(
        "Images", (VALIDATION, ALL), default=VALIDATION, required=True, key=f"runs-classes-{head.id}"
    )
    results = everything if chosen == ALL else everything.validation
    if not results.images:
        st.caption("None of these images has truth with the classes of this run, so there is nothing to compare.")
        return
    confusion = results.confusion
    few = len(confusion.names) <= FEW_CLASSES
    left, right = st.columns(2, gap="medium") if few else (st.container(), st.container())
    with left:
        _scores(confusion, len(results.images))
    with right:
        cells = _matrix(head.id, confusion) if len(confusion.names) <= MOST_CLASSES + 1 else _table(confusion)
    _images(head, results, cells)


def _scores(confusion: ClassConfusion, images: int) -> None:
    rows = [
        {"Class": each.name, "Dice vs truth": each.dice, "IoU vs truth": each.iou, "Images": each.images}
        for each in confusion.results
    ]
    table = pd.DataFrame(rows).astype({"Dice vs truth": float, "IoU vs truth": float})
    styled = table.style.format("{:.3f}", subset=["Dice vs truth", "IoU vs truth"], na_rep="–")
    in_truth = st.column_config.NumberColumn(help="In how many of these images truth has the class.")
    st.dataframe(styled, hide_index=True, column_config={"Images": in_truth})
    st.caption(
        f"Over all pixels of {wording.count(images, 'image')} with truth, at mask threshold 0.5. Dice of the masks "
        "elsewhere on this page is of their foreground, all classes as one."
    )
    nowhere = [each.name for each in confusion.results if each.dice is None]
    if nowhere:
        named = ", ".join(f"**{wording.escaped(name)}**" for name in nowhere[:MOST_NAMED])
        more = f" and {len(nowhere) - MOST_NAMED} more" if len(nowhere) > MOST_NAMED else ""
        verb = "occurs" if len(nowhere) == 1 else "occur"
        st.caption(f"{named}{more} {verb} in none of these images, neither in truth nor in masks: no score.")


def _matrix(run_id: str, confusion: ClassConfusion) -> list[Cell]:
    """Draw the confusion matrix; return its cells with pixels, mistakes first. A click on a cell chooses it."""
    key = f"runs-confusion-{run_id}"

    def choose() -> None:
        points = st.session_state[key].selection.points
        if points:
            truth, predicted, pixels = points[0]["customdata"]
            if pixels:
                st.session_state[_cell_key(run_id)] = (truth, predicted)

    charts.show(confusion_figure(confusion), key=key, on_select=choose)
    st.caption("Each row shows what became of the pixels of a class in truth. Click a cell to see where they are.")
    wrong = [(each.truth, each.predicted) for each in confusion.confused(background=True)]
    return wrong + [(number, number) for number in range(len(confusion.names)) if confusion.matrix[number, number]]


def _table(confusion: ClassConfusion) -> list[Cell]:
    """Draw the largest confusions as a table; return them."""
    largest = confusion.confused(background=True)[:MOST_CLASSES]
    rows = [
        {
            "In truth": confusion.names[each.truth],
            "In the masks": confusion.names[each.predicted],
            "Pixels": each.pixels,
            "Share of the class in truth": each.share,
        }
        for each in largest
    ]
    formats = {
        "Pixels": st.column_config.NumberColumn(format="localized"),
        "Share of the class in truth": st.column_config.NumberColumn(format="percent"),
    }
    st.dataframe(rows, hide_index=True, column_config=formats)
    st.caption(f"The {MOST_CLASSES} largest confusions: a matrix of {len(confusion.names)} classes cannot be read.")
    return [(each.truth, each.predicted) for each in largest]


def _images(head: RunHead, results: ClassResults, cells: list[Cell]) -> None:
    """Draw the choice of a cell and the images that most of its pixels are from, with links to the gallery."""
    if not cells:
        return
    confusion, key = results.confusion, _cell_key(head.id)
    if st.session_state.get(key) not in cells:
        st.session_state[key] = cells[0]

    def words(cell: Cell) -> str:
        truth, predicted = (confusion.names[number] for number in cell)
        pixels = f"{confusion.matrix[cell]:,} pixels, {confusion.shares[cell]:.1%} of {truth}"
        return f"{truth}, correct ({pixels})" if cell[0] == cell[1] else f"{predicted} for {truth} ({pixels})"

    cell = st.selectbox("Where", cells, format_func=words, key=key, width=520)
    with st.container(horizontal=True, gap="small"):
        for image in results.most_of(*cell, MOST_IMAGES):
            with st.container(width=IMAGE_PX, gap="xxsmall"):
                _image(head, image)


def _image(head: RunHead, image: ImagePixels) -> None:
    pictures.thumbnails([urls.thumbnail(head.dataset_id, image.image_id)], 100)
    st.page_link(
        "views/gallery/page.py",
        label=wording.escaped(image.name.rpartition("/")[2]),
        icon=":material/image_search:",
        query_params={"run": head.id, "image": image.image_id},
    )
    st.caption(f"{image.pixels:,} pixels")


def _cell_key(run_id: str) -> str:
    return f"runs-cell-{run_id}"

"""The form that adds masks to images that are there: as their truth, or as a mask set."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.datasets import DatasetView
from dashboard.facts.wording import escaped
from dashboard.server import resources
from dashboard.ui.import_form import ChosenSource, source_form
from dashboard.ui.import_plan import draw_mask_plan
from dashboard.ui.uploader import forget_upload
from db import datasets, names, submissions
from db.models import LabelSet
from engine import VERSION

TRUTH, LABELS = "Truth", "Mask set"
_ABOUT = {
    TRUTH: "The masks become the truth of the images that have their names; truth that these have already is "
    "replaced. Scores compare with truth.",
    LABELS: "The masks of another tool, of a person or of an earlier run become a mask set. A network can be "
    "trained on it, and it is scored against truth where there is truth.",
}


def masks_form(view: DatasetView, *, key: str) -> None:
    """Draw the form; a submitted import opens the page that shows it."""
    what = st.segmented_control("What are the masks?", [TRUTH, LABELS], default=TRUTH, required=True, key=f"{key}-what")
    st.caption(_ABOUT[what or TRUTH])
    chosen = source_form(key=key, masks=True)
    if chosen is None:
        return
    with resources.database().reading() as session:
        images = datasets.named_images(session, view.id)
        proposal = names.free_name(session, LabelSet, f"{view.name} {chosen.name or 'masks'}"[:180])
    decided = draw_mask_plan(chosen, images)
    name = ""
    if what == LABELS:
        name = st.text_input("Name of the mask set", proposal, key=f"{key}-name-{chosen.place}", max_chars=200)
    pressed = st.button(
        "Add truth" if what == TRUTH else "Add mask set",
        type="primary",
        icon=":material/stacks:",
        disabled=decided is None,
        key=f"{key}-start",
    )
    if pressed and decided:
        _start(view, what or TRUTH, decided, name, key)


def _start(view: DatasetView, what: str, chosen: ChosenSource, name: str, key: str) -> None:
    try:
        resources.hand_over(chosen.source)
        with resources.database().writing() as session:
            if what == TRUTH:
                job = submissions.submit_truth(session, view.id, chosen.source)
            else:
                origin = chosen.name or chosen.words
                _, job = submissions.submit_masks(session, view.id, name, chosen.source, origin, VERSION)
    except (datasets.InUse, names.NameTaken, submissions.NotReady) as error:
        st.error(escaped(str(error)))
        return
    resources.launcher().submit(job.id)
    forget_upload(key)
    st.toast(f"Importing {escaped(chosen.words)}.", icon=":material/upload:")
    page = "views/datasets/page.py" if what == TRUTH else "views/labels/page.py"
    st.switch_page(page, query_params={"dataset": view.id})

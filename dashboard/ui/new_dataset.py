"""The form that imports images into a new dataset, and the start of any import."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts.wording import escaped
from dashboard.server import resources
from dashboard.ui.import_form import ChosenSource, source_form
from dashboard.ui.import_plan import draw_import_plan
from dashboard.ui.uploader import forget_upload
from db import names, submissions
from db.columns import utc_now
from db.models import Dataset

PAGE = "views/datasets/page.py"
SAMPLE_NAME = "Sample scenes"
KEY = "import"


def new_dataset(*, sample: bool = True) -> None:
    """Draw the form; a started import opens the page of its dataset."""
    if rights.only_looking("Importing"):
        return
    # The button is right below the files, because nothing below it is required.
    files, start, options = st.container(), st.container(), st.container()
    with files:
        chosen = source_form(key=KEY, sample=sample, options=options)
        if chosen is None:
            return
        decided = draw_import_plan(chosen, options)
    with start:
        _name_and_start(chosen, decided)


def _name_and_start(chosen: ChosenSource, decided: ChosenSource | None) -> None:
    with resources.database().reading() as session:
        proposal = names.free_name(session, Dataset, chosen.name or f"Images {utc_now():%Y-%m-%d}")
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    # The key follows the source, so that another folder or zip proposes its own name.
    field = f"{KEY}-name-{chosen.place}"
    name = left.text_input("Name of the dataset", proposal, key=field, max_chars=200)
    with resources.database().reading() as session:
        problem = names.problem(session, Dataset, name)
        free = names.free_name(session, Dataset, name)
    pressed = right.button(
        "Import",
        type="primary",
        icon=":material/download:",
        disabled=decided is None or bool(problem),
        key=f"{KEY}-start",
        width="stretch",
    )
    if problem:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.error(escaped(problem), width="stretch")
            if name.strip():
                update = st.session_state.update
                st.button(f"Use {escaped(free)}", key=f"{KEY}-free-name", on_click=update, args=({field: free},))
    elif pressed and decided:
        import_new(name, decided)


def import_new(name: str, chosen: ChosenSource) -> None:
    """Start the import of a source into a new dataset, and open its page."""
    try:
        resources.hand_over(chosen.source)
        with resources.database().writing() as session:
            dataset, job = submissions.submit_import(session, name, chosen.source)
    except names.NameTaken as error:  # by somebody else, meanwhile
        st.error(escaped(str(error)))
        return
    start_import(job.id, dataset.id, chosen.words)


def import_sample() -> None:
    """Start the import of the sample set, and open its page."""
    with resources.database().reading() as session:
        name = names.free_name(session, Dataset, SAMPLE_NAME)
    import_new(name, ChosenSource({"kind": "sample"}, SAMPLE_NAME, "the sample set"))


def start_import(job_id: str, dataset_id: str, words: str) -> None:
    """Start a worker for a submitted import, and show its dataset."""
    resources.launcher().submit(job_id)
    for key in (KEY, "more"):
        forget_upload(key)
    st.toast(f"Importing {escaped(words)}.", icon=":material/upload:")
    st.switch_page(PAGE, query_params={"dataset": dataset_id})

"""The dialog that removes the truth of a dataset."""

from __future__ import annotations

import streamlit as st

from dashboard.facts.datasets import DatasetView
from dashboard.facts.wording import count, escaped
from dashboard.server import resources
from dashboard.ui.confirm import deletion_buttons
from db import dataset_truth
from engine.store import keys as stored


@st.dialog("Remove the truth of this dataset?", icon=":material/delete:")
def confirm_truth_removal(view: DatasetView) -> None:
    """Draw the dialog."""
    masks = count(view.truth, "truth mask")
    st.markdown(
        f"The {masks} of **{escaped(view.name)}**, their classes and all scores against them are deleted permanently."
    )
    st.caption("Images, mask sets and trained models are kept, and so are the files that you imported.")
    deletion_buttons(lambda: _remove(view.id), "The truth is removed.")


def _remove(dataset_id: str) -> None:
    with resources.database().writing() as session:
        dataset_truth.remove_truth(session, dataset_id)
    resources.artifacts().delete(stored.truth_folder(dataset_id))

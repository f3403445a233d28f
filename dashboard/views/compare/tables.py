"""The tables of the Compare page: the numbers of the runs, and their different settings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.facts import wording
from dashboard.facts.scores import upper_first
from dashboard.server.class_tables import class_table
from dashboard.views.compare.class_scores import class_scores
from dashboard.views.compare.facts import ComparedRun, all_settings
from dashboard.views.compare.shared_images import SharedImages

# Orange that keeps the text readable in both themes.
HIGHLIGHT = "background-color: rgba(230, 159, 0, 0.25)"


def numbers(compared: Sequence[ComparedRun], shared: SharedImages | None) -> None:
    """Draw one column for each run: means over the shared images, then its epochs against what it was trained on."""
    comparable = _shared_means(shared) if shared is not None and shared.reference else {}
    rows = {name: [wording.score(means.get(run.id)) for run in compared] for name, means in comparable.items()}
    if any(run.weights for run in compared):
        rows["Pretrained weights"] = [wording.escaped(run.weights or "none") for run in compared]
    rows["Epochs measured against"] = [wording.escaped(run.measured_against) for run in compared]
    for words, name in (("soft Dice", "val_dice"), ("IoU", "val_iou"), ("loss", "val_loss")):
        rows[f"Best epoch's {words}"] = [wording.score(run.best.get(name)) for run in compared]
        rows[f"Last epoch's {words}"] = [wording.score(run.last.get(name)) for run in compared]
    rows |= {
        "Best epoch": [_whole(run.best_epoch) for run in compared],
        "Epochs": [_whole(run.last_epoch) for run in compared],
        "Duration": [wording.duration(run.seconds) for run in compared],
        "Parameters": [_whole(run.parameter_count) for run in compared],
    }
    # A table whose text wraps, so that nothing is cut off.
    st.table(pd.DataFrame(rows.values(), rows.keys(), [wording.escaped(run.name) for run in compared]))
    several = ""
    if any(run.classes for run in compared):
        several = " Of a run with several classes they are means over these."
        if comparable and shared is not None and shared.by_class:
            several += " The scores of the masks are those of the chosen class, at threshold 0.50."
        elif comparable:
            several += " The scores of the masks, over shared images, are those of foreground, also for these runs."
    st.caption(
        "Soft Dice and IoU of the epochs are over all pixels of each run's own validation images together; the loss is "
        f"the mean over these images.{several}"
    )


def _whole(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _shared_means(shared: SharedImages) -> dict[str, dict[str, float | None]]:
    """Return {column: {run id: mean}} of comparable scores: same images, reference and threshold."""
    title = upper_first(shared.score_title)
    ids = [run.id for run in shared.runs]
    found = {}
    for held_out_only, what in ((False, "shared image"), (True, "image")):
        scored, means = shared.means(held_out_only)
        if scored:
            found[f"{title}, {wording.count(scored, what)}{' held out from all runs' if held_out_only else ''}"] = means
    return {name: dict(zip(ids, means, strict=True)) for name, means in found.items()}


def classes(shared: SharedImages) -> None:
    """Draw the scores of each class of the runs, by its name, over the shared images; nothing without classes."""
    found = class_scores(shared, class_table)
    if found is None:
        return
    st.header("Classes")
    kinds = {"Dice vs truth": found.dice, "IoU vs truth": found.iou}
    kind = st.segmented_control("Score", list(kinds), default="Dice vs truth", required=True, key="class-score")
    table = pd.DataFrame(kinds[kind], pd.Index(found.names, name="Class"), [run.name for run in shared.runs], float)
    st.dataframe(table.style.format("{:.3f}"), placeholder="–")
    held_out = " held out from all runs" if found.held_out else ", training images of some of these runs among them"
    st.caption(
        f"{kind} over all pixels of {wording.count(found.images, 'image')}{held_out}, at mask threshold 0.5. "
        "Classes are compared by name. A dash: the run does not have the class or was not compared with truth of its "
        "classes, or the class occurs in none of these images."
    )


@st.fragment
def settings(compared: Sequence[ComparedRun]) -> None:
    """Draw the settings that differ, or on request all settings with the differences highlighted."""
    st.header("Different settings")
    if len(compared) < 2:
        st.caption("Choose a second run to see differences.")
        return
    found = all_settings(compared)
    differing = [setting for setting in found if setting.differs]
    every = st.toggle(f"Show all {len(found)} settings", key="settings", bind="query-params")
    if not differing:
        st.caption("Nothing: these runs have the same dataset, reference and parameters.")
    if not every and not differing:
        return
    shown = found if every else differing
    # The settings are the index, because a run may have any name, even "Setting".
    index = pd.Index([setting.name for setting in shown], name="Setting")
    cells = [[_shown(setting.name, value) for value in setting.values] for setting in shown]
    table = pd.DataFrame(cells, index, columns=[wording.escaped(run.name) for run in compared])
    marks = [[_mark(value, setting.values) for value in setting.values] for setting in shown]
    styled = table.style.apply(lambda _: pd.DataFrame(marks, index, table.columns), axis=None)
    st.table(styled)
    if differing:
        st.caption(f"Highlighted: differs from the first run, {wording.escaped(compared[0].name)}.")


def _shown(name: str, value: str) -> str:
    """Return a value as Markdown: only names that people gave can look like it."""
    return wording.escaped(value) if name in ("Dataset", "Trained on") else value


def _mark(value: str, values: Sequence[str]) -> str:
    return HIGHLIGHT if value != values[0] else ""

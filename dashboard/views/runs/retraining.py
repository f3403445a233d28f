"""Training a run again on what people corrected since, and the old run beside the new one."""

from __future__ import annotations

import streamlit as st

from dashboard.access import rights
from dashboard.facts import wording
from dashboard.facts.retraining import OldAndNew
from dashboard.server import resources
from dashboard.server.retrainings import old_and_new
from dashboard.views.runs.facts import LiveStatus, RunHead
from db import jobs, retraining, submissions
from db.models import LabelSet, Run
from db.names import NameTaken
from db.submissions import NotReady
from engine import VERSION
from engine.labelling.base import learns_from_corrections
from engine.prediction.old_and_new import IN_WORDS

NOTHING_NEW = "No image was corrected since this run began. Open an image in the gallery and switch on Correct."


def retrain_button(head: RunHead, status: LiveStatus) -> None:
    """Draw the button that trains a run again, with the number of images that were corrected since."""
    anew = False
    with resources.database().reading() as session:
        run = session.get(Run, head.id)
        if head.label_set_id:
            anew = learns_from_corrections(session.get_one(LabelSet, head.label_set_id).method)
        new = retraining.news(session, run) if run is not None else 0
        latest = retraining.newest(session, head.id)
        job = jobs.find(session, latest.job_id) if latest is not None else None
    problem = "" if new else NOTHING_NEW
    if latest is not None and job is not None and not job.status.ended:
        problem = f"{latest.name!r} is being trained on the corrections."
    elif status.live:
        problem = "Wait for this run to end, or stop it."
    label = f"Retrain with corrections ({wording.count(new, 'new', 'new')})" if new else "Retrain with corrections"
    if rights.button(
        label, icon=":material/autorenew:", disabled=bool(problem), help=problem or None, key="run-retrain"
    ):
        _retrain(head, status, new, anew)


@st.dialog("Retrain with corrections")
def _retrain(head: RunHead, status: LiveStatus, new: int, anew: bool) -> None:
    corrected = f"{wording.count(new, 'image').capitalize()} {'was' if new == 1 else 'were'} corrected since"
    st.markdown(
        f"{corrected} **{wording.escaped(head.name)}** began. A new run with the same settings learns from all "
        "corrections of the dataset, and is compared with this one."
    )
    warm = st.toggle(
        "Start from the last weights",
        disabled=not status.has_model,
        help="Else it starts as this run did. A network that is trained on and on tends to forget what it knew.",
        key="run-retrain-warm",
    )
    notes = []
    if anew:
        notes.append("Its labels learn from corrections, so they are computed anew first, as another mask set.")
    if status.seconds is not None:
        notes.append(f"This run took {wording.duration(status.seconds)} to train; expect about as long.")
    if notes:
        st.caption(" ".join(notes))
    if not st.button("Retrain", type="primary", icon=":material/play_arrow:", key="run-retrain-go"):
        return
    try:
        with resources.database().writing() as session:
            run, job = submissions.submit_retrain(session, head.id, warm, "", VERSION, anew)
    except (NameTaken, NotReady) as error:
        st.error(wording.escaped(str(error)), icon=":material/error:")
        return
    resources.launcher().submit(job.id)
    st.query_params["run"] = run.id
    st.rerun()


def comparisons(head: RunHead) -> None:
    """Draw the run beside the one that it was trained again from, and beside the newest that came from it."""
    with resources.database().reading() as session:
        run, later = session.get(Run, head.id), retraining.newest(session, head.id)
        earlier = retraining.origin(session, run) if run is not None else None
        warm = run is not None and earlier is not None and run.details["retrained"]["warm"]
    found = {run_id: old_and_new(run_id) for run_id in (head.id, later.id if later is not None else None) if run_id}
    if earlier is not None and found[head.id] is None:
        begun = ", beginning with its last weights" if warm else ""
        st.caption(
            f"Trains **{wording.escaped(earlier.name)}** again with all corrections{begun}. Once it has masks, both "
            "are compared here."
        )
    for each in found.values():
        if each is not None:
            _comparison(each)


def _comparison(found: OldAndNew) -> None:
    old, new = wording.escaped(found.old_name), wording.escaped(found.new_name)
    with st.container(border=True, key=f"old-and-new-{found.new_id}"):
        st.markdown(f"**Old against new:** *{old}* before, and *{new}* after training with corrections")
        lines = ["| | Images | Old | New |", "|:--|--:|--:|--:|"]
        lines += [_row(IN_WORDS[each.reference], each.images, each.old, each.new) for each in found.measures]
        if found.old_dice is not None and found.new_dice is not None:
            lines.append(
                _row(
                    "Dice vs corrections :small[(the new one learned them)]",
                    found.corrected,
                    found.old_dice,
                    found.new_dice,
                )
            )
        st.markdown("\n".join(lines) if lines[2:] else "They share no image that neither was trained on.")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"*Predict* starts with **{wording.escaped(found.preferred_name)}**: {wording.escaped(found.reason)}.",
                width="stretch",
            )
            other_id, other = (found.old_id, "old") if found.preferred_id == found.new_id else (found.new_id, "new")
            rights.button(
                f"Prefer the {other} one",
                icon=":material/swap_horiz:",
                on_click=_keep,
                args=(found.new_id, other_id),
                key=f"prefer-{found.new_id}",
            )
            st.page_link(
                "views/compare/page.py",
                label="Compare their masks",
                icon=":material/compare:",
                query_params={"runs": f"{found.old_id},{found.new_id}"},
            )
        st.caption(_explained(found))


def _row(name: str, images: int, old: float, new: float) -> str:
    change = f" :{'green' if new > old else 'orange'}[{new - old:+.3f}]" if new != old else ""
    return f"| {name} | {images:,} | {wording.score(old)} | {wording.score(new)}{change} |"


def _explained(found: OldAndNew) -> str:
    parts = []
    if found.images:
        parts.append(f"{found.changed:,} of {wording.count(found.images, 'mask')} changed.")
    if found.measures:
        parts.append("Scores are of images that neither run was trained on.")
    if found.corrected:
        parts.append("The new run was trained on these corrections, so its Dice against them is no test of it.")
    if found.decisive is None:
        parts.append("An audit can tell which is the better: labels may be wrong where people corrected masks.")
    return " ".join(parts)


def _keep(new_id: str, kept_id: str) -> None:
    with resources.database().writing() as session:
        retraining.keep(session, new_id, kept_id)

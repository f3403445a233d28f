"""What a run that has ended is worth: its masks at their worst and best, one score, and what happened."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from dashboard.facts import train, urls, wording
from dashboard.facts.mask_doubts import cover_doubt
from dashboard.facts.reference_maps import label_maps, truth_maps
from dashboard.facts.run_metrics import Reference
from dashboard.facts.scores import upper_first
from dashboard.server.resources import database, settings
from dashboard.ui.mask_grid import Tile, Tone, mask_grid
from dashboard.ui.status import doubt
from dashboard.views.runs.advice import Advice
from dashboard.views.runs.facts import LiveStatus, RunHead, run_facts
from dashboard.views.runs.image_facts import ImageFacts, Rank, ScoredImage
from dashboard.views.runs.live_facts import version
from dashboard.views.runs.story import SCORE, Story, story
from db import predictions
from db.columns import utc_now
from engine.training.run_details import DICE_NAME, label_share_words

TILE_PX, MAP_PX = 190, 384
TONES: dict[Rank, Tone] = {"worst": "bad", "typical": "neutral", "best": "good"}
ADVICE_PAGES = {
    "train": ("Open on the Train page", "views/train/page.py", ":material/model_training:"),
    "labels": ("Go to Masks", "views/labels/page.py", ":material/auto_fix_high:"),
    "gallery": ("Show in the gallery", "views/gallery/page.py", ":material/grid_view:"),
}
ONLY_LABELS = "It measures how well the network learned its labels. Only truth can show whether they are right."


@dataclass(frozen=True)
class Outcome:
    """A run's masks of its validation images, None while it has none, and its summary."""

    images: ImageFacts | None
    summary: Story | None


def read_outcome(head: RunHead, status: LiveStatus, prediction_set_id: str | None) -> Outcome:
    """Return what a run that has ended is worth, cached until any of it changes."""
    with database().reading() as session:
        stamp = predictions.stamp(session, prediction_set_id) if prediction_set_id else ""
    return _read(head.id, version(status), stamp, head.truth_version)


def outcome(head: RunHead, status: LiveStatus, found: Outcome, prediction_set_id: str | None) -> bool:
    """Draw the masks and the summary of a run that has ended; return whether there are masks."""
    shown = found.images is not None and prediction_set_id is not None
    if found.images is not None and prediction_set_id is not None:
        _examples(head, found.images, prediction_set_id, of_labels=status.label_share == 1)
        overlap = found.images.overlap
        doubt(cover_doubt(overlap.area, overlap.images, "use them"))
    if found.summary is not None:
        _summary(head, found.summary)
    return shown


@st.cache_data(max_entries=64, show_spinner="Reading the run …")
def _read(run_id: str, version: str, stamp: str, truth_version: int) -> Outcome:
    """Return facts and summary of a run. The arguments after the first identify the state they are of."""
    with database().reading() as session:
        facts = run_facts(session, run_id, utc_now(), settings().lost_after_s)
    return Outcome(facts.images, story(facts)) if facts is not None else Outcome(None, None)


def _examples(head: RunHead, images: ImageFacts, prediction_set_id: str, *, of_labels: bool) -> None:
    """Draw masks of validation images; a click opens the image in the gallery.

    Args:
        of_labels: the masks are the labels, in which a comparison with the labels would find no error.
    """
    without_errors = of_labels and images.reference == "pseudo-label"
    tiles = [_tile(head, images.reference, prediction_set_id, rank, image) for rank, image in images.examples]
    if without_errors:
        tiles = [replace(tile, reference=None) for tile in tiles]
        st.caption("The labels of validation images, with the network's agreement.")
    chosen = mask_grid(
        tiles,
        key=f"runs-examples-{head.id}",
        mode="fill" if without_errors else "errors",
        tile_px=TILE_PX,
        opacity=0.6,
    )
    if chosen:
        st.switch_page("views/gallery/page.py", query_params={"run": head.id, "image": chosen})


def _tile(head: RunHead, compared_with: Reference, prediction_set_id: str, rank: Rank, image: ScoredImage) -> Tile:
    image_id = image.image_id
    if compared_with == "pseudo-label" and head.label_set_id:
        reference = label_maps(head.label_set_id, image_id, MAP_PX, in_classes=False)
    else:
        reference = truth_maps(
            head.dataset_id, image_id, MAP_PX, run_id=head.id, in_classes=None, version=head.truth_version
        )
    return Tile(
        id=image_id,
        title=image.name.rpartition("/")[2],
        image=urls.image(head.dataset_id, image_id, MAP_PX),
        mask=urls.prediction(prediction_set_id, image_id, MAP_PX),
        reference=reference.levels,
        subtitle=rank,
        badge=wording.score(image.dice),
        tone=TONES[rank],
    )


def score(head: RunHead, status: LiveStatus, images: ImageFacts | None) -> None:
    """Draw the one score that stands for the run, with its reference and the images it is a mean of."""
    during = (
        f"While it trained, its best epoch had a {_lower(DICE_NAME[head.reference])} of "
        f"{wording.score(status.best_val_dice)}: of probabilities without a threshold, over all pixels together."
        if status.best_val_dice is not None
        else ""
    )
    if images is None:
        if status.best_val_dice is None:
            return
        label, note = f"{DICE_NAME[head.reference]}, validation, best epoch ({status.best_epoch})", ""
        value, explained = wording.score(status.best_val_dice), "It has no masks of its images yet."
    else:
        overlap = images.overlap
        foreground = "foreground " if head.classes else ""
        many = wording.count(overlap.images, "validation image")
        label, note = upper_first(foreground + SCORE[images.reference]), f"mean per image, {many}"
        value, explained = wording.score(overlap.dice), f"Mean over {many}, of masks at threshold 0.5."
        if overlap.interval is not None:
            low, high = overlap.interval
            explained += f" For images like these it lies between {low:.2f} and {high:.2f} (95 % certainty)."
        explained = f"{explained} {during}"
    if (images.reference if images else head.reference) == "pseudo-label":
        explained = f"{explained} {ONLY_LABELS}"
    of_labels = label_share_words(status.label_share) if images and images.reference == "truth" else ""
    notes = " · ".join(filter(None, (note, of_labels, status.weights)))
    st.metric(label, value, notes or None, "off", help=explained.strip(), delta_arrow="off", width="content")


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]


def _summary(head: RunHead, summary: Story) -> None:
    st.subheader("What happened")
    if summary.sentences:
        st.markdown("\n".join(f"- {sentence}" for sentence in summary.sentences))
    for number, advice in enumerate(summary.advice):
        _suggestion(head, advice, number)
    if not (summary.details or summary.weakest):
        return
    with st.expander("More about it", icon=":material/subject:"):
        st.markdown("\n".join(f"- {sentence}" for sentence in summary.details))
        if summary.weakest:
            st.caption(f"The weakest validation images, by {_lower(summary.weakest_score)}:")
        with st.container(horizontal=True, gap="small"):
            for image in summary.weakest:
                st.page_link(
                    "views/gallery/page.py",
                    label=f"{wording.escaped(image.name.rpartition('/')[2])} ({image.dice:.2f})",
                    icon=":material/image_search:",
                    query_params={"run": head.id, "image": image.image_id},
                )


def _suggestion(head: RunHead, advice: Advice, number: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"run-advice-{number}"):
        st.markdown(
            f"Worth changing next: **{advice.setting}**: {advice.now} → **{advice.proposed}**. {advice.evidence}",
            width="stretch",
        )
        if advice.page == "runs":
            return
        label, page, icon = ADVICE_PAGES[advice.page]
        if advice.page != "train":
            st.page_link(page, label=label, icon=icon, query_params=advice.query)
        elif st.button(label, icon=icon, key=f"run-advice-{number}-open"):
            # What was entered there for this run before would take precedence over the URL.
            st.session_state.pop(f"{train.form_key(head.known_preset, head.id)}-begin", None)
            st.switch_page(page, query_params=advice.query)

"""Contents of the report and the model card of a run: training data, course, and scores with their reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engine.core.network_parameters import ModelParams
from engine.core.run_config_text import ConfigRow
from engine.core.run_parameters import DataParams
from engine.imaging.class_confusion import ClassConfusion
from engine.training.run_details import DICE_NAME, Reference

_FRAMINGS = {
    "pad": "The whole picture is scaled so that its longer side is {side} px, put into the middle of a square of "
    "{side} × {side} px, and mirrored at its edges to fill it.",
    "crop": "The picture is scaled so that its shorter side is {side} px and cut into overlapping squares of "
    "{side} × {side} px; where they overlap their answers are blended.",
    "stretch": "The picture is bent into a square of {side} × {side} px, and the answer is bent back.",
    "tiles": "The picture is scaled by {scale:g} and cut into overlapping squares of {side} × {side} px; where they "
    "overlap their answers are blended.",
}


@dataclass(frozen=True)
class Score:
    """One number in [0, 1] with the words that say what it was measured against, and on what."""

    name: str
    value: float
    on: str


@dataclass(frozen=True)
class ImageCount:
    """The number of objects in the mask of one image: of all classes, and of class 1, 2, …"""

    name: str
    objects: int
    of_class: tuple[int, ...]


@dataclass(frozen=True)
class RunFacts:
    """A run as it stands. `metrics` are {epoch, counted from 1: {name: value}}; Dice in them is against `reference`.

    `method` is the recipe of the mask set that it was trained on; empty for truth. `weights` names the data that its
    encoder was pretrained on, `label_weights` the pretrained weights that helped its labels; empty without.
    `imported_from` says where imported masks are from, else empty.
    `classes` names the classes that it tells apart, background first; empty if that is foreground alone.
    `class_colours` are theirs, "#RRGGBB"; `confusion` is that of its masks of validation images with truth. `counts`
    are those of its masks of its dataset, an image each; empty if they were not counted.
    """

    name: str
    dataset: str
    images: int
    train_images: int
    validation_images: int
    trained_on: str
    method: str
    reference: Reference
    preset: str
    weights: str
    hardware: str
    parameters: int | None
    created_at: datetime
    code_version: str
    seconds: float | None
    ended: str
    best_epoch: int | None
    epochs: int
    rounds: int
    scores: tuple[Score, ...]
    settings: tuple[ConfigRow, ...]
    metrics: dict[int, dict[str, float]]
    model: ModelParams
    data: DataParams
    imported_from: str = ""
    classes: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    confusion: ClassConfusion | None = None
    counts: tuple[ImageCount, ...] = ()
    label_weights: str = ""


@dataclass(frozen=True)
class ReportTile:
    """An image and its mask against a reference. `image` is uint8 (H, W, 3), the others are class maps, uint8 (H, W).

    `apart` says that the reference has the mask's classes, too; otherwise they are compared as foreground.
    """

    name: str
    score: float
    image: np.ndarray
    mask: np.ndarray
    reference: np.ndarray
    apart: bool = False


@dataclass(frozen=True)
class TileRow:
    """Tiles under a heading; `score_name` says what their scores were measured against."""

    heading: str
    score_name: str
    tiles: Sequence[ReportTile]


def framing_sentence(facts: RunFacts) -> str:
    """Return how a picture becomes what the network sees."""
    return _FRAMINGS[facts.data.framing].format(side=facts.model.image_size, scale=facts.data.tile_scale)


def teacher_sentence(facts: RunFacts) -> str:
    """Return what it learned from, and what its scores therefore mean."""
    if facts.reference == "truth":
        return f"It learned from the truth masks of {facts.dataset!r}: scores against truth say how often it is right."
    if facts.imported_from:
        return (
            f"It was trained on {facts.trained_on}: masks imported from {facts.imported_from}. Agreement with them "
            "measures how well they were learned, not whether they are right; only truth shows that."
        )
    recipe = f" ({facts.method})" if facts.method else ""
    return (
        f"It was trained on pseudo-labels: {facts.trained_on}{recipe}. "
        "Agreement with them measures how well they were learned, not whether they are right; only truth shows that."
    )


def weights_sentence(facts: RunFacts) -> str:
    """Return what the network began from and what helped its labels, which every score owes something to."""
    began = "It began from random weights."
    if facts.weights:
        began = f"Its encoder began from weights learned on {facts.weights}, which every score here owes something to."
    if not facts.label_weights:
        return began
    return f"{began} Its labels were computed with {facts.label_weights}, which every score here owes something to."


def story(facts: RunFacts) -> list[str]:
    """Return the run in plain sentences, each computed from its numbers."""
    found = [teacher_sentence(facts), weights_sentence(facts)]
    if facts.ended:
        found.append(facts.ended)
    best = facts.metrics.get(facts.best_epoch or 0, {})
    if "val_dice" in best:
        name = DICE_NAME[facts.reference]
        found.append(
            f"Its best epoch is {facts.best_epoch} of {facts.epochs}: {name[:1].lower()}{name[1:]} of "
            f"{best['val_dice']:.3f} over all validation pixels."
        )
    if "dice" in best and "val_dice" in best:
        found.append(_gap_sentence(best["dice"], best["val_dice"]))
    if facts.confusion is not None and (pairs := facts.confusion.often_confused):
        names = facts.confusion.names
        said = [
            f"{names[p.predicted]} for {names[p.truth]} ({p.share:.0%} of the pixels of {names[p.truth]})"
            for p in pairs
        ]
        found.append(f"Its masks confuse most often {'; '.join(said)}.")
    return found


def _gap_sentence(learned: float, unseen: float) -> str:
    """Return how scores on images it learned from compare with those on images it never saw."""
    if abs(learned - unseen) < 0.03:
        how = "about as well on the images it learned from ({:.3f}) as on those it never saw ({:.3f})"
    else:
        word = "better" if learned > unseen else "worse"
        how = f"{word} on the images it learned from ({{:.3f}}) than on those it never saw ({{:.3f}})"
    return f"There it did {how.format(learned, unseen)}."

"""The one or two settings of a run that are most worth changing next, each with what in the run speaks for it.

A rule returns nothing unless a fact warrants it. They are asked in the order of RULES, which is from what spoils a run
to what only polishes it, and the first two answers are given (docs/how-to/read-a-run.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from dashboard.facts import wording
from dashboard.facts.train import assignments
from dashboard.views.runs.curve_facts import CurveFacts
from dashboard.views.runs.run_facts import RunFacts
from engine.core.parameters import ParameterError, parse
from engine.core.run_config import RunConfig, flattened
from engine.core.run_config_text import titles, value_words

MOST = 2
LEARNED_WELL, BEHIND_TRUTH = 0.8, 0.1
"""Agreement from which on a network has learned its labels, and how far truth has to lie below it."""
UNLEARNED = 0.7
"""Below this Dice on the images that teach it, augmented as they are, a network has not learned them."""
SMALL_PX = 24
"""Foreground narrower than this, as a square of the same area at the network's size, counts as small."""
WIDE = 0.1
"""A mean score that is not known better than this is wide."""
ONE_SIDED = 0.15
"""By this much recall and precision have to differ before the loss is told to weigh them differently."""

Page = Literal["train", "labels", "gallery"]


@dataclass(frozen=True)
class Advice:
    """One suggestion: what to change, from what to what, why, and the page that opens with it set."""

    setting: str
    now: str
    proposed: str
    evidence: str
    page: Page
    query: dict[str, str | list[str]] = field(default_factory=dict)


def advice(facts: RunFacts) -> tuple[Advice, ...]:
    """Return at most two suggestions for a run, the most pressing first; none where nothing stands out."""
    if facts.config is None:
        return ()
    found = (rule(facts) for rule in RULES)
    return tuple(each for each in found if each is not None)[:MOST]


def _loss_broke(facts: RunFacts) -> Advice | None:
    jump = facts.curves.jump if facts.curves else None
    lost = "NaN" in facts.reason
    if not lost and jump is None:
        return None
    rate = _round_down(facts.config.training.learning_rate / 3)
    evidence = "The loss became NaN: the learning steps were too large."
    if not lost and jump is not None:
        evidence = f"The training loss jumped in epoch {jump.epoch} from {jump.before:.3g} to {jump.after:.3g}."
    return _setting(facts, "training.learning_rate", rate, evidence)


def _labels_limit(facts: RunFacts) -> Advice | None:
    """The network does what its labels say, and truth says otherwise: another network would learn the same."""
    if facts.label_set_id is None or facts.agreement is None or facts.truth_dice is None:
        return None
    if facts.agreement < LEARNED_WELL or facts.agreement - facts.truth_dice < BEHIND_TRUTH:
        return None
    return Advice(
        setting="The recipe that drew the pseudo-labels",
        now="this run's label set",
        proposed="a better recipe",
        evidence=f"The network agrees with its pseudo-labels (mean Dice {facts.agreement:.3f}), but only "
        f"{facts.truth_dice:.3f} with truth: the labels limit it, not the network.",
        page="labels",
        query={"dataset": facts.dataset_id},
    )


def _parted(facts: RunFacts) -> Advice | None:
    parting = facts.curves.parting if facts.curves else None
    if parting is None:
        return None
    evidence = (
        f"From epoch {parting.epoch} on the validation loss went from {parting.val_loss[0]:.3f} to "
        f"{parting.val_loss[1]:.3f} while the training loss fell: it learns its images by heart."
    )
    config = facts.config
    if not config.augmentation.enabled:
        return _setting(facts, "augmentation.enabled", True, evidence)
    if config.model.uses("base_filters") and config.model.base_filters >= 16:
        return _setting(facts, "model.base_filters", config.model.base_filters // 2, evidence)
    if config.model.dropout < 0.3:
        return _setting(facts, "model.dropout", 0.3, evidence)
    if not config.early_stopping.enabled:
        return _setting(facts, "early_stopping.enabled", True, evidence)
    return None


def _more_epochs(facts: RunFacts) -> Advice | None:
    """Only for a run that came to its own end: one that was stopped is better resumed."""
    curves = facts.curves
    if curves is None or facts.state != "finished" or len(curves.epochs) < facts.config.training.epochs:
        return None
    evidence = _not_learned(curves, facts)
    if curves.verdict == "improving" and curves.trend is not None:
        evidence = (
            f"Validation Dice still rose by {curves.trend.per_epoch:.4f} an epoch (± {curves.trend.unsure:.4f}) over "
            f"the last {curves.trend.epochs} epochs."
        )
    if not evidence:
        return None
    return _setting(facts, "training.epochs", min(2 * facts.config.training.epochs, 10_000), evidence)


def _not_learned(curves: CurveFacts, facts: RunFacts) -> str:
    """A learning rate that falls to nothing flattens every curve, learned or not: what was taught tells them apart."""
    if curves.taught_dice is None or curves.taught_dice >= UNLEARNED or curves.parting is not None:
        return ""
    name = "Dice vs truth" if facts.reference == "truth" else "agreement with the pseudo-label"
    return (
        f"Even on the images that it learned from, its last epoch comes to {name} {curves.taught_dice:.3f} only: "
        "it has not learned them yet."
    )


def _small_objects(facts: RunFacts) -> Advice | None:
    found = (
        next((each for each in facts.images.differences if each.column == "foreground"), None) if facts.images else None
    )
    if found is None or found.weak >= found.rest or facts.config.data.framing == "tiles":
        return None
    size = facts.config.model.image_size
    side = math.sqrt(found.weak) * size
    if side >= SMALL_PX:
        return None
    evidence = (
        f"The weakest fifth of the images has less foreground (median {found.weak:.2%} of the image against "
        f"{found.rest:.2%}): as a square it would be {side:.0f} px wide in what the network sees."
    )
    return _setting(facts, "model.image_size", _larger_size(facts.config), evidence)


def _poor_labels(facts: RunFacts) -> Advice | None:
    found = facts.images.less("label quality") if facts.images else None
    if facts.label_set_id is None or found is None or facts.config.data.drop_worst >= 0.2:
        return None
    evidence = (
        f"The weakest fifth of the images has pseudo-labels of lower label-free quality (median {found.weak:.2f} "
        f"against {found.rest:.2f})."
    )
    return _setting(facts, "data.drop_worst", 0.2, evidence)


def _other_threshold(facts: RunFacts) -> Advice | None:
    images = facts.images
    if images is None or images.better is None or images.better.dice - images.overlap.dice < 0.01:
        return None
    name = "Dice vs truth" if images.reference == "truth" else "agreement with the pseudo-label"
    better = f"{images.better.threshold:.2f}"
    return Advice(
        setting="Mask threshold, in the gallery and for new images",
        now="0.5",
        proposed=better,
        evidence=f"The mean {name} of the validation images would be {images.better.dice:.3f} instead of "
        f"{images.overlap.dice:.3f}.",
        page="gallery",
        query={"run": facts.run_id, "threshold": better},
    )


def _one_sided(facts: RunFacts) -> Advice | None:
    overlap = facts.images.overlap if facts.images else None
    if (
        overlap is None
        or overlap.recall is None
        or overlap.precision is None
        or facts.config.training.loss == "tversky"
    ):
        return None
    if overlap.precision - overlap.recall < ONE_SIDED:
        return None
    evidence = (
        f"It misses more than it invents: recall {overlap.recall:.2f}, precision {overlap.precision:.2f}. The Tversky "
        f"loss counts a miss {(1 - facts.config.training.tversky_alpha):.1f} and a false alarm "
        f"{facts.config.training.tversky_alpha:.1f}."
    )
    return _setting(facts, "training.loss", "tversky", evidence)


def _few_to_judge_by(facts: RunFacts) -> Advice | None:
    share, interval = facts.config.training.validation_split, facts.images.overlap.interval if facts.images else None
    if facts.epochs_done and not facts.validation_images and share == 0:
        evidence = "No image is kept for validation, so no score says how it does on images it has not seen."
        return _setting(facts, "training.validation_split", 0.3, evidence)
    if interval is None or interval[1] - interval[0] <= WIDE or share >= 0.3:
        return None
    evidence = (
        f"Its mean score is only known to lie between {interval[0]:.2f} and {interval[1]:.2f}: "
        f"{wording.count(facts.images.overlap.images, 'validation image')} cannot say more."
    )
    return _setting(facts, "training.validation_split", 0.3, evidence)


def _idle_rounds(facts: RunFacts) -> Advice | None:
    if not facts.rounds or facts.rounds[-1].accepted or len(facts.rounds) < 2:
        return None
    useful = max(sum(view.accepted for view in facts.rounds), 1)
    evidence = f"Round {facts.rounds[-1].number} was not taken over: {wording.escaped(facts.rounds[-1].reason)}"
    return _setting(facts, "self_training.rounds", useful, evidence)


RULES: tuple[Callable[[RunFacts], Advice | None], ...] = (
    _loss_broke,
    _labels_limit,
    _parted,
    _more_epochs,
    _small_objects,
    _poor_labels,
    _other_threshold,
    _one_sided,
    _few_to_judge_by,
    _idle_rounds,
)


def _setting(facts: RunFacts, path: str, value: Any, evidence: str) -> Advice | None:
    """Return the advice to set `path` to `value`, or None if that is what it is, or does not fit the other settings."""
    before = flattened(facts.config)[path]
    group, _, name = path.partition(".")
    values = facts.config.model_dump()
    values[group][name] = value
    try:
        proposed = parse(RunConfig, values)
    except ParameterError:
        return None
    if proposed == facts.config:
        return None
    return Advice(
        setting=" · ".join(titles(path)),
        now=value_words(path, before),
        proposed=value_words(path, value),
        evidence=evidence,
        page="train",
        # Named even where it is the preset's value: an address without any would bring back the run's own
        query={"from": facts.run_id, "p": assignments(facts.preset, proposed) or [f"{path}={value}"]},
    )


def _round_down(value: float) -> float:
    """Return the largest of 1, 2, 3 and 5 times a power of ten that is at most `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    lead = max(each for each in (1, 2, 3, 5) if each * power <= value * (1 + 1e-9))
    return float(f"{lead * power:.0e}")


def _larger_size(config: RunConfig) -> int:
    """Return about one and a half times the image size, as the network's halvings allow."""
    step = config.model.size_step_px
    return min(max(round(1.5 * config.model.image_size / step), 1) * step, 2048 // step * step)

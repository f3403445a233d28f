"""Suggest the one or two settings of a run that are most worth changing next, each with its evidence.

A rule returns None unless a fact supports it. RULES is ordered from what ruins a run to what only refines it, and the
first two suggestions are shown (docs/how-to/read-a-run.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dashboard.facts import wording
from dashboard.facts.run_metrics import SOFT_DICE, Reference
from dashboard.facts.train import assignments
from dashboard.views.runs.curve_facts import CurveFacts
from dashboard.views.runs.facts import RunFacts
from engine.core.parameters import ParameterError, parse
from engine.core.run_config import RunConfig, flattened
from engine.core.run_config_text import titles, value_words

MOST = 2
LEARNED_WELL, BEHIND_TRUTH = 0.8, 0.1
"""Agreement from which a network has learned its labels, and how far the score against truth must lie below it."""
UNLEARNED = 0.7
"""Below this Dice on its own, augmented, training images a network has not learned them."""
SMALL_PX = 24
"""Foreground narrower than this, as a square of the same area at the network's size, counts as small."""
WIDE = 0.1
"""A confidence interval of a mean score that is wider than this calls for more validation images."""
ONE_SIDED = 0.15
"""By how much precision must exceed recall before another loss is suggested."""
SCORE_NAME: dict[Reference, str] = {"truth": "Dice vs truth", "pseudo-label": "agreement with the pseudo-label"}

Page = Literal["train", "labels", "gallery", "runs"]


@dataclass(frozen=True)
class Advice:
    """One suggestion: what to change, the old and new value, why, and the page where it can be set.

    Page "runs" is the page that shows it: its own buttons do it.
    """

    setting: str
    now: str
    proposed: str
    evidence: str
    page: Page
    query: dict[str, str | list[str]] = field(default_factory=dict)


def advice(facts: RunFacts) -> tuple[Advice, ...]:
    """Return at most two suggestions for a run, the most important first."""
    config = facts.config
    if config is None:
        return ()
    if facts.status.label_share and facts.images is not None and facts.images.reference == "truth":
        facts = replace(facts, images=None)  # these masks are in part the labels, and say little of the network
    suggestions = (rule(facts, config) for rule in RULES)
    return tuple(each for each in suggestions if each is not None)[:MOST]


def _loss_broke(facts: RunFacts, config: RunConfig) -> Advice | None:
    jump = facts.curves.jump if facts.curves else None
    lost = "NaN" in facts.status.sentence
    if not lost and jump is None:
        return None
    rate = _round_down(config.training.learning_rate / 3)
    evidence = "The loss became NaN: the learning steps were too large."
    if not lost and jump is not None:
        evidence = f"The training loss jumped in epoch {jump.epoch} from {jump.before:.3g} to {jump.after:.3g}."
    return _setting(facts, config, "training.learning_rate", rate, evidence)


def _stopped_early(facts: RunFacts, config: RunConfig) -> Advice | None:
    status = facts.status
    if status.state != "stopped" or status.epochs_done >= status.epochs_total:
        return None
    done, planned = wording.count(status.epochs_done, "epoch"), wording.count(status.epochs_total, "epoch")
    verb = "Resume it" if facts.head.keeps_last else "Start it over"
    return Advice(verb, done, planned, "It was stopped before it had learned what it could.", "runs")


def _labels_limit(facts: RunFacts, config: RunConfig) -> Advice | None:
    """The network reproduces its labels but not truth: another network would learn the same."""
    if facts.head.label_set_id is None or facts.agreement is None or facts.truth_dice is None:
        return None
    if facts.agreement < LEARNED_WELL or facts.agreement - facts.truth_dice < BEHIND_TRUTH:
        return None
    return Advice(
        setting="The recipe of the pseudo-labels",
        now="this run's mask set",
        proposed="a better recipe",
        evidence=f"The network agrees with its pseudo-labels (mean Dice {facts.agreement:.3f}), but the masks "
        f"reach only {facts.truth_dice:.3f} against truth: the labels are the limit, not the network.",
        page="labels",
        query={"dataset": facts.head.dataset_id},
    )


def _overfit(facts: RunFacts, config: RunConfig) -> Advice | None:
    overfit = facts.curves.overfit if facts.curves else None
    if overfit is None:
        return None
    evidence = (
        f"From epoch {overfit.epoch} on the validation loss went from {overfit.val_loss[0]:.3f} to "
        f"{overfit.val_loss[1]:.3f} while the training loss fell: it overfits."
    )
    if not config.augmentation.enabled:
        return _setting(facts, config, "augmentation.enabled", True, evidence)
    if config.model.uses("base_filters") and config.model.base_filters >= 16:
        return _setting(facts, config, "model.base_filters", config.model.base_filters // 2, evidence)
    if config.model.dropout < 0.3:
        return _setting(facts, config, "model.dropout", 0.3, evidence)
    if not config.early_stopping.enabled:
        return _setting(facts, config, "early_stopping.enabled", True, evidence)
    return None


def _more_epochs(facts: RunFacts, config: RunConfig) -> Advice | None:
    """Only for a run that finished: one that was stopped is better resumed."""
    curves = facts.curves
    if (
        facts.nothing_to_find
        or curves is None
        or facts.status.state != "finished"
        or len(curves.epochs) < config.training.epochs
    ):
        return None
    evidence = _not_learned(curves, facts)
    if curves.verdict == "improving" and curves.trend is not None:
        evidence = (
            f"Validation soft Dice still rose by {curves.trend.per_epoch:.4f} per epoch (± {curves.trend.unsure:.4f}) "
            f"over the last {curves.trend.epochs} epochs."
        )
    if not evidence:
        return None
    return _setting(facts, config, "training.epochs", min(2 * config.training.epochs, 10_000), evidence)


def _not_learned(curves: CurveFacts, facts: RunFacts) -> str:
    """A learning rate near 0 flattens every curve; only the score on training images shows what was learned."""
    if curves.train_dice is None or curves.train_dice >= UNLEARNED or curves.overfit is not None:
        return ""
    return (
        f"Even on its own training images, its last epoch only reaches {SOFT_DICE[facts.head.reference]} "
        f"{curves.train_dice:.3f}: it has not learned them yet."
    )


def _small_objects(facts: RunFacts, config: RunConfig) -> Advice | None:
    found = facts.images.less("foreground") if facts.images else None
    if found is None or config.data.framing == "tiles":
        return None
    side = math.sqrt(found.weak) * config.model.image_size
    if side >= SMALL_PX:
        return None
    evidence = (
        f"The weakest fifth of the images has less foreground (median {found.weak:.2%} of the image against "
        f"{found.rest:.2%}): a square of that area is {side:.0f} px wide at the network's image size."
    )
    return _setting(facts, config, "model.image_size", _larger_size(config), evidence)


def _poor_labels(facts: RunFacts, config: RunConfig) -> Advice | None:
    found = facts.images.less("label quality") if facts.images else None
    if facts.head.label_set_id is None or found is None or config.data.drop_worst >= 0.2:
        return None
    evidence = (
        f"The weakest fifth of the images has pseudo-labels of lower mask plausibility (median {found.weak:.2f} "
        f"against {found.rest:.2f})."
    )
    return _setting(facts, config, "data.drop_worst", 0.2, evidence)


def _other_threshold(facts: RunFacts, config: RunConfig) -> Advice | None:
    images = facts.images
    if images is None or images.better is None or images.better.dice - images.overlap.dice < 0.01:
        return None
    better = f"{images.better.threshold:.2f}"
    return Advice(
        setting="Mask threshold, in the gallery and for new images",
        now="0.5",
        proposed=better,
        evidence=f"The mean {SCORE_NAME[images.reference]} of the validation images would be {images.better.dice:.3f} "
        f"instead of {images.overlap.dice:.3f}.",
        page="gallery",
        query={"run": facts.head.id, "threshold": better},
    )


def _one_sided(facts: RunFacts, config: RunConfig) -> Advice | None:
    overlap = facts.images.overlap if facts.images else None
    if overlap is None or overlap.recall is None or overlap.precision is None or config.training.loss == "tversky":
        return None
    if overlap.precision - overlap.recall < ONE_SIDED:
        return None
    alpha = config.training.tversky_alpha
    evidence = (
        f"It misses more than it adds: recall {overlap.recall:.2f}, precision {overlap.precision:.2f}. The Tversky "
        f"loss weighs a missed pixel by {1 - alpha:.1f} and an added one by {alpha:.1f}."
    )
    return _setting(facts, config, "training.loss", "tversky", evidence)


def _few_validation_images(facts: RunFacts, config: RunConfig) -> Advice | None:
    share, overlap = config.training.validation_split, facts.images.overlap if facts.images else None
    if facts.status.epochs_done and not facts.head.validation_images and share == 0:
        evidence = "No image is kept for validation, so there is no score on unseen images."
        return _setting(facts, config, "training.validation_split", 0.3, evidence)
    if overlap is None or overlap.interval is None or share >= 0.3:
        return None
    low, high = overlap.interval
    if high - low <= WIDE:
        return None
    images = wording.count(overlap.images, "validation image")
    evidence = f"With {images} its mean score is only known to lie between {low:.2f} and {high:.2f}."
    return _setting(facts, config, "training.validation_split", 0.3, evidence)


def _idle_rounds(facts: RunFacts, config: RunConfig) -> Advice | None:
    if not facts.rounds or facts.rounds[-1].accepted or len(facts.rounds) < 2:
        return None
    useful = max(sum(view.accepted for view in facts.rounds), 1)
    evidence = f"Round {facts.rounds[-1].number} was rejected: {wording.escaped(facts.rounds[-1].reason)}"
    return _setting(facts, config, "self_training.rounds", useful, evidence)


RULES: tuple[Callable[[RunFacts, RunConfig], Advice | None], ...] = (
    _loss_broke,
    _stopped_early,
    _labels_limit,
    _overfit,
    _more_epochs,
    _small_objects,
    _poor_labels,
    _other_threshold,
    _one_sided,
    _few_validation_images,
    _idle_rounds,
)


def _setting(facts: RunFacts, config: RunConfig, path: str, value: Any, evidence: str) -> Advice | None:
    """Return the advice to set `path` to `value`, or None if it is set already or conflicts with other settings."""
    before = flattened(config)[path]
    group, _, name = path.partition(".")
    values = config.model_dump()
    values[group][name] = value
    try:
        proposed = parse(RunConfig, values)
    except ParameterError:
        return None
    if proposed == config:
        return None
    # The preset that the page starts from depends on whether there are pretrained weights by then
    changed = [each for weights in (False, True) for each in assignments(facts.head.known_preset, proposed, weights)]
    return Advice(
        setting=" · ".join(titles(path)),
        now=value_words(path, before),
        proposed=value_words(path, value),
        evidence=evidence,
        page="train",
        # Stated even if it is the preset's value: a URL without any assignment would show the run's own settings.
        query={"from": facts.head.id, "p": list(dict.fromkeys(changed)) or [f"{path}={value}"]},
    )


def _round_down(value: float) -> float:
    """Return the largest of 1, 2, 3 and 5 times a power of ten that is at most `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    lead = max(each for each in (1, 2, 3, 5) if each * power <= value * (1 + 1e-9))
    return float(f"{lead * power:.0e}")


def _larger_size(config: RunConfig) -> int:
    """Return about 1.5 times the image size, rounded to a multiple of the network's stride."""
    step = config.model.size_step_px
    return min(max(round(1.5 * config.model.image_size / step), 1) * step, 2048 // step * step)

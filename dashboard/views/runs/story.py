"""A run in plain sentences: how it ended, what its best score means, what the curves say, which images are weakest.

Every sentence is made from a fact of `run_facts`; docs/how-to/read-a-run.md tells the rule behind each.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.facts import wording
from dashboard.facts.rounds import RoundView
from dashboard.facts.run_metrics import Reference
from dashboard.facts.scores import iou_from_dice, upper_first
from dashboard.views.runs.advice import Advice, advice
from dashboard.views.runs.curve_facts import CurveFacts, RateCut, RatePath
from dashboard.views.runs.image_facts import (
    BetterThreshold,
    Difference,
    ImageFacts,
    Overlap,
    SharedGroup,
    WeakImage,
)
from dashboard.views.runs.run_facts import RunFacts
from engine.core.run_config_text import choice_words

SCORE: dict[Reference, str] = {"truth": "Dice vs truth", "pseudo-label": "agreement with the pseudo-label (Dice)"}
SIDE: dict[Reference, str] = {"truth": "truth", "pseudo-label": "the pseudo-label"}
BALANCE = 0.03
"""Recall and precision nearer to each other than this are in balance."""


@dataclass(frozen=True)
class Story:
    """Sentences in Markdown, the weakest images to link to, and at most two pieces of advice."""

    sentences: tuple[str, ...]
    weakest: tuple[WeakImage, ...]
    weakest_score: str
    advice: tuple[Advice, ...]


def story(facts: RunFacts) -> Story:
    """Return what happened in a run that has ended."""
    told = [_ending(facts), *_best(facts)]
    if facts.images is not None:
        told += _masks(facts.images)
    if facts.curves is not None:
        told += _curves(facts.curves, facts)
    told += _rounds(facts.rounds, facts.rounds_total)
    if facts.images is not None:
        told += _weakest(facts.images)
    return Story(
        sentences=tuple(told),
        weakest=facts.images.weakest if facts.images else (),
        weakest_score=upper_first(SCORE[facts.images.reference]) if facts.images else "",
        advice=advice(facts),
    )


def so_far(curves: CurveFacts | None, reference: Reference, best_epoch: int | None) -> str:
    """Return how a run that trains is doing, in one sentence; empty while there is nothing to tell."""
    if curves is None:
        return ""
    if curves.jump is not None:
        jump = curves.jump
        return f"The training loss jumped in epoch **{jump.epoch}**, from {jump.before:.3g} to {jump.after:.3g}."
    if curves.parting is not None:
        return (
            f"Since epoch **{curves.parting.epoch}** validation no longer follows training: its loss went from "
            f"{curves.parting.val_loss[0]:.3f} to {curves.parting.val_loss[1]:.3f}. "
            f"The model of epoch {best_epoch} is the one that is kept."
        )
    if curves.trend is None:
        return ""
    now = {"improving": "is still rising", "falling": "is falling", "settled": "has settled"}
    doing = now.get(curves.verdict, "moves less than its jitter shows")
    return f"{upper_first(SCORE[reference])} on validation {doing} {_slope(curves)}."


def _ending(facts: RunFacts) -> str:
    took = f" and **{wording.duration(facts.seconds)}**" if facts.seconds is not None else ""
    done = f"**{facts.epochs_done} of {wording.count(facts.epochs_total, 'epoch')}**"
    how = {"finished": "It finished", "stopped": "It was stopped", "failed": "It failed"}.get(facts.state, "It stands")
    return f"{how} after {done}{took}. {wording.escaped(facts.reason)}".strip()


def _best(facts: RunFacts) -> list[str]:
    if facts.best_epoch is None:
        return ["It has no model yet, so there is no score."]
    chosen = f"Its best epoch was **{facts.best_epoch}**"
    if facts.config is not None:
        name = facts.config.checkpoint.monitor
        way = "lowest" if name.endswith("loss") else "highest"
        chosen += f", the one with the {way} {choice_words(name).replace('Validation', 'validation')}"
    if facts.best_val_dice is None:
        return [f"{chosen}. No image was kept for validation, so no score says how it does on unseen images."]
    note = f" ({facts.weights})" if facts.weights else ""
    return [
        f"{chosen}: **{SCORE[facts.reference]} {wording.score(facts.best_val_dice)}**{note} over all validation pixels "
        f"together. {overlap_in_words(facts.best_val_dice, facts.reference)}"
    ]


def overlap_in_words(dice: float, reference: Reference) -> str:
    """Return what a Dice score means, by the IoU that belongs to it."""
    both = round(100 * iou_from_dice(dice))
    return f"Of 100 pixels that the network or {SIDE[reference]} marks, **{both}** are marked by both."


def _masks(images: ImageFacts) -> list[str]:
    overlap, name = images.overlap, SCORE[images.reference]
    sure = ""
    if overlap.interval is not None:
        low, high = overlap.interval
        sure = f" (between {low:.2f} and {high:.2f} for images like these, with 95 % certainty)"
    many = wording.count(overlap.images, "validation image")
    return [
        f"Image by image, **{name} is {overlap.dice:.3f}** on average over {many}{sure}. "
        f"{_errors(overlap, images.reference)}",
        _threshold(images.better, overlap, name),
    ]


def _errors(overlap: Overlap, reference: Reference) -> str:
    if overlap.recall is None or overlap.precision is None:
        return "Where nothing is marked, misses and inventions cannot be told apart."
    difference = overlap.recall - overlap.precision
    verdict = "it misses about as much as it invents"
    if abs(difference) >= BALANCE:
        verdict = "**it invents more than it misses**" if difference > 0 else "**it misses more than it invents**"
    return (
        f"It finds {overlap.recall:.0%} of what {SIDE[reference]} marks (recall), and {overlap.precision:.0%} of what "
        f"it marks is right by {SIDE[reference]} (precision): {verdict}."
    )


def _threshold(better: BetterThreshold | None, overlap: Overlap, name: str) -> str:
    if better is None:
        return "No other mask threshold scores clearly better than 0.5."
    return (
        f"At mask threshold **{better.threshold:.2f}** the mean {name} would be **{better.dice:.3f}** instead of "
        f"{overlap.dice:.3f}. It was chosen on these same images, so on new ones it wins a little less."
    )


def _curves(curves: CurveFacts, facts: RunFacts) -> list[str]:
    told = []
    if curves.jump is not None:
        jump = curves.jump
        told.append(
            f"The training loss **jumped in epoch {jump.epoch}**, from {jump.before:.3g} at its lowest to "
            f"{jump.after:.3g}."
        )
    told.append(_course(curves, facts))
    if curves.rate is not None and facts.config is not None:
        told.append(_rate(curves.rate, facts))
    return told


def _course(curves: CurveFacts, facts: RunFacts) -> str:
    name = f"{SCORE[facts.reference]} on validation"
    parting = curves.parting
    if parting is not None:
        return (
            f"**From epoch {parting.epoch} on training and validation part**: the training loss fell on from "
            f"{parting.loss[0]:.3f} to {parting.loss[1]:.3f}, the validation loss went from "
            f"{parting.val_loss[0]:.3f} to {parting.val_loss[1]:.3f}. Validation minus training was "
            f"{parting.gaps[0]:+.3f} there and **{parting.gaps[1]:+.3f}** at the end; {name} went from "
            f"{parting.val_dice[0]:.3f} to {parting.val_dice[1]:.3f}."
        )
    if curves.verdict == "improving":
        return f"It was **still improving when it ended**: {name} rose {_slope(curves)}."
    if curves.verdict == "falling":
        return f"It was getting **worse when it ended**: {name} fell {_slope(curves)}."
    if curves.verdict == "settled":
        steady = f"It had **settled**: {name} no longer rose or fell {_slope(curves)}."
        return f"{steady} Training and validation did not part."
    if curves.verdict == "unclear":
        return f"Whether it was still improving when it ended is not clear: {name} jitters too much {_slope(curves)}."
    if curves.verdict == "few epochs":
        return "It has too few epochs to say whether it had settled."
    return "Without validation images nothing tells whether it learned its images by heart."


def _slope(curves: CurveFacts) -> str:
    trend = curves.trend
    if trend is None:
        return ""
    slope = f"{trend.per_epoch:+.4f}".replace("-", "−")
    return f"({slope} an epoch, ± {trend.unsure:.4f}, over the last {trend.epochs})"


def _rate(rate: RatePath, facts: RunFacts) -> str:
    params = facts.config.training
    schedule = "stayed as it was set" if params.schedule == "constant" else "followed its cosine"
    ends = (
        f"from {rate.highest:.2g} to {rate.last:.2g}" if rate.last < 0.99 * rate.highest else f"at {rate.highest:.2g}"
    )
    warm = f" after {params.warmup_epochs:g} epochs of warm-up" if params.warmup_epochs else ""
    if not rate.cuts:
        why = "" if facts.config.reduce_lr.enabled else " (“Reduce on plateau” is off)"
        return f"The learning rate was not cut{why}: it {schedule}, {ends}{warm}."
    times = "once" if len(rate.cuts) == 1 else f"{len(rate.cuts)} times"
    told = "; ".join(_cut(cut, facts.reference) for cut in rate.cuts[:3])
    return f"The learning rate was **cut {times}** because learning stalled, on top of its schedule: {told}."


def _cut(cut: RateCut, reference: Reference) -> str:
    said = f"after epoch **{cut.epoch}** from {cut.before:.2g} to {cut.after:.2g}"
    if cut.dice is None:
        return said
    helped = "it helped" if cut.helped else "it made no clear difference"
    return f"{said}, and {SCORE[reference]} went from {cut.dice[0]:.3f} to {cut.dice[1]:.3f} around it: {helped}"


def _rounds(views: tuple[RoundView, ...], total: int) -> list[str]:
    if not views or total < 2:
        return []
    told = []
    for view in views:
        gains = [
            f"{comparison.name} {wording.score(comparison.teacher)} → {wording.score(comparison.student)}"
            for comparison in view.comparisons
            if comparison.gain is not None
        ]
        verdict = "accepted" if view.accepted else "not taken over"
        told.append(
            f"round {view.number} was **{verdict}**" + (f" (labels → masks: {', '.join(gains)})" if gains else "")
        )
    missing = f" {total - len(views)} of {total} rounds did not begin." if len(views) < total else ""
    return [f"Of self-training, {'; '.join(told)}.{missing}"]


def _weakest(images: ImageFacts) -> list[str]:
    if images.mean_without is None:
        return []
    count = len(images.weakest)
    which = "The weakest image holds" if count == 1 else f"The **{count}** weakest images hold"
    told = (
        f"{which} the mean down: without {'it' if count == 1 else 'them'} {SCORE[images.reference]} would be "
        f"**{images.mean_without:.3f}** instead of {images.overlap.dice:.3f}."
    )
    return [told, _shared(images)]


def _shared(images: ImageFacts) -> str:
    if not images.compared:
        return f"{images.overlap.images} images are too few to ask what the weakest have in common."
    told = [_difference(difference) for difference in images.differences[:3]]
    if images.group is not None:
        told.append(_group(images.group))
    if not told:
        return "The weakest fifth of the images shares nothing that is stored of them."
    return f"What the weakest fifth shares: {'; '.join(told)}."


_WORDS = {
    # column: (lower, higher, how a value is written)
    "foreground": ("less foreground", "more foreground", "{:.1%}"),
    "pixels": ("smaller images", "larger images", "{:,.0f} pixels"),
    "aspect": ("taller images", "wider images", "{:.2f} wide for 1 high"),
    "uncertainty": ("lower uncertainty", "higher uncertainty", "{:.2f}"),
    "label quality": ("lower label quality", "higher label quality", "{:.2f}"),
    "label dice": ("worse pseudo-labels", "better pseudo-labels", "label's Dice vs truth {:.2f}"),
}


def _difference(difference: Difference) -> str:
    lower, higher, form = _WORDS[difference.column]
    what = lower if difference.weak < difference.rest else higher
    # How strong: the limits of Vargha and Delaney, "A critique and improvement of the CL common language effect
    # size statistics", J. Educ. Behav. Stat. 25(2), 2000, doi:10.3102/10769986025002101.
    strong = "much " if difference.of_100_pairs >= 86 else "clearly " if difference.of_100_pairs >= 71 else "somewhat "
    weak, rest = form.format(difference.weak), form.format(difference.rest)
    return f"{strong}**{what}** (median {weak} against {rest}; true in {difference.of_100_pairs} of 100 pairs)"


def _group(group: SharedGroup) -> str:
    return (
        f"{group.weak} of {group.weak_of} are named **{wording.escaped(group.group)}**, of the others "
        f"{group.rest} of {group.rest_of}"
    )

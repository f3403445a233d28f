"""Summarise a run in sentences: how it ended, what its best score means, what its curves show, its weakest images.

Every sentence states a fact of `RunFacts`; docs/how-to/read-a-run.md explains the rule behind each.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.facts import wording
from dashboard.facts.rounds import RoundView
from dashboard.facts.run_metrics import SOFT_DICE, Reference
from dashboard.facts.scores import upper_first
from dashboard.facts.threshold import threshold_words
from dashboard.views.runs.advice import Advice, advice
from dashboard.views.runs.curve_facts import CurveFacts, RateCut, RatePath
from dashboard.views.runs.facts import RunFacts
from dashboard.views.runs.image_facts import Difference, ImageFacts, Overlap, ScoredImage
from engine.core.run_config import RunConfig
from engine.imaging.class_confusion import LEAST_SHARE, ClassConfusion
from engine.training.run_details import mean_note, metric_in_words

SCORE: dict[Reference, str] = {"truth": "Dice vs truth", "pseudo-label": "agreement with the pseudo-label"}
SIDE: dict[Reference, str] = {"truth": "truth", "pseudo-label": "the pseudo-label"}
BALANCE = 0.03
"""Recall and precision that differ by less than this count as balanced."""
MOST_CLASSES_NAMED, MOST_SENTENCES = 6, 4


@dataclass(frozen=True)
class Story:
    """At most `MOST_SENTENCES` short sentences in Markdown, `details` with the evidence, and at most two suggestions.

    `weakest` are the validation images to link to, by the score named `weakest_score`.
    """

    sentences: tuple[str, ...]
    details: tuple[str, ...]
    weakest: tuple[ScoredImage, ...]
    weakest_score: str
    advice: tuple[Advice, ...]


def story(facts: RunFacts) -> Story:
    """Return the summary of a run that has ended."""
    details = _best(facts)
    if facts.images is not None:
        details += _masks(facts.images, bool(facts.head.classes))
    if facts.classes is not None:
        details += _classes(facts.classes)
    if facts.curves is not None:
        details += _curves(facts.curves, facts)
    details += _rounds(facts.rounds, facts.status.rounds_total)
    if facts.images is not None:
        details += _weakest(facts.images)
    return Story(
        sentences=tuple(filter(None, _short(facts)))[:MOST_SENTENCES],
        details=tuple(filter(None, details)),
        weakest=facts.images.weakest if facts.images else (),
        weakest_score=upper_first(SCORE[facts.images.reference]) if facts.images else "",
        advice=advice(facts),
    )


def _short(facts: RunFacts) -> list[str]:
    """Return what matters most, in order; empty where there is nothing to say."""
    sentences = [_ending(facts)]
    if facts.images is not None:
        overlap, reference = facts.images.overlap, facts.images.reference
        sentences.append(f"{_empty(overlap, reference)}{_errors(overlap, reference)}")
    if facts.curves is not None:
        sentences.append(_verdict(facts.curves, facts.status.best_epoch))
    if facts.images is not None and facts.images.better is not None:
        sentences.append(_threshold(facts.images, bool(facts.head.classes)))
    return sentences


def _verdict(curves: CurveFacts, best_epoch: int | None) -> str:
    """Return what the curves showed, without its evidence; empty where they show nothing."""
    kept = f"; the model of epoch {best_epoch} is kept" if best_epoch else ""
    if curves.jump is not None:
        return f"The training loss **jumped in epoch {curves.jump.epoch}**{kept}."
    if curves.overfit is not None:
        return f"**It overfits from epoch {curves.overfit.epoch} on**{kept}."
    return {
        "improving": "It was **still improving when it ended**.",
        "falling": f"It was getting **worse when it ended**{kept}.",
        "settled": "It had **settled**: more epochs would change little.",
    }.get(curves.verdict, "")


def so_far(curves: CurveFacts | None, reference: Reference, best_epoch: int | None) -> str:
    """Return how a training run is doing, in one sentence; empty while nothing is known."""
    if curves is None:
        return ""
    if (jump := curves.jump) is not None:
        return f"The training loss jumped in epoch **{jump.epoch}**, from {jump.before:.3g} to {jump.after:.3g}."
    if (overfit := curves.overfit) is not None:
        return (
            f"Since epoch **{overfit.epoch}** validation no longer follows training: its loss went from "
            f"{overfit.val_loss[0]:.3f} to {overfit.val_loss[1]:.3f}. The model of epoch {best_epoch} is kept."
        )
    if curves.trend is None:
        return ""
    verbs = {"improving": "is still rising", "falling": "is falling", "settled": "has settled"}
    verb = verbs.get(curves.verdict, "fluctuates too much to show a trend")
    return f"{upper_first(SOFT_DICE[reference])} on validation {verb} {_slope(curves)}."


def _ending(facts: RunFacts) -> str:
    """Return how a run ended, and why; empty where the line with its state says both."""
    status = facts.status
    if status.state == "stopped":
        return ""
    took = f" and **{wording.duration(status.seconds)}**" if status.seconds is not None else ""
    done = f"**{status.epochs_done} of {wording.count(status.epochs_total, 'epoch')}**"
    how = {"finished": "It finished", "failed": "It failed"}.get(status.state, "It stands")
    plain = status.state == "failed" or status.epochs_done == status.epochs_total
    reason = "" if plain else wording.escaped(status.sentence)
    return f"{how} after {done}{took}. {reason}".strip()


def _best(facts: RunFacts) -> list[str]:
    status, reference = facts.status, facts.head.reference
    if status.best_epoch is None:
        return ["It has no model yet, so there is no score."]
    chosen = f"Its best epoch was **{status.best_epoch}**"
    unseen = status.best_val_dice is not None
    if facts.config is not None:
        name = facts.config.checkpoint.monitor
        way = "lowest" if name.endswith("loss") else "highest"
        # Without validation images training follows the metric of the same name on training images
        chosen += f", the one with the {way} {metric_in_words(name if unseen else name.removeprefix('val_'))[4:]}"
    if not unseen:
        return [f"{chosen}. No image was kept for validation, so there is no score on unseen images."]
    notes = ", ".join(filter(None, (mean_note(facts.head.classes), status.weights)))
    note = f" ({notes})" if notes else ""
    return [
        f"{chosen}: **{SOFT_DICE[reference]} {wording.score(status.best_val_dice)}**{note}, of probabilities without "
        f"a threshold, over all validation pixels together at the network's size.{_nothing_to_find(facts)}"
    ]


def _nothing_to_find(facts: RunFacts) -> str:
    """Return why soft Dice is 1 though nothing was found."""
    if not facts.nothing_to_find:
        return ""
    return (
        " It is 1 because the network marks nothing, and at that size no validation image has anything to find: "
        "**it says nothing about objects**."
    )


def _masks(images: ImageFacts, several: bool) -> list[str]:
    overlap, name = images.overlap, SCORE[images.reference]
    whose = "the masks' foreground, all classes as one," if several else "the masks"
    sure = ""
    if overlap.interval is not None:
        low, high = overlap.interval
        sure = f" (between {low:.2f} and {high:.2f} for images like these, with 95 % certainty)"
    many = wording.count(overlap.images, "validation image")
    return [
        f"Image by image, **{name} of {whose} is {overlap.dice:.3f}** on average over {many}{sure}.",
        _threshold(images, several),
    ]


def _empty(overlap: Overlap, reference: Reference) -> str:
    """Return what the mean owes to images in which the reference marks nothing."""
    if not overlap.empty:
        return ""
    which = "all" if overlap.empty == overlap.images else f"{overlap.empty}"
    return (
        f"In **{which} of {wording.count(overlap.images, 'validation image')}** {SIDE[reference]} marks nothing: such "
        "an image scores 1 where the mask is empty too, else 0. "
    )


def _errors(overlap: Overlap, reference: Reference) -> str:
    if overlap.recall is None and overlap.precision is None:
        return "The masks are empty, too. Whether objects are found cannot be told from these images."
    if overlap.recall is None:
        return "All that the masks mark there is added. Whether objects are found cannot be told from these images."
    if overlap.precision is None:
        return f"All of the masks are empty, so they miss all that {SIDE[reference]} marks."
    difference = overlap.recall - overlap.precision
    verdict = "they miss about as much as they add"
    if abs(difference) >= BALANCE:
        verdict = "**they add more than they miss**" if difference > 0 else "**they miss more than they add**"
    # Agreement is always the network's, also where the masks of these images stay the labels
    whose = "the masks" if reference == "truth" else "the network's masks"
    return (
        f"Over all pixels of these images together, {whose} find {overlap.recall:.0%} of what {SIDE[reference]} "
        f"marks (recall), and {SIDE[reference]} confirms {overlap.precision:.0%} of what they mark (precision): "
        f"{verdict}."
    )


def _threshold(images: ImageFacts, several: bool) -> str:
    name = f"{'foreground ' if several else ''}{SCORE[images.reference]}"
    return threshold_words(images.better, images.overlap.dice, name)


def _classes(confusion: ClassConfusion) -> list[str]:
    """Return the score of each class, which classes are nowhere, and which are taken for which."""
    known = [(result.dice, result.name) for result in confusion.results if result.dice is not None]
    nowhere = [result.name for result in confusion.results if result.dice is None]
    sentences = []
    if known:
        shown = known if len(known) <= MOST_CLASSES_NAMED else sorted(known)[:MOST_CLASSES_NAMED]
        which = "" if len(shown) == len(known) else f" lowest of {len(known)} classes"
        scores = ", ".join(f"{wording.escaped(name)} **{dice:.3f}**" for dice, name in shown)
        sentences.append(f"Dice vs truth of each class,{which} over the pixels of all these images together: {scores}.")
    if nowhere:
        named = ", ".join(f"“{wording.escaped(name)}”" for name in nowhere[:MOST_CLASSES_NAMED])
        more = f" and {len(nowhere) - MOST_CLASSES_NAMED} more" if len(nowhere) > MOST_CLASSES_NAMED else ""
        verb = "occurs" if len(nowhere) == 1 else "occur"
        sentences.append(f"{named}{more} {verb} in none of them, neither in truth nor in masks.")
    names = [wording.escaped(name) for name in confusion.names]
    if confused := confusion.often_confused:
        pairs = [
            f"**{names[pair.predicted]} for {names[pair.truth]}** "
            f"({pair.share:.0%} of the pixels of {names[pair.truth]})"
            for pair in confused
        ]
        sentences.append(f"Confused most often: {'; '.join(pairs)}.")
    elif len(known) > 1:
        sentences.append(f"No class has as many as {LEAST_SHARE:.0%} of its pixels taken for another class.")
    return sentences


def _curves(curves: CurveFacts, facts: RunFacts) -> list[str]:
    sentences = []
    if (jump := curves.jump) is not None:
        values = f"from {jump.before:.3g} at its lowest to {jump.after:.3g}"
        sentences.append(f"The training loss **jumped in epoch {jump.epoch}**, {values}.")
    sentences.append(_course(curves, facts.head.reference))
    if curves.rate is not None and facts.config is not None:
        sentences.append(_rate(curves.rate, facts.config, facts.head.reference))
    return sentences


def _course(curves: CurveFacts, reference: Reference) -> str:
    name, slope = f"{SOFT_DICE[reference]} on validation", _slope(curves)
    if (overfit := curves.overfit) is not None:
        return (
            f"**It overfits from epoch {overfit.epoch} on**: the training loss kept falling from "
            f"{overfit.loss[0]:.3f} to {overfit.loss[1]:.3f}, the validation loss went from "
            f"{overfit.val_loss[0]:.3f} to {overfit.val_loss[1]:.3f}. Validation minus training was "
            f"{overfit.gaps[0]:+.3f} there and **{overfit.gaps[1]:+.3f}** at the end; {name} went from "
            f"{overfit.val_dice[0]:.3f} to {overfit.val_dice[1]:.3f}."
        )
    return {
        "improving": f"It was **still improving when it ended**: {name} rose {slope}.",
        "falling": f"It was getting **worse when it ended**: {name} fell {slope}.",
        "settled": f"It had **settled**: {name} no longer rose or fell {slope}. It did not overfit.",
        "unclear": f"It is unclear whether it was still improving when it ended: {name} fluctuates too much {slope}.",
        "few epochs": "",
    }.get(curves.verdict, "Without validation images there is no way to see whether it overfits.")


def _slope(curves: CurveFacts) -> str:
    trend = curves.trend
    if trend is None:
        return ""
    slope = f"{trend.per_epoch:+.4f}".replace("-", "−")
    return f"({slope} per epoch, ± {trend.unsure:.4f}, over the last {trend.epochs})"


def _rate(rate: RatePath, config: RunConfig, reference: Reference) -> str:
    params = config.training
    schedule = "stayed constant" if params.schedule == "constant" else "followed its cosine schedule"
    ends = (
        f"from {rate.highest:.2g} to {rate.last:.2g}" if rate.last < 0.99 * rate.highest else f"at {rate.highest:.2g}"
    )
    warm = f" after {params.warmup_epochs:g} epochs of warm-up" if params.warmup_epochs else ""
    if not rate.cuts:
        why = "" if config.reduce_lr.enabled else " (“Reduce on plateau” is off)"
        return f"The learning rate was not cut{why}: it {schedule}, {ends}{warm}."
    times = "once" if len(rate.cuts) == 1 else f"{len(rate.cuts)} times"
    cuts = "; ".join(_cut(cut, reference) for cut in rate.cuts[:3])
    return f"The learning rate was **cut {times}** because learning stalled, on top of its schedule: {cuts}."


def _cut(cut: RateCut, reference: Reference) -> str:
    change = f"after epoch **{cut.epoch}** from {cut.before:.2g} to {cut.after:.2g}"
    if cut.dice is None:
        return change
    helped = "it helped" if cut.helped else "it made no clear difference"
    return f"{change}, and {SOFT_DICE[reference]} went from {cut.dice[0]:.3f} to {cut.dice[1]:.3f} around it: {helped}"


def _rounds(views: tuple[RoundView, ...], total: int) -> list[str]:
    if not views or total < 2:
        return []
    results = []
    for view in views:
        gains = [
            f"{comparison.name} {wording.score(comparison.teacher)} → {wording.score(comparison.student)}"
            for comparison in view.comparisons
            if comparison.gain is not None
        ]
        verdict = "accepted" if view.accepted else "rejected"
        results.append(
            f"round {view.number} was **{verdict}**" + (f" (labels → masks: {', '.join(gains)})" if gains else "")
        )
    missing = f" {total - len(views)} of {total} rounds did not start." if len(views) < total else ""
    return [f"Self-training: {'; '.join(results)}.{missing}"]


def _weakest(images: ImageFacts) -> list[str]:
    if images.mean_without is None:
        return []
    count = len(images.weakest)
    which = "The weakest image pulls" if count == 1 else f"The **{count}** weakest images pull"
    effect = (
        f"{which} the mean down: without {'it' if count == 1 else 'them'} {SCORE[images.reference]} would be "
        f"**{images.mean_without:.3f}** instead of {images.overlap.dice:.3f}."
    )
    shared = [_difference(difference) for difference in images.differences[:3]]
    if (group := images.group) is not None:
        shared.append(
            f"{group.weak} of {group.weak_of} are named **{wording.escaped(group.group)}**, of the others "
            f"{group.rest} of {group.rest_of}"
        )
    return [effect, f"What the weakest fifth has in common: {'; '.join(shared)}."] if shared else [effect]


_WORDS = {
    # column: (lower, higher, format of a value)
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
    # Limits of the effect size: Vargha and Delaney, "A critique and improvement of the CL common language effect size
    # statistics", J. Educ. Behav. Stat. 25(2), 2000, doi:10.3102/10769986025002101.
    strong = "much " if difference.of_100_pairs >= 86 else "clearly " if difference.of_100_pairs >= 71 else "somewhat "
    weak, rest = form.format(difference.weak), form.format(difference.rest)
    return f"{strong}**{what}** (median {weak} against {rest}; true in {difference.of_100_pairs} of 100 pairs)"

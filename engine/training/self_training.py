"""Rounds of self-training: a network learns the labels, its masks correct them, and a fresh network learns those.

What a round may keep is decided without truth. Sources of the idea: Lee, "Pseudo-Label", ICML workshop 2013; Nguyen et
al., "DeepUSPS: Deep Robust Unsupervised Saliency Prediction via Self-Supervision", NeurIPS 2019, for labels as a moving
average and fresh networks; Liu et al., "Adaptive Early-Learning Correction for Segmentation from Noisy Annotations",
CVPR 2022, arXiv:2110.03740, for correcting early, before a network knows the faults of its labels by heart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from engine.core.run_config import RunConfig
from engine.store.disk import replacing
from engine.store.keys import label_path, round_path
from engine.training.callbacks import Hooks
from engine.training.correction import Correction, correct
from engine.training.fit import BEST_FILE, LAST_FILE, FitResult, fit
from engine.training.samples import Sample

ROUNDS_FILE = "rounds.json"
LEAST_WEIGHT = 0.25
"""What the image with the worst label counts, where the best one counts 1."""

APPEARANCE_SLACK = 0.03
"""How much worse masks may look and still be kept: handmade quality flatters the handmade labels of the first round."""


@dataclass(frozen=True)
class Round:
    """What a finished round came to. Epochs are counted from 1 through all rounds; see `db.models.Round`.

    `agreement` is the mean Dice between the network's masks and the labels that taught it on validation images, which
    it never saw.
    """

    number: int
    first_epoch: int
    last_epoch: int
    accepted: bool
    reason: str
    images: int
    left_out: int
    agreement: float
    labels_quality: float
    masks_quality: float
    best_epoch: int


def train_rounds(
    config: RunConfig,
    samples: Sequence[Sample],
    folder: Path,
    hooks: Hooks,
    on_round: Callable[[Round], None] = lambda finished: None,
) -> FitResult:
    """Train one network after the other in `folder`; its best.keras is that of the last round that was accepted.

    Samples of weight 0 do not teach in the first round, and come back with their corrected labels. The labels of round
    n lie in rounds/<n>/labels and what its network drew in rounds/<n>/masks, one 8-bit PNG for each sample. Everything
    can be interrupted and goes on where it was.

    Raises:
        TrainingError: see `engine.training.fit.fit`.
    """
    if config.self_training.rounds == 1:
        return fit(config, [sample for sample in samples if sample.weight > 0], folder, hooks)
    finished = _load(folder)
    seconds, kept = 0.0, None
    for number in range(1, config.self_training.rounds + 1):
        place = folder if number == 1 else folder / round_path(number) / "model"
        teaching = list(samples) if number == 1 else _relabelled(config, samples, folder, number)
        offset = finished[number - 2].last_epoch if number > 1 else 0
        taught = [each for each in teaching if each.weight > 0]
        result = fit(_round_config(config, number), taught, place, _shifted(hooks, offset), probes_in=folder)
        seconds += result.seconds
        if result.ended in ("stopped", "nan"):
            return _whole(result, offset, seconds, finished, f"Round {number}: {result.reason}", kept)
        if len(finished) < number:
            masks = folder / round_path(number)
            ahead = folder / round_path(number + 1) if number < config.self_training.rounds else None
            correction = correct(config, teaching, place / BEST_FILE, masks, ahead, hooks)
            if correction is None:
                reason = f"Stopped by a person while round {number} was judged."
                stopped = replace(result, ended="stopped", reason=reason)
                return _whole(stopped, offset, seconds, finished, reason, kept)
            finished.append(_judged(number, offset, result, correction, teaching, finished))
            _save(folder, finished)
        this = finished[number - 1]
        on_round(this)
        if this.accepted or number == 1:
            kept = result
            if number > 1:
                _take_over(place, folder)
                hooks.on_best(this.best_epoch, result.best_metrics)
        if not this.accepted:
            break
    return _concluded(seconds, finished, kept)


def _judged(
    number: int,
    offset: int,
    result: FitResult,
    correction: Correction,
    teaching: Sequence[Sample],
    before: Sequence[Round],
) -> Round:
    """Return the round with the verdict: is its network to be kept instead of the one before?"""
    if not before:
        accepted, reason = _first_verdict(correction)
    else:
        last = _last_accepted(before)
        steadier = correction.agreement > last.agreement
        clear = correction.masks_quality >= last.masks_quality - APPEARANCE_SLACK
        accepted = steadier and clear
        rose = "rose" if steadier else "did not rise"
        looks = "look as clear as before" if clear else "look less clear than before"
        reason = (
            f"On images it never saw, agreement with its labels {rose} ({last.agreement:.3f} to "
            f"{correction.agreement:.3f}), and its masks {looks} (quality {last.masks_quality:.3f} to "
            f"{correction.masks_quality:.3f})."
        )
    return Round(
        number=number,
        first_epoch=offset + 1,
        last_epoch=offset + result.epochs_done,
        accepted=accepted,
        reason=reason,
        images=sum(sample.weight > 0 for sample in teaching),
        left_out=sum(sample.weight == 0 for sample in teaching),
        agreement=correction.agreement,
        labels_quality=correction.labels_quality,
        masks_quality=correction.masks_quality,
        best_epoch=offset + (result.best_epoch or result.epochs_done),
    )


def _first_verdict(correction: Correction) -> tuple[bool, str]:
    """Return whether the first network is at least as good as its labels as far as masks tell, and a sentence."""
    quality = f"(quality {correction.labels_quality:.3f} to {correction.masks_quality:.3f})"
    if correction.masks_quality >= correction.labels_quality - APPEARANCE_SLACK:
        return True, f"The first network; its masks look as clear as the labels that taught it {quality}."
    return False, (
        f"Its masks look less clear than the labels that taught it {quality}: the labels may be the better masks, and "
        "no further round learns from these. The network is kept, for there is no other."
    )


def _last_accepted(finished: Sequence[Round]) -> Round:
    """Return the round whose network is kept: the last accepted one, or the first if there is none."""
    return next((each for each in reversed(finished) if each.accepted), finished[0])


def weighed(
    samples: Sequence[Sample], quality: Mapping[str, float | None], weighted: bool, drop_worst: float
) -> list[Sample]:
    """Return the samples, those that teach weighed by the rank of their label's quality among them.

    The share `drop_worst` with the lowest quality counts 0; the others count 1, or if `weighted` from LEAST_WEIGHT for
    the worst to 1 for the best. An unknown quality counts as the median. What validates stays whole: what is measured
    must not depend on what is easy, and rounds must be measured on the same images.
    """
    teach = [index for index, sample in enumerate(samples) if sample.split == "train"]
    known = [quality[samples[i].id] for i in teach if quality.get(samples[i].id) is not None]
    weights = np.ones(len(samples))
    if known and (weighted or drop_worst):
        middle = float(np.median(known))
        values = [middle if quality.get(samples[i].id) is None else quality[samples[i].id] for i in teach]
        ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        if weighted:
            weights[teach] = LEAST_WEIGHT + (1 - LEAST_WEIGHT) * ranks / max(len(teach) - 1, 1)
        left_out = min(round(drop_worst * len(teach)), len(teach) - 1)
        weights[np.array(teach)[ranks < left_out]] = 0
    return [replace(sample, weight=float(weight)) for sample, weight in zip(samples, weights, strict=True)]


def _relabelled(config: RunConfig, samples: Sequence[Sample], folder: Path, number: int) -> list[Sample]:
    """Return the samples with the labels that the round before made, weighed by how those look."""
    base = folder / round_path(number)
    quality = json.loads((base / "quality.json").read_text())
    taught = [replace(sample, target=base / label_path(sample.id)) for sample in samples]
    return weighed(taught, quality, config.data.quality_weights == "weighted", config.self_training.drop_worst)


def _round_config(config: RunConfig, number: int) -> RunConfig:
    """Return the settings of one round: another seed for weights and order, and all else the same."""
    training = config.training.model_copy(update={"seed": config.training.seed + number - 1})
    return config.model_copy(update={"training": training})


def _shifted(hooks: Hooks, offset: int) -> Hooks:
    """Return hooks that are told epochs counted through all rounds. A round's best model is not the run's yet."""
    if not offset:
        return hooks

    return replace(
        hooks,
        on_start=lambda epochs_done: hooks.on_start(offset + epochs_done),
        on_batch=lambda epoch, done, total: hooks.on_batch(offset + epoch, done, total),
        on_best=lambda epoch, metrics: None,
        on_epoch=lambda epoch, metrics: hooks.on_epoch(offset + epoch, metrics),
        epoch_offset=offset,
    )


def _take_over(place: Path, folder: Path) -> None:
    """Make a round's models those of the run."""
    for name in (LAST_FILE, BEST_FILE):
        if (place / name).exists():
            with replacing(folder / name) as beside:
                beside.write_bytes((place / name).read_bytes())


def _whole(
    result: FitResult, offset: int, seconds: float, finished: Sequence[Round], reason: str, kept: FitResult | None
) -> FitResult:
    """Return how the run stands when a round was interrupted: the last accepted round's model is kept."""
    if kept is None:
        return replace(result, seconds=seconds)
    last = _last_accepted(finished)
    return replace(
        kept,
        ended="stopped" if result.ended == "stopped" else "finished",
        reason=f"{reason} The model of round {last.number} is kept.",
        epochs_done=offset + result.epochs_done,
        best_epoch=last.best_epoch,
        seconds=seconds,
    )


def _concluded(seconds: float, finished: Sequence[Round], kept: FitResult) -> FitResult:
    last, turned_down = _last_accepted(finished), finished[-1]
    reason = f"All {len(finished)} rounds are done and accepted."
    if len(finished) == 1:
        reason = "The network's masks look less clear than its labels, so there was no further round."
    elif not turned_down.accepted:
        reason = f"Round {turned_down.number} was not accepted, so the model of round {last.number} is kept."
    return replace(
        kept,
        ended="finished",
        reason=reason,
        epochs_done=finished[-1].last_epoch,
        best_epoch=last.best_epoch,
        seconds=seconds,
    )


def _load(folder: Path) -> list[Round]:
    path = folder / ROUNDS_FILE
    return [Round(**values) for values in json.loads(path.read_text())] if path.exists() else []


def _save(folder: Path, finished: Sequence[Round]) -> None:
    with replacing(folder / ROUNDS_FILE) as beside:
        beside.write_text(json.dumps([asdict(each) for each in finished]))

"""Rounds of self-training: each network is trained from scratch on labels that the previous network has corrected.

Whether a round is accepted is decided without truth. Sources: Lee, "Pseudo-Label", ICML workshop 2013; Nguyen et al.,
"DeepUSPS: Deep Robust Unsupervised Saliency Prediction via Self-Supervision", NeurIPS 2019, for labels as a moving
average and training from scratch; Liu et al., "Adaptive Early-Learning Correction for Segmentation from Noisy
Annotations", CVPR 2022, arXiv:2110.03740, for correcting early, before a network fits the errors of its labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np

from engine.core.run_config import RunConfig
from engine.store.disk import replacing
from engine.store.keys import classes_path, label_path, round_path
from engine.training.callbacks import Hooks
from engine.training.correction import Correction, correct
from engine.training.fit import BEST_FILE, LAST_FILE, FitResult, fit
from engine.training.samples import Sample

ROUNDS_FILE = "rounds.json"
LEAST_WEIGHT = 0.25
"""Weight of the image with the worst label; the best one has weight 1."""

APPEARANCE_SLACK = 0.03
"""Accepted loss of quality: the heuristic quality favours the heuristic labels of the first round."""


@dataclass(frozen=True)
class Round:
    """The result of a finished round. Epochs are counted from 1 through all rounds; see `db.models.Round`.

    `agreement` is the mean Dice between the network's masks and the labels of the round on validation images.
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
    on_round: Callable[[Round], None] = lambda this: None,
    start: Callable[[], keras.Model] | None = None,
) -> FitResult:
    """Train one network after the other in `folder`; its best.keras is that of the last accepted round.

    Samples of weight 0 are left out of the first round and return with their corrected labels. The labels of round n
    are in rounds/<n>/labels and its network's masks in rounds/<n>/masks, one 8-bit PNG for each sample, and the numbers
    of several classes in classes/ below these. An interrupted training resumes where it stopped. `start` is that of
    `fit`, for the first round alone.

    Raises:
        TrainingError: see `engine.training.fit.fit`.
    """
    if config.self_training.rounds == 1:
        return fit(config, [sample for sample in samples if sample.weight > 0], folder, hooks, start=start)
    finished = _load(folder)
    seconds = 0.0
    kept: FitResult | None = None
    for number in range(1, config.self_training.rounds + 1):
        place = folder if number == 1 else folder / round_path(number) / "model"
        training = list(samples) if number == 1 else _relabelled(config, samples, folder, number)
        offset = finished[number - 2].last_epoch if number > 1 else 0
        used = [each for each in training if each.weight > 0]
        begin = start if number == 1 else None
        result = fit(_round_config(config, number), used, place, _shifted(hooks, offset), folder, begin)
        seconds += result.seconds
        if result.ended in ("stopped", "nan"):
            return _whole(result, offset, seconds, finished, f"Round {number}: {result.reason}", kept)
        if len(finished) < number:
            masks = folder / round_path(number)
            ahead = folder / round_path(number + 1) if number < config.self_training.rounds else None
            correction = correct(config, training, place / BEST_FILE, masks, ahead, hooks)
            if correction is None:
                reason = f"Stopped by a person while round {number} was assessed."
                stopped = replace(result, ended="stopped", reason=reason)
                return _whole(stopped, offset, seconds, finished, reason, kept)
            finished.append(_assessed(number, offset, result, correction, training, finished))
            _save(folder, finished)
        this = finished[number - 1]
        on_round(this)
        if this.accepted or number == 1:
            share = config.self_training.label_share
            kept = replace(result, label_share=share if this.accepted or not share else 1.0)
            if number > 1:
                _take_over(place, folder)
                hooks.on_best(this.best_epoch, result.best_metrics)
        if not this.accepted:
            break
    return _concluded(seconds, finished, kept or result)


def _assessed(
    number: int,
    offset: int,
    result: FitResult,
    correction: Correction,
    training: Sequence[Sample],
    before: Sequence[Round],
) -> Round:
    """Return the round, with the decision whether its network replaces the previous one."""
    if not before:
        accepted, reason = _first_verdict(correction)
    else:
        last = _last_accepted(before)
        agrees = correction.agreement > last.agreement
        clear = correction.masks_quality >= last.masks_quality - APPEARANCE_SLACK
        accepted = agrees and clear
        rose = "rose" if agrees else "did not rise"
        comparison = "as plausible as before" if clear else "less plausible than before"
        reason = (
            f"On validation images, agreement with its labels {rose} ({last.agreement:.3f} to "
            f"{correction.agreement:.3f}), and its masks are {comparison} (quality {last.masks_quality:.3f} to "
            f"{correction.masks_quality:.3f})."
        )
    return Round(
        number=number,
        first_epoch=offset + 1,
        last_epoch=offset + result.epochs_done,
        accepted=accepted,
        reason=reason,
        images=sum(sample.weight > 0 for sample in training),
        left_out=sum(sample.weight == 0 for sample in training),
        agreement=correction.agreement,
        labels_quality=correction.labels_quality,
        masks_quality=correction.masks_quality,
        best_epoch=offset + (result.best_epoch or result.epochs_done),
    )


def _first_verdict(correction: Correction) -> tuple[bool, str]:
    """Return whether the first network's masks are as plausible as its labels, and a sentence."""
    quality = f"(quality {correction.labels_quality:.3f} to {correction.masks_quality:.3f})"
    if correction.masks_quality >= correction.labels_quality - APPEARANCE_SLACK:
        return True, f"The first network; its masks are as plausible as the labels it was trained on {quality}."
    return False, (
        f"Its masks are less plausible than the labels it was trained on {quality}: the labels may be better masks, so "
        "there is no further round. The network is kept, as it is the only one."
    )


def _last_accepted(finished: Sequence[Round]) -> Round:
    """Return the round whose network is kept: the last accepted one, or the first if there is none."""
    return next((each for each in reversed(finished) if each.accepted), finished[0])


def weighed(
    samples: Sequence[Sample], quality: Mapping[str, float | None], weighted: bool, drop_worst: float
) -> list[Sample]:
    """Return the samples; those for training are weighted by the rank of their label's quality among them.

    The share `drop_worst` with the lowest quality has weight 0. The others have weight 1 or, if `weighted`, from
    LEAST_WEIGHT for the worst to 1 for the best. An unknown quality counts as the median. Validation samples keep
    weight 1: scores must not depend on which images are easy, and must be comparable between rounds.
    So do corrected ones, whose mask a person has seen.
    """
    train = [index for index, sample in enumerate(samples) if sample.split == "train" and sample.correction is None]
    scores = [quality.get(samples[index].id) for index in train]
    known = [score for score in scores if score is not None]
    weights = np.ones(len(samples))
    if train and known and (weighted or drop_worst):
        median = float(np.median(known))
        order = np.argsort([median if score is None else score for score in scores], kind="stable")
        ranks = np.argsort(order, kind="stable")
        if weighted:
            weights[train] = LEAST_WEIGHT + (1 - LEAST_WEIGHT) * ranks / max(len(train) - 1, 1)
        left_out = min(round(drop_worst * len(train)), len(train) - 1)
        weights[np.array(train)[ranks < left_out]] = 0
    return [replace(sample, weight=float(weight)) for sample, weight in zip(samples, weights, strict=True)]


def _relabelled(config: RunConfig, samples: Sequence[Sample], folder: Path, number: int) -> list[Sample]:
    """Return the samples with the labels from the previous round, weighted by the quality of those."""
    base = folder / round_path(number)
    quality = json.loads((base / "quality.json").read_text())
    several = config.model.outputs > 1
    relabelled = [
        replace(
            sample,
            target=base / label_path(sample.id),
            classes=base / classes_path(label_path(sample.id)) if several else None,
        )
        for sample in samples
    ]
    return weighed(relabelled, quality, config.data.quality_weights == "weighted", config.self_training.drop_worst)


def _round_config(config: RunConfig, number: int) -> RunConfig:
    """Return the settings of one round: only the seed, for weights and order, differs."""
    training = config.training.model_copy(update={"seed": config.training.seed + number - 1})
    return config.model_copy(update={"training": training})


def _shifted(hooks: Hooks, offset: int) -> Hooks:
    """Return hooks that receive epochs counted through all rounds. A round's best model is not the run's yet."""
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
    """Copy a round's models to the run."""
    for name in (LAST_FILE, BEST_FILE):
        if (place / name).exists():
            with replacing(folder / name) as beside:
                beside.write_bytes((place / name).read_bytes())


def _whole(
    result: FitResult, offset: int, seconds: float, finished: Sequence[Round], reason: str, kept: FitResult | None
) -> FitResult:
    """Return the run's result when a round was interrupted: the last accepted round's model is kept."""
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
    last, rejected = _last_accepted(finished), finished[-1]
    reason = f"All {len(finished)} rounds are done and accepted."
    if len(finished) == 1:
        reason = "The network's masks are less plausible than its labels, so there was no further round."
        if kept.label_share:
            reason += " The labels stay the masks of its images."
    elif not rejected.accepted:
        reason = f"Round {rejected.number} was not accepted, so the model of round {last.number} is kept."
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

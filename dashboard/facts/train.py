"""Data of the Train page: what a network can be trained on, presets, and the plan of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dashboard.facts import wording
from dashboard.facts.cost import Cost, cost
from dashboard.facts.jobs import job_view
from dashboard.facts.recipes import describe_stored
from db import datasets, jobs, recipes
from db.models import Dataset, LabelSet, Run
from db.names import counted_name, default_name, run_parts
from engine.core import machine
from engine.core.network_parameters import ARCHITECTURE_TITLES
from engine.core.parameters import ParameterError, from_assignments, parse
from engine.core.run_config import (
    DEFAULT_PRESET,
    PRESETS,
    RunConfig,
    config_from,
    differences,
    flattened,
    preset_config,
)
from engine.core.run_config_text import preset_text, titles, value_words
from engine.imaging import class_maps
from engine.imaging.class_colours import class_colours, with_present_colours
from engine.network.framing import Shape
from engine.network.pretrained import WITH_WEIGHTS
from engine.training.duration import Estimate
from engine.training.run_details import class_names
from engine.training.workload import Workload, workload

TRUTH = "truth"
"""The key of truth among the teachers; all other keys are ids of mask sets."""

NO_FOREGROUND = (
    "The truth masks mark nothing as foreground, so no network can be trained on them. "
    "Check the classes on the Datasets page, or choose a mask set."
)
WITHOUT_WEIGHTS = "It starts from random weights; with pretrained ones networks find more on unseen images."
CLASSES_NAMED = 6


@dataclass(frozen=True)
class DatasetOption:
    """A dataset to choose."""

    id: str
    name: str


@dataclass(frozen=True)
class Teacher:
    """Truth or a mask set to train on, with its number of images. `problem` is why it cannot be chosen yet.

    `classes` are the names of its classes without background, if it has more than one, and `class_colours` the colours
    of all, background first.
    """

    key: str
    title: str
    sentence: str
    images: int
    problem: str = ""
    classes: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    label_free: bool = False
    """Whether a method computed the masks from the images alone."""
    at_work: bool = False
    """Whether its masks are being computed."""

    @property
    def label_set_id(self) -> str | None:
        return None if self.key == TRUTH else self.key


@dataclass(frozen=True)
class Source:
    """An earlier run whose settings a new one starts from."""

    run_id: str
    name: str
    dataset_id: str
    teacher: str
    preset: str
    config: RunConfig
    problem: str = ""


@dataclass(frozen=True)
class Plan:
    """The work and the cost of a run."""

    work: Workload
    network: str
    image_size_px: int
    cost: Cost
    warnings: tuple[str, ...]
    classes: str = ""
    """What becomes of the classes, if there are several."""


def dataset_options(session: Session) -> tuple[DatasetOption, ...]:
    """Return the datasets that have images, newest first."""
    listed = datasets.listing(session)
    return tuple(DatasetOption(dataset.id, dataset.name) for dataset in listed if dataset.image_count)


def teachers(session: Session, dataset_id: str, now: datetime, lost_after_s: float) -> tuple[Teacher, ...]:
    """Return what a network can be trained on in a dataset: mask sets, newest first, then truth if there is any."""
    dataset = session.get_one(Dataset, dataset_id)
    options = [
        _label_teacher(session, each, dataset, now, lost_after_s) for each in recipes.listing(session, dataset_id)
    ]
    if dataset.truth_count:
        sentence = f"{dataset.truth_count:,} of {wording.count(dataset.image_count, 'image')} have a truth mask."
        problem = "" if class_maps.has_foreground(dataset.lookup) else NO_FOREGROUND
        colours = tuple(class_colours(dataset.classes))
        options.append(
            Teacher(TRUTH, "Truth masks", sentence, dataset.truth_count, problem, _classes(dataset), colours)
        )
    return tuple(options)


def renewed(session: Session, teacher: Teacher, now: datetime, lost_after_s: float) -> Teacher | None:
    """Return a teacher as it is now, None if it was deleted."""
    if teacher.key == TRUTH:
        return teacher
    label_set = session.get(LabelSet, teacher.key)
    if label_set is None:
        return None
    return _label_teacher(session, label_set, session.get_one(Dataset, label_set.dataset_id), now, lost_after_s)


def _classes(of: Dataset | LabelSet) -> tuple[str, ...]:
    """Return the names of the classes of truth or of a mask set, without background; () if there is one at most."""
    names = class_names(of.classes)[1:]
    if isinstance(of, Dataset):
        names = names[: class_maps.class_count(of.lookup)]
    return names if len(names) > 1 else ()


def class_choices(teacher: Teacher) -> dict[int, str]:
    """Return what can be done with the classes of a teacher: {value of `model.classes`: text}."""
    return {0: f"Tell apart: {_named(teacher.classes)}", 1: "Merge into one"} if teacher.classes else {0: "One class"}


def resolved(config: RunConfig, teacher: Teacher) -> RunConfig:
    """Return the settings with the number of classes that a run of them has (`db.submissions` does the same)."""
    return _with_classes(config, config.model.classes or max(len(teacher.classes), 1))


def _with_classes(config: RunConfig, count: int) -> RunConfig:
    return config.model_copy(update={"model": config.model.model_copy(update={"classes": count})})


def _named(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - CLASSES_NAMED} more" if len(classes) > CLASSES_NAMED else ""
    return ", ".join(classes[:CLASSES_NAMED]) + more


def source(session: Session, run_id: str | None) -> Source | None:
    """Return the run whose settings a new one starts from, or None if it does not exist."""
    run = session.get(Run, run_id) if run_id else None
    if run is None:
        return None
    preset = run.preset if run.preset in PRESETS else DEFAULT_PRESET
    try:
        config, problem = parse(RunConfig, run.config), ""
    except ParameterError as error:
        config = PRESETS[preset]
        problem = f"The settings of {run.name!r} are of another version, so the preset's are shown. {error}"
    # The number was found when it was submitted: only merging was a choice, and older versions did nothing else.
    label_set = session.get(LabelSet, run.label_set_id) if run.label_set_id else None
    several = _classes(label_set or session.get_one(Dataset, run.dataset_id))
    config = _with_classes(config, int(not run.classes and bool(several)))
    return Source(run.id, run.name, run.dataset_id, run.label_set_id or TRUTH, preset, config, problem)


def start_config(
    preset: str, assignments: Sequence[str], origin: Source | None, weights: bool = False
) -> tuple[RunConfig, str]:
    """Return the start values of the form, and a message if `assignments` were ignored.

    Args:
        assignments: the differences to the preset, as in the page's URL: "training.epochs=3".
        weights: whether there are pretrained weights to start from.
    """
    base = origin.config if origin else preset_config(preset, weights)
    if not assignments:
        return base, ""
    try:
        config = config_from(preset, from_assignments(list(assignments)), weights)
    except ParameterError as error:
        return base, f"The settings in the URL were ignored. {error}"
    # Other numbers than 1, which merges them, are those of the truth, which another dataset may not have.
    return _with_classes(config, int(config.model.classes == 1)), ""


def assignments(preset: str, config: RunConfig, weights: bool = False) -> list[str]:
    """Return the differences to the preset in the format of `start_config`."""
    return [f"{path}={value}" for path, _, value in differences(preset_config(preset, weights), config)]


def changes(preset: str, values: Mapping[str, Any], weights: bool = False) -> tuple[str, ...]:
    """Return the settings of the form {dotted name: value} that differ from the preset, as "Batch size 8 (4)".

    The epochs are left out: they are in sight.
    """
    base = flattened(preset_config(preset, weights))
    return tuple(
        f"{titles(path)[1]} {value_words(path, value)} ({value_words(path, base[path])})"
        for path, value in values.items()
        if value != base[path] and path != "training.epochs"
    )


def fold_title(changed: Sequence[str]) -> str:
    """Return the title of the folded settings, with the number of those that differ from the preset."""
    return f"Advanced · {len(changed)} changed" if changed else "Advanced"


def preset_note(preset: str, weights: bool) -> str:
    """Return what a preset is for, and what it costs to have no pretrained `weights`."""
    return preset_text(preset, weights) + ("" if weights or preset == WITH_WEIGHTS else f" {WITHOUT_WEIGHTS}")


def time_sentence(estimate: Estimate) -> str:
    """Return how long a training takes in words: "About **2 min** (from the last 3 trainings on this machine)."."""
    step_s = 5 if estimate.seconds < 90 else 30 if estimate.seconds < 570 else 60
    shown = wording.duration(max(round(estimate.seconds / step_s), 1) * step_s)
    return f"{'At most about' if estimate.at_most else 'About'} **{shown}** ({estimate.basis})."


def form_key(preset: str, origin_id: str | None) -> str:
    """Return the key of the form of settings; the session has its start values under `<key>-begin`."""
    return f"train-form-{preset}-{origin_id or ''}"


def proposed_name(session: Session, dataset_name: str, teacher: Teacher, preset: str, origin: Source | None) -> str:
    """Return a free name for the run: the next in the count of the one that it is copied from, if any."""
    trained_on = teacher.title if teacher.label_set_id else TRUTH
    wish = origin.name if origin else default_name(*run_parts(dataset_name, trained_on), preset.replace("_", " "))
    return counted_name(session, Run, wish)


def plan(config: RunConfig, teacher: Teacher, shapes: Mapping[Shape, int] | None = None) -> Plan:
    """Return the plan of training on what a teacher has; `config` is `resolved`.

    Args:
        shapes: the number of images of each (height, width) in the dataset.
    """
    work = workload(config, teacher.images, shapes or {}, teacher.label_set_id is not None)
    return Plan(
        work=work,
        network=f"a {ARCHITECTURE_TITLES[config.model.architecture]}",
        image_size_px=config.model.image_size,
        cost=cost(config, machine.free_memory_bytes()),
        warnings=_warnings(config, work.train_images, work.validation_images),
        classes=_classes_sentence(config, teacher),
    )


def _classes_sentence(config: RunConfig, teacher: Teacher) -> str:
    if not teacher.classes:
        return ""
    names = wording.escaped(_named(teacher.classes))
    if config.model.classes == 1:
        return f"It merges {len(teacher.classes)} classes into one: {names}."
    return f"It tells **{len(teacher.classes)} classes** apart: {names}."


def idle_settings(teacher: Teacher) -> dict[str, str]:
    """Return {group or field: reason} of the settings that have no effect with this teacher."""
    one = {} if teacher.classes else {"training.class_weights": "There is only one class, so this has no effect."}
    if teacher.key != TRUTH:
        return one
    sure = "Truth masks are certain, so this has no effect."
    doubted = ("training.confidence_weights", "training.ignore_band", "data.quality_weights", "data.drop_worst")
    rounds = "Truth masks need no correction, so there is only one round."
    return dict.fromkeys(doubted, sure) | {"self_training": rounds} | one


def exists(session: Session, teacher: str) -> bool:
    """Return whether there is still what the key of a `Teacher` names."""
    return teacher == TRUTH or session.get(LabelSet, teacher) is not None


def _label_teacher(
    session: Session, label_set: LabelSet, dataset: Dataset, now: datetime, lost_after_s: float
) -> Teacher:
    summary = recipes.summary(session, label_set.id)
    _, title, changes = describe_stored(label_set.method, label_set.params)
    parts = [f"{title} {changes}" if label_set.method == recipes.IMPORTED else title]
    kept = summary.images
    parts.append(f"{kept:,} of {wording.count(dataset.image_count, 'image')}")
    if summary.dropped:
        parts.append(f"{summary.dropped:,} dropped")
    if summary.dice is not None:
        parts.append(
            f"Dice vs truth {wording.score(summary.dice)}, IoU vs truth {wording.score(summary.iou)} "
            f"(mean of {wording.count(summary.scored, 'image')})"
        )
    job = job_view(jobs.find(session, label_set.job_id), now, lost_after_s)
    problem = ""
    if job is not None and job.at_work:
        problem = f"The mask set {label_set.name!r} is still being computed. Wait for it to finish, or stop it."
    elif not kept and not summary.dropped:
        problem = f"The mask set {label_set.name!r} has no masks. Compute it again on the Masks page."
    elif not kept:
        problem = f"Every mask of the mask set {label_set.name!r} is dropped. Keep some of them on the Masks page."
    colours = tuple(class_colours(with_present_colours(label_set.classes, dataset.classes)))
    return Teacher(
        label_set.id,
        label_set.name,
        " · ".join(parts),
        kept,
        problem,
        _classes(label_set),
        colours,
        label_free=recipes.label_free(label_set),
        at_work=job is not None and job.at_work,
    )


def _warnings(config: RunConfig, train: int, validation: int) -> tuple[str, ...]:
    warnings = []
    if not validation:
        warnings.append("No image is used for validation, so the quality on unseen images will be unknown.")
    if train + validation < 8:
        warnings.append("With so few images the network will mostly memorize them.")
    if config.training.batch_size > train:
        warnings.append(f"The batch size is larger than the {wording.count(train, 'training image')}.")
    return tuple(warnings)

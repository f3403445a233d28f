"""Submitting jobs: the rows that a job needs and the job itself, in one transaction.

The browser and the command line both submit jobs here. After the transaction, call `launcher.submit(job.id)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from db import audit, corrections, datasets, exports, jobs, recipes, retraining, runs
from db.actors import Role
from db.models import Dataset, Job, JobKind, LabelSet, Measurement, PredictionSet, Run
from db.names import counted_name


class NotReady(ValueError):
    """The work cannot start yet. The sentence says what is missing."""


def submit_import(session: Session, name: str, source: dict[str, Any]) -> tuple[Dataset, Job]:
    """Add a dataset and the job that fills it.

    `source` is {"kind": "folder" | "zip", "path": …} of this machine, {"kind": "upload", "token": …} or
    {"kind": "sample"}.

    Raises:
        NameTaken: the name is empty, too long or taken.
    """
    _check_source(session, source)
    dataset = datasets.create(session, name)
    audit.record(session, "imported", "dataset", dataset.id, dataset.name, f"from {_place(source)}")
    return dataset, _submit(session, dataset, JobKind.IMPORT, {"dataset": dataset.id, "source": source})


def submit_more_images(session: Session, dataset_id: str, source: dict[str, Any]) -> Job:
    """Add the job that imports further images into a dataset.

    Raises:
        InUse: a job is working on it.
    """
    _check_source(session, source)
    datasets.refuse_if_busy(session, dataset_id)
    dataset = session.get_one(Dataset, dataset_id)
    audit.record(session, "imported", "dataset", dataset.id, dataset.name, f"more, from {_place(source)}")
    return _submit(session, dataset, JobKind.IMPORT, {"dataset": dataset.id, "source": source})


def submit_truth(session: Session, dataset_id: str, source: dict[str, Any]) -> Job:
    """Add the job that gives images of a dataset the masks of a source as their truth, or replaces it.

    Raises:
        InUse: a job is working on the dataset.
        NotReady: the dataset has no images.
    """
    _check_source(session, source)
    datasets.refuse_if_busy(session, dataset_id)
    dataset = with_images(session, dataset_id)
    audit.record(session, "imported", "dataset", dataset.id, dataset.name, f"truth, from {_place(source)}")
    return _submit(session, dataset, JobKind.TRUTH, {"dataset": dataset.id, "source": source})


def submit_masks(
    session: Session, dataset_id: str, name: str, source: dict[str, Any], origin: str, code_version: str
) -> tuple[LabelSet, Job]:
    """Add a mask set and the job that fills it with the masks of a source. `origin` names the source for people.

    Raises:
        InUse: a job is working on the dataset.
        NameTaken: the name is empty, too long or taken.
        NotReady: the dataset has no images.
    """
    _check_source(session, source)
    datasets.refuse_if_busy(session, dataset_id)
    dataset = with_images(session, dataset_id)
    params = {"source": origin}
    label_set = recipes.create(session, dataset, name, recipes.IMPORTED, params, 0, code_version)
    audit.record(session, "imported", "label set", label_set.id, label_set.name, f"from {_place(source)}")
    payload = {"dataset": dataset.id, "label_set": label_set.id, "source": source}
    return label_set, _submit(session, label_set, JobKind.MASKS, payload)


def submit_label(
    session: Session,
    dataset_id: str,
    name: str,
    method: str,
    params: dict[str, Any],
    seed: int,
    code_version: str,
    state: dict[str, Any] | None = None,
) -> tuple[LabelSet, Job]:
    """Freeze a recipe and add the job that computes its masks.

    `state` is what a method that learns from the dataset has learned already: numbers in the parameters then mean the
    same as where they were chosen. Without it the job analyses the dataset itself.

    Raises:
        NameTaken: the name is empty, too long or taken.
        NotReady: the dataset has no images.
    """
    dataset = with_images(session, dataset_id)
    label_set = recipes.create(session, dataset, name, method, params, seed, code_version, state)
    audit.record(session, "labelled", "label set", label_set.id, label_set.name, f"dataset {dataset.name}")
    return label_set, _submit(session, label_set, JobKind.LABEL, {"dataset": dataset.id, "label_set": label_set.id})


def submit_train(
    session: Session,
    dataset_id: str,
    label_set_id: str | None,
    name: str,
    preset: str,
    config: dict[str, Any],
    code_version: str,
) -> tuple[Run, Job]:
    """Add a run and the job that trains it; `label_set_id` None means that it trains on truth.

    Raises:
        NameTaken: the name is empty, too long or taken.
        NotReady: the dataset has no images, no truth, or the mask set belongs to another dataset, has no
            masks yet, or all of them are dropped; or the number of classes does not fit.
    """
    dataset = with_targets(session, dataset_id, label_set_id)
    return _submit_run(session, dataset, label_set_id, name, preset, config, code_version)


def submit_retrain(
    session: Session, run_id: str, warm: bool, name: str, code_version: str, labels_anew: bool = False
) -> tuple[Run, Job]:
    """Add a run with the settings of another that learns from all corrections so far, and the job that trains it.

    It begins with the same weights as the other did, pretrained or random, or if `warm` with those that the other
    ended with. With `labels_anew` the job first computes another mask set with the recipe of the other run's, which
    learns from the corrections, too. An empty `name` is derived from that of the first run in the line.

    Raises:
        NameTaken: the name is too long or taken.
        NotReady: nothing was corrected since, or nothing is left of what was; there are no weights to start from; or as
            for `submit_train`.
    """
    base = session.get(Run, run_id)
    if base is None:
        raise NotReady("The run was deleted meanwhile, so it cannot be trained again.")
    if not retraining.news(session, base):
        raise NotReady(
            f"No image was corrected since the run {base.name!r} began, so there is nothing new to learn. Correct some "
            "masks first."
        )
    if labels_anew and not corrections.teaching(session, base.dataset_id):
        raise NotReady(
            f"The labels of the run {base.name!r} learn from corrections, and none is left. Draw some strokes first."
        )
    if warm:
        _with_model(session, run_id)
    first = retraining.first(session, base)
    name = name or counted_name(session, Run, first.name)
    config = base.config | {"data": base.config.get("data", {}) | {"corrections": True}}
    dataset, label_set_id = with_targets(session, base.dataset_id, base.label_set_id), base.label_set_id
    if labels_anew and base.label_set_id and first.label_set_id:
        before = session.get_one(LabelSet, base.label_set_id)
        wish = session.get_one(LabelSet, first.label_set_id).name
        recipe = before.method, before.params, before.seed, code_version
        label_set = recipes.create(session, dataset, counted_name(session, LabelSet, wish), *recipe)
        label_set.classes, label_set_id = before.classes, label_set.id
    run, job = _submit_run(session, dataset, label_set_id, name, base.preset, config, code_version)
    run.details = {"retrained": {"from": base.id, "warm": warm}}
    if warm:
        job.payload = job.payload | {"start": base.id}
    if label_set_id != base.label_set_id:
        label_set.job_id, job.payload = job.id, job.payload | {"label_set": label_set_id}
    return run, job


def submit_measure(
    session: Session,
    dataset_id: str,
    label_set_id: str | None,
    config: dict[str, Any],
    what: Literal["trial", "rate_range"],
) -> Job:
    """Add the job that measures settings: how long a run would take, or which learning rates work.

    It belongs to no row: only the page that requested it shows it.

    Raises:
        NotReady: as for `submit_train`.
    """
    dataset = with_targets(session, dataset_id, label_set_id)
    config = _with_classes(session, dataset, label_set_id, config)
    payload = {"dataset": dataset.id, "label_set": label_set_id, "config": config, "what": what}
    return jobs.submit(session, JobKind.MEASURE, payload)


def _with_classes(
    session: Session, dataset: Dataset, label_set_id: str | None, config: dict[str, Any]
) -> dict[str, Any]:
    """Return settings with the number of classes that there are, where they leave it open (0).

    Raises:
        NotReady: they ask for a number that is neither this nor 1, which merges all classes.
    """
    label_set = session.get_one(LabelSet, label_set_id) if label_set_id else None
    there = max(len(label_set.classes) - 1, 1) if label_set else datasets.class_count(dataset)
    model = config.get("model", {})
    wanted = model.get("classes", 0)
    if wanted not in (0, 1, there):
        what = "The mask set has" if label_set_id else "The truth has"
        choice = "1 class. Choose 1." if there == 1 else f"{there} classes. Choose {there}, or 1."
        raise NotReady(f"{what} {choice} Got {wanted}.")
    return config | {"model": model | {"classes": wanted or max(there, 1)}}


def submit_predict(
    session: Session,
    run_id: str,
    dataset_id: str,
    flips: bool | None = None,
    source: dict[str, Any] | None = None,
    refine: str | None = None,
    also: Sequence[str] = (),
) -> tuple[PredictionSet, Job]:
    """Add the job that applies a run's best model to a dataset, after importing `source` into it where one is given.

    `flips` and `refine` are as in the run's own settings unless they are given. `also` names runs whose models predict
    the same images in the same way, for comparison; each has a set of predictions of its own.

    Raises:
        NotReady: the run has no model yet.
    """
    # A run of the first version has no such settings and predicted once
    run = _with_model(session, run_id)
    own = run.config.get("prediction", {})
    flips = own.get("flips", False) if flips is None else flips
    refine = own.get("refine", "none") if refine is None else refine
    set_id = runs.ensure_prediction_set(session, run_id, dataset_id, None, flips, refine)
    prediction_set = session.get_one(PredictionSet, set_id)
    others = [_set_of_another(session, other, dataset_id, flips, refine) for other in also]
    payload = {"dataset": dataset_id, "run": run_id, "prediction_set": set_id, "flips": flips, "refine": refine}
    if source is not None:
        _check_source(session, source)
        payload["source"] = source
    if others:
        payload["also"] = [other.run_id for other in others]
    job = _submit(session, prediction_set, JobKind.PREDICT, payload)
    for other in others:
        other.job_id = job.id
    dataset = session.get_one(Dataset, dataset_id)
    audit.record(session, "predicted", "predictions", set_id, dataset.name, f"with run {run.name}")
    return prediction_set, job


def _set_of_another(session: Session, run_id: str, dataset_id: str, flips: bool, refine: str) -> PredictionSet:
    _with_model(session, run_id)
    set_id = runs.ensure_prediction_set(session, run_id, dataset_id, None, flips, refine)
    return session.get_one(PredictionSet, set_id)


def _with_model(session: Session, run_id: str) -> Run:
    run = session.get(Run, run_id)
    if run is None:
        raise NotReady("The network does not exist any more. Choose another one.")
    if run.best_epoch is None:
        raise NotReady(f"The run {run.name!r} has no model yet. Let it finish an epoch first.")
    return run


def submit_predict_new(
    session: Session,
    run_id: str,
    name: str,
    source: dict[str, Any],
    flips: bool | None = None,
    refine: str | None = None,
    also: Sequence[str] = (),
) -> tuple[PredictionSet, Job]:
    """Add images that are imported only for prediction, and the job that imports and predicts them.

    `flips`, `refine` and `also` as in `submit_predict`.

    Raises:
        NameTaken: the name is empty, too long or taken.
        NotReady: the run has no model yet.
    """
    dataset = datasets.create(session, name, purpose="prediction")
    return submit_predict(session, run_id, dataset.id, flips, source, refine, also)


def submit_export(session: Session, owner: str, owner_id: str, what: str, threshold: float | None = None) -> Job:
    """Add the job that prepares a download, or return the active one for the same file.

    Args:
        owner: what is exported: "run", "prediction_set", "label_set" or "measurement".
        what: one of `engine.exports.base.formats`.
        threshold: of the masks, where the format has masks in it.

    Raises:
        NotReady: there is no model, or no mask.
    """
    try:
        ids = exports.payload_ids(session, owner, owner_id)
    except NoResultFound:
        raise NotReady("This was deleted meanwhile, so it cannot be downloaded.") from None
    if owner == "run" and session.get_one(Run, owner_id).best_epoch is None:
        raise NotReady("The run has no model yet. Let it finish an epoch first.")
    if owner == "prediction_set" and not runs.prediction_count(session, owner_id):
        raise NotReady("There are no masks yet. Let the prediction finish first.")
    if owner == "label_set" and not recipes.labelled_images(session, owner_id):
        raise NotReady("There are no masks yet. Let the labelling finish first.")
    if owner == "measurement" and not session.get_one(Measurement, owner_id).stamp:
        raise NotReady("The objects are not measured yet. Let that finish first.")
    latest = exports.latest(session, owner, owner_id).get(what)
    if latest is not None and not latest.status.ended and latest.payload["threshold"] == threshold:
        return latest
    payload = {"owner": owner, "what": what, "threshold": threshold, "stamp": exports.stamp(session, owner, owner_id)}
    audit.record(
        session, "exported", owner.replace("_", " "), owner_id, exports.owner_name(session, owner, owner_id), what
    )
    return jobs.submit(session, JobKind.EXPORT, payload | ids)


def submit_backbone(session: Session, source: dict[str, Any]) -> Job:
    """Add the job that stores the network which describes images to the method *strokes*.

    `source` is {"kind": "download"} or {"kind": "upload", "token": …}.
    """
    job = jobs.submit(session, JobKind.BACKBONE, {"source": source})
    audit.record(session, "fetched", "backbone", job.id, "MobileNetV2", f"by {source['kind']}")
    return job


def _check_source(session: Session, source: dict[str, Any]) -> None:
    """Refuse to read folders of this machine for people who may only work with their uploads."""
    if source["kind"] in ("folder", "zip"):
        audit.actor_of(session).require(Role.ADMIN)


def _place(source: dict[str, Any]) -> str:
    words = {"upload": "an upload", "sample": "the drawn sample set"}
    return words.get(source["kind"]) or f"the {source['kind']} {source.get('path', '')}"


def with_images(session: Session, dataset_id: str) -> Dataset:
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise NotReady("The dataset was deleted meanwhile. Choose another one.")
    if not dataset.image_count:
        raise NotReady(f"The dataset {dataset.name!r} has no images. Import some first.")
    return dataset


def with_targets(session: Session, dataset_id: str, label_set_id: str | None) -> Dataset:
    """Return the dataset if truth (None) or the mask set has masks to train on."""
    dataset = with_images(session, dataset_id)
    if label_set_id is None:
        if not dataset.truth_count:
            raise NotReady(f"The dataset {dataset.name!r} has no truth masks. Label it, then train on the mask set.")
    else:
        label_set = session.get(LabelSet, label_set_id)
        if label_set is None:
            raise NotReady("The mask set was deleted meanwhile. Choose another one.")
        if label_set.dataset_id != dataset.id:
            raise NotReady(f"The mask set {label_set.name!r} belongs to another dataset than {dataset.name!r}.")
        labelled = recipes.labelled_images(session, label_set_id)
        if not labelled:
            raise NotReady(f"The mask set {label_set.name!r} has no masks yet. Let its job finish first.")
        if not labelled - recipes.left_aside(session, label_set_id):
            raise NotReady(
                f"Every mask of {label_set.name!r} is dropped, or its image excluded. Keep some of them first."
            )
    return dataset


def _submit(session: Session, owner: Any, kind: JobKind, payload: dict[str, Any]) -> Job:
    job = jobs.submit(session, kind, payload)
    owner.job_id = job.id
    session.flush()
    return job


def _submit_run(
    session: Session,
    dataset: Dataset,
    label_set_id: str | None,
    name: str,
    preset: str,
    config: dict[str, Any],
    code_version: str,
) -> tuple[Run, Job]:
    config = _with_classes(session, dataset, label_set_id, config)
    run = runs.create(session, dataset, label_set_id, name, preset, config, code_version)
    audit.record(session, "trained", "run", run.id, run.name, f"dataset {dataset.name}")
    return run, _submit(session, run, JobKind.TRAIN, {"dataset": dataset.id, "run": run.id})

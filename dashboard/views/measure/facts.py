"""What the Measure page offers: datasets and the masks of each, and the measurements so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dashboard.facts.jobs import JobView, job_view
from db import measurements, measuring
from db.exports import owner_name
from db.masks import MasksOf
from db.models import Dataset, Image, Job, Label, LabelSet, Measurement, Prediction, PredictionSet, Run
from engine.core.parameters import parse
from engine.core.run_config_text import choice_words
from engine.measuring.intervals import LEAST_IMAGES
from engine.measuring.objects import ObjectParams


@dataclass(frozen=True)
class Masks:
    """Masks that can be measured: whose, and in words; `images` is how many there are."""

    owner: MasksOf
    owner_id: str
    title: str
    images: int

    @property
    def key(self) -> str:
        return f"{self.owner}-{self.owner_id}"


@dataclass(frozen=True)
class MeasurementView:
    """A measurement. `masks_changed`: what it measured is not the same any more; `params` are in words.

    `scale` is the size of a pixel in words, as a person gave it, or empty. `done` is whether its tables are stored.
    """

    id: str
    title: str
    dataset_id: str
    dataset_name: str
    owner: MasksOf
    owner_id: str
    run_id: str
    params: str
    values: Mapping[str, Any]
    scale: str
    created_at: datetime
    images: int
    objects: int
    classes: tuple[str, ...]
    filters: tuple[Mapping[str, Any], ...]
    done: bool
    masks_changed: bool
    job: JobView | None


def dataset_choices(session: Session) -> dict[str, str]:
    """Return {id: name} of the datasets with images, newest first; those imported for prediction too."""
    query = select(Dataset.id, Dataset.name).where(Dataset.image_count > 0).order_by(Dataset.created_at.desc())
    return dict(session.execute(query).all())


def mask_choices(session: Session, dataset_id: str) -> tuple[Masks, ...]:
    """Return what of a dataset can be measured: predictions of its runs, newest first, mask sets, truth."""
    found: list[Masks] = []
    predicted = (
        select(PredictionSet.id, Run.name, func.count())
        .join(Run, Run.id == PredictionSet.run_id)
        .join(Prediction, Prediction.prediction_set_id == PredictionSet.id)
        .join(Image, (Image.id == Prediction.image_id) & Image.excluded.is_(False))
        .where(PredictionSet.dataset_id == dataset_id)
        .group_by(PredictionSet.id, Run.name, PredictionSet.created_at)
        .order_by(PredictionSet.created_at.desc())
    )
    found += [Masks("prediction_set", id_, f"Masks of run {name}", n) for id_, name, n in session.execute(predicted)]
    labelled = (
        select(LabelSet.id, LabelSet.name, func.count())
        .join(Label, Label.label_set_id == LabelSet.id)
        .join(Image, (Image.id == Label.image_id) & Image.excluded.is_(False))
        .where(LabelSet.dataset_id == dataset_id)
        .group_by(LabelSet.id, LabelSet.name, LabelSet.created_at)
        .order_by(LabelSet.created_at.desc())
    )
    found += [Masks("label_set", id_, f"Mask set {name}", n) for id_, name, n in session.execute(labelled)]
    dataset = session.get(Dataset, dataset_id)
    if dataset is not None and dataset.truth_count:
        found.append(Masks("truth", dataset.id, "Truth", dataset.truth_count))
    return tuple(found)


def settings_of(session: Session, measurement_id: str, dataset_id: str) -> tuple[ObjectParams | None, str]:
    """Return what counts as an object in a measurement, and its pixel size as typed, which is that of its dataset only.

    None and "" if there is no such measurement.
    """
    found = session.get(Measurement, measurement_id)
    if found is None:
        return None, ""
    return parse(ObjectParams, found.params), found.pixel_size if found.dataset_id == dataset_id else ""


def wanted(session: Session, address: Mapping[str, str]) -> tuple[str, str]:
    """Return (dataset id, `Masks.key`) that an address names by `run`, `set`, `labels` or `dataset`; "" for open."""
    if label_set := session.get(LabelSet, address.get("labels", "")):
        return label_set.dataset_id, f"label_set-{label_set.id}"
    if prediction_set := session.get(PredictionSet, address.get("set", "")):
        return prediction_set.dataset_id, f"prediction_set-{prediction_set.id}"
    if run := session.get(Run, address.get("run", "")):
        own = (PredictionSet.run_id == run.id, PredictionSet.dataset_id == run.dataset_id)
        set_id = session.scalar(select(PredictionSet.id).where(*own))
        return run.dataset_id, f"prediction_set-{set_id}" if set_id else ""
    dataset = session.get(Dataset, address.get("dataset", ""))
    return (dataset.id if dataset else "", address.get("masks", ""))


def scale_words(session: Session, dataset_id: str) -> str:
    """Return what the files of a dataset say about the size of a pixel, as a sentence."""
    columns = (Image.pixel_width_um, Image.pixel_height_um, Image.pixel_size_source)
    query = select(*columns, func.count()).where(Image.dataset_id == dataset_id, Image.excluded.is_(False))
    found = session.execute(query.group_by(*columns).order_by(func.count().desc())).all()
    known = [(width, height, source) for width, height, source, _ in found if width is not None and height is not None]
    if not known:
        return "The files say no pixel size: objects are measured in pixels."
    width, height, source = known[0]
    size = f"{width:.4g} µm" if abs(width - height) <= 1e-3 * width else f"{width:.4g} × {height:.4g} µm"
    if len(found) > 1:
        size += ", other images another or none"
    return f"The files say {size} ({source})."


def listing(session: Session, now: datetime, lost_after_s: float, part: slice) -> tuple[MeasurementView, ...]:
    """Return a part of all measurements, newest first."""
    return tuple(_view(session, row, now, lost_after_s) for row in measurements.listing(session)[part])


def measurement_count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Measurement)) or 0


def view(session: Session, measurement_id: str | None, now: datetime, lost_after_s: float) -> MeasurementView | None:
    """Return a measurement, None if it does not exist."""
    row = session.get(Measurement, measurement_id) if measurement_id else None
    return None if row is None else _view(session, row, now, lost_after_s)


def job_of(session: Session, measurement_id: str, now: datetime, lost_after_s: float) -> JobView | None:
    """Return the job of a measurement, None if either does not exist."""
    row = session.get(Measurement, measurement_id)
    job = session.get(Job, row.job_id) if row is not None and row.job_id else None
    return job_view(job, now, lost_after_s)


def _view(session: Session, row: Measurement, now: datetime, lost_after_s: float) -> MeasurementView:
    owner, owner_id = measuring.measured(row)
    found = session.get_one(PredictionSet, owner_id) if owner == "prediction_set" else None
    return MeasurementView(
        id=row.id,
        title=owner_name(session, "measurement", row.id),
        dataset_id=row.dataset_id,
        dataset_name=session.get_one(Dataset, row.dataset_id).name,
        owner=owner,
        owner_id=owner_id,
        run_id=found.run_id if found else "",
        params=params_words(row.params),
        values=row.params,
        scale=row.pixel_size,
        created_at=row.created_at,
        images=row.images,
        objects=row.objects,
        classes=tuple(str(name) for name in row.classes),
        filters=tuple(row.filters),
        done=bool(row.stamp),
        masks_changed=bool(row.stamp) and row.stamp != measuring.stamp_of(session, owner, owner_id),
        job=job_view(session.get(Job, row.job_id) if row.job_id else None, now, lost_after_s),
    )


def params_words(values: Mapping[str, Any]) -> str:
    """Return what counts as an object where it is not the usual: "split, at least 30 px²"."""
    params = parse(ObjectParams, dict(values))
    words = [f"split at a neck of {params.neck:.2g}" if params.split else "not split"]
    words.append(f"at least {params.least_area_px:,} px²")
    if params.greatest_area_px:
        words.append(f"at most {params.greatest_area_px:,} px²")
    if params.fill_holes:
        words.append("holes filled")
    if params.border != "keep":
        words.append(f"border objects {'dropped' if params.border == 'drop' else 'counted half'}")
    if params.threshold != ObjectParams().threshold:
        words.append(f"mask threshold {params.threshold:.2f}")
    return ", ".join(words)


def readable(value: float) -> str:
    """Return a number with four digits, or all digits of a large one."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def interval_words(calibrated_on: int, images: int) -> str:
    """Return what the bounds of counts and covered shares of `images` mean, calibrated on so many, 0 for none."""
    if calibrated_on:
        return (
            "*At least* and *at most* are expected to hold the true value of 90 % of images: calibrated on "
            f"{calibrated_on} images with truth or a finished correction, which the masks were not made from."
        )
    how = f"correct an audit of {LEAST_IMAGES} images or more, and measure again"
    return (
        "*At least* and *at most* are the values at a higher and a lower mask threshold. They are not calibrated: the "
        "true value often lies outside, where the mask is wrong and certain. "
        + (f"To calibrate them, {how}." if images >= LEAST_IMAGES else f"That takes {LEAST_IMAGES} known images.")
    )


def decimals(values: np.ndarray) -> int:
    """Return how many decimals to show of numbers, float (N,), for four digits of the largest; at least 2."""
    greatest = float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0))
    return 2 if greatest == 0 else min(max(3 - math.floor(math.log10(greatest)), 2), 12)


def column_title(name: str) -> str:
    """Return the title of a column with its unit: "Area (µm²)" for "area_um2"."""
    for prefix, words in (("covered_share_", "Covered share"), ("count_", "Count")):
        rest = name.removeprefix(prefix)
        if rest not in (name, "at_least", "at_most"):  # the name of a class
            return f"{words}: {rest}"
    units = {"_um2": "µm²", "_um": "µm", "_mm2": "mm²", "_deg": "°", "_mpx": "MP", "_px": "px"}
    if name.startswith("density_per_"):
        return f"Density (per {units['_' + name.rpartition('_')[2]]})"
    for ending, unit in units.items():
        if name.endswith(ending):
            unit = "px²" if name in ("area_px", "mean_area_px") else unit
            return f"{choice_words(name.removesuffix(ending)).capitalize()} ({unit})"
    return {"class_name": "Class name", "count": "Count"}.get(name, choice_words(name).capitalize())

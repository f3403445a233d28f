"""The jobs that faults are injected into: how each kind is submitted, how far it is, and what it must have made.

Everything is tiny: pictures of 64 px and a network with one level, so that an epoch takes a fraction of a second. All
kinds work from folders of drawn discs, and train, label and export on one dataset that the rig imports first.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from sqlalchemy.orm import Session

from db import datasets, measuring, submissions
from db.models import Job
from engine import VERSION
from engine.core.run_config import config_from
from engine.measuring.objects import ObjectParams
from engine.store import keys as stored
from tests.faults.invariants import opened
from tests.faults.rig import Rig
from tests.support.installation import disc

PICTURES = 24
EPOCHS = 8
CONFIG = {
    "training": {"epochs": EPOCHS, "batch_size": 8},
    "model": {"image_size": 32, "depth": 1, "base_filters": 4},
    "early_stopping": {"enabled": False},
    "self_training": {"rounds": 1},
    "prediction": {"flips": False},
}
KINDS = ("import", "label", "train", "predict", "objects", "export")


@dataclass(frozen=True)
class Work:
    """One job and what it works on. `total` is how many pictures or epochs it has to do, `owner` whose rows it makes.

    `dataset_id` is the dataset that it reads or fills; `page` is where its panel is, below the app's address.
    """

    kind: str
    job_id: str
    dataset_id: str
    owner_id: str
    total: int
    page: str


@dataclass(frozen=True)
class Place:
    """What the jobs of a rig work on: folders to import, and a dataset, mask set and run that are there."""

    pictures: Path
    more: Path
    dataset_id: str = ""
    label_set_id: str = ""
    run_id: str = ""


def draw_pictures(folder: Path, count: int, first: int = 0, size_px: int = 64) -> Path:
    """Draw discs with truth into `folder`/images and `folder`/truth; return `folder`."""
    for name in ("images", "truth"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        image, mask = disc(size_px, seed=number)
        cv2.imwrite(str(folder / "images" / f"disc {number}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(folder / "truth" / f"disc {number}.png"), mask.astype(np.uint8) * 255)
    return folder


def submit(rig: Rig, place: Place, kind: str, name: str, seed: int, launch: bool = True) -> Work:
    """Submit a job of a kind as its page does. `seed` makes a mask set draw its own masks, not copies."""
    made: dict[str, str] = {}
    job_id = rig.submit(lambda session: _ADD[kind](session, place, name, seed, made), launch)
    return Work(kind, job_id, made["dataset"], made["owner"], _total(rig, place, kind), _page(kind, place, made))


def _import(session: Session, place: Place, name: str, seed: int, made: dict[str, str]) -> Job:
    dataset, job = submissions.submit_import(session, name, {"kind": "folder", "path": str(place.pictures)})
    made.update(dataset=dataset.id, owner=dataset.id)
    return job


def _label(session: Session, place: Place, name: str, seed: int, made: dict[str, str]) -> Job:
    params = {"clusters": 3, "longest_side_px": 64}
    found, job = submissions.submit_label(session, place.dataset_id, name, "kmeans", params, seed, VERSION)
    made.update(dataset=place.dataset_id, owner=found.id)
    return job


def _train(session: Session, place: Place, name: str, seed: int, made: dict[str, str]) -> Job:
    config = config_from("fast", CONFIG).model_dump(mode="json")
    label_set_id = place.label_set_id if seed % 2 else None  # truth teaches every other run
    run, job = submissions.submit_train(session, place.dataset_id, label_set_id, name, "fast", config, VERSION)
    made.update(dataset=place.dataset_id, owner=run.id)
    return job


def _predict(session: Session, place: Place, name: str, seed: int, made: dict[str, str]) -> Job:
    source = {"kind": "folder", "path": str(place.more)}
    found, job = submissions.submit_predict_new(session, place.run_id, name, source)
    made.update(dataset=found.dataset_id, owner=found.id)
    return job


def _export(session: Session, place: Place, name: str, seed: int, made: dict[str, str]) -> Job:
    what = ("coco", "yolo", "coco-rle")[seed % 3]
    made.update(dataset=place.dataset_id, owner=place.label_set_id)
    return submissions.submit_export(session, "label_set", place.label_set_id, what, 0.5)


def _objects(session: Session, place: Place, name: str, seed: int, made: dict[str, str]) -> Job:
    params = ObjectParams(split=True, least_area_px=1 + seed % 9).model_dump(mode="json")
    found, job = measuring.submit_objects(session, "label_set", place.label_set_id, params)
    made.update(dataset=place.dataset_id, owner=found.id)
    return job


_ADD: dict[str, Callable[[Session, Place, str, int, dict[str, str]], Job]] = {
    "import": _import,
    "label": _label,
    "train": _train,
    "predict": _predict,
    "objects": _objects,
    "export": _export,
}


def _total(rig: Rig, place: Place, kind: str) -> int:
    folder = {"import": place.pictures, "predict": place.more}.get(kind)
    if folder is not None:
        return len(list((folder / "images").iterdir()))
    if kind == "train":
        return EPOCHS
    with rig.installation.database.reading() as session:
        return len(datasets.images(session, place.dataset_id))


def _page(kind: str, place: Place, made: dict[str, str]) -> str:
    return {
        "import": f"/datasets?dataset={made['dataset']}",
        "label": f"/labels?dataset={place.dataset_id}",
        "train": f"/runs?run={made['owner']}",
        "predict": f"/predict?set={made['owner']}",
        "objects": f"/measure?measurement={made['owner']}",
        "export": f"/labels?dataset={place.dataset_id}",
    }[kind]


def done(rig: Rig, work: Work) -> int:
    """Return how many pictures a job has stored, or epochs it has finished; of an export, whether it has begun."""
    if work.kind == "train":
        with opened(rig.root, rig.url) as database:
            query = "SELECT max(epoch) FROM metrics WHERE run_id = ?"
            return database.execute(query, (work.owner_id,)).fetchone()[0] or 0
    folder = {
        "import": f"{stored.dataset_folder(work.dataset_id)}/images",
        "label": stored.label_folder(work.owner_id),
        "predict": stored.prediction_folder(work.owner_id),
        "objects": stored.number_maps_folder(work.owner_id),
        "export": f"{stored.label_folder(work.owner_id)}/exports",
    }[work.kind]
    names = rig.names(folder)
    if work.kind == "export":
        return sum(name.startswith(work.job_id) for name in names)
    return sum(".part" not in name and "uncertainty" not in name for name in names)


def unfinished(rig: Rig, work: Work) -> list[str]:
    """Return a sentence for everything that a job that has finished should have made once, and has not."""
    counts = {
        "import": ("SELECT count(*) FROM images WHERE dataset_id = ?", work.owner_id),
        "label": ("SELECT count(*) FROM labels WHERE label_set_id = ?", work.owner_id),
        "train": ("SELECT count(DISTINCT epoch) FROM metrics WHERE run_id = ?", work.owner_id),
        "predict": ("SELECT count(*) FROM predictions WHERE prediction_set_id = ?", work.owner_id),
        "objects": ("SELECT images FROM measurements WHERE id = ?", work.owner_id),
    }
    found = []
    if work.kind in counts:
        query, owner_id = counts[work.kind]
        found += _counted(rig, query, owner_id, work.total, f"{work.kind} {owner_id}")
    if work.kind == "import":
        query = "SELECT count(*) FROM import_entries WHERE taken AND dataset_id = ?"
        found += _counted(rig, query, work.owner_id, work.total * 2, "lines in the report of the import")
        query = "SELECT image_count FROM datasets WHERE id = ?"
        found += _counted(rig, query, work.owner_id, work.total, "images that the dataset says it has")
    if work.kind == "train":
        query = (
            "SELECT count(*) FROM predictions JOIN prediction_sets ON prediction_sets.id = prediction_set_id "
            "WHERE run_id = ?"
        )
        found += _counted(rig, query, work.owner_id, PICTURES, "predictions of the trained run")
    if work.kind == "export":
        found += _bad_export(rig, work)
    return found


def _counted(rig: Rig, query: str, owner_id: str, wanted: int, what: str) -> list[str]:
    with opened(rig.root, rig.url) as database:
        count = database.execute(query, (owner_id,)).fetchone()[0]
    return [] if count == wanted else [f"{count} in place of {wanted}: {what}"]


def _bad_export(rig: Rig, work: Work) -> list[str]:
    job = rig.job(work.job_id)
    path = rig.stored() / job.result["key"]
    if job.result["images"] != work.total:
        return [f"the export has {job.result['images']} images in place of {work.total}"]
    if path.suffix == ".json":
        return [] if len(json.loads(path.read_text())["images"]) == work.total else [f"{path} lacks images"]
    with zipfile.ZipFile(path) as archive:
        return [] if archive.testzip() is None else [f"{path} is damaged"]

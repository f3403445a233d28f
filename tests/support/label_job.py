"""The label job on a real database, and what it stored."""

from db import datasets, recipes, submissions
from db.models import LabelSet
from engine.core.parameters import parse
from engine.imaging import codec
from engine.labelling.base import find_method
from engine.store import keys as stored

CLUSTERS = {"clusters": 3, "longest_side_px": 64}


def submit(installation, dataset, name="set", method="threshold", values=None, **more):
    params = parse(find_method(method).params, values or {}).model_dump(mode="json")
    with installation.database.writing() as session:
        return submissions.submit_label(session, dataset.id, name, method, params, more.pop("seed", 0), "test", **more)


def rows_of(installation, label_set):
    """Return {image id: every column but the set's} of a mask set, and its masks by image id."""
    with installation.database.reading() as session:
        found = recipes.labels(session, label_set.id)
    rows = {
        row.image_id: (row.area, row.dice, row.iou, row.quality, row.quality_parts, row.unclear, row.dropped)
        for row in found
    }
    return rows, {id_: installation.files.read(stored.label_key(label_set.id, id_)) for id_ in rows}


def stored_set(installation, label_set):
    with installation.database.reading() as session:
        return session.get_one(LabelSet, label_set.id)


def pictures(installation, dataset):
    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
    return {
        image.id: codec.decode_png(installation.files.read(stored.image_key(dataset.id, image.id))) for image in images
    }

"""The label job with a region that is left out: never foreground, not looked at, not scored, and not copied from."""

from __future__ import annotations

import numpy as np

from db import datasets, recipes
from engine.imaging import codec
from engine.labelling import job as label
from engine.store import keys as stored
from tests.engine.labelling.test_job import stored_set, submit
from tests.support.installation import add_dataset, disc, mask_png
from tests.support.leaving_out import leave_out
from tests.support.training_job import Context

FRAME = np.zeros((64, 64), bool)
FRAME[:, :12] = True


def framed(count=4):
    """Return discs whose left 12 columns are the brightest of all, and truth that is wrong there."""
    for seed in range(count):
        image, mask = disc(seed=seed)
        image[:, :12] = 255
        yield image, mask | FRAME


def run(installation, dataset, name, **more):
    label_set, job = submit(installation, dataset, name, **more)
    result = label.run(job, Context(installation))
    with installation.database.reading() as session:
        rows = {row.image_id: row for row in recipes.labels(session, label_set.id)}
    masks = {id_: codec.decode_png(installation.files.read(stored.label_key(label_set.id, id_))) > 127 for id_ in rows}
    return label_set, result, rows, masks


def test_a_region_is_never_foreground_and_does_not_draw_the_attention_of_a_method(installation, one_core):
    dataset = add_dataset(installation, "framed", framed())
    *_, before = run(installation, dataset, "before")
    assert all(mask[:, :12].all() for mask in before.values()), "the frame is what the method finds"
    region = leave_out(installation, dataset.id, FRAME)
    label_set, result, rows, masks = run(installation, dataset, "after")
    assert result["copied"] == 0, "the same recipe on the whole images has other masks"
    assert stored_set(installation, label_set).left_out_id == region.id
    assert not any(mask[:, :12].any() for mask in masks.values())
    assert all(row.dice > 0.9 for row in rows.values()), "what is left out does not count against a mask"
    _, result, *_ = run(installation, dataset, "again")
    assert result["copied"] == 4


def test_a_mask_does_not_depend_on_what_an_image_shows_there_nor_its_score_on_truth_there(installation, one_core):
    dataset = add_dataset(installation, "framed", framed())
    leave_out(installation, dataset.id, FRAME)
    _, _, rows, masks = run(installation, dataset, "first")
    with installation.database.reading() as session:
        images = datasets.images(session, dataset.id)
    for image in images:
        key = stored.image_key(dataset.id, image.id)
        pixels = codec.decode_png(installation.files.read(key)).copy()
        pixels[:, :12] = np.random.default_rng(0).integers(0, 256, (64, 12, 3))
        installation.files.write(key, codec.encode_png(pixels))
        key = stored.truth_key(dataset.id, image.id)
        truth = codec.decode_png(installation.files.read(key)) > 127
        installation.files.write(key, mask_png(truth & ~FRAME))
    _, _, changed_rows, changed_masks = run(installation, dataset, "second", seed=1)
    for image_id, mask in masks.items():
        assert np.array_equal(mask, changed_masks[image_id])
        assert (rows[image_id].dice, rows[image_id].quality) == (
            changed_rows[image_id].dice,
            changed_rows[image_id].quality,
        )

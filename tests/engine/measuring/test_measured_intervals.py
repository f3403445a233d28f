"""Intervals in the table of images, and corrections that join or cut objects, as the job measures them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from db import datasets, measuring, recipes, runs
from engine.imaging.corrections import UNTOUCHED
from engine.store import keys as stored
from tests.support.correcting import correct
from tests.support.installation import add_dataset, add_discs
from tests.support.object_measurements import measure, spots
from tests.support.predicted import add_label_set, add_run, label_row, truth_of

PLACES = ((20, 20, 8), (60, 20, 9), (20, 60, 10), (60, 60, 11))


def images_table(installation, measurement):
    with installation.files.local(stored.measured_images_key(measurement.id)) as path:
        return pd.read_parquet(path)


def missing_one(installation, dataset):
    """Store a mask set that misses the largest disc of every image; return its id."""
    with installation.database.writing() as session:
        label_set = recipes.create(session, dataset, "recipe", "kmeans", {}, 0, "test")
        images = datasets.images(session, dataset.id)
    masks = [spots(*PLACES[: number % 4])[1].astype(np.uint8) * 255 for number in range(len(images))]
    rows = [
        label_row(installation.files, label_set.id, image.id, mask) for image, mask in zip(images, masks, strict=True)
    ]
    with installation.database.writing() as session:
        recipes.add_labels(session, label_set.id, rows)
    return label_set.id


@pytest.mark.parametrize(("with_truth", "calibrated_on"), [(12, 12), (9, 9), (8, 0)])
def test_truth_of_some_images_calibrates_the_intervals_of_all(installation, with_truth, calibrated_on):
    pairs = [spots(*PLACES[: number % 4 + 1]) for number in range(12)]
    pairs = [(image, truth if number < with_truth else None) for number, (image, truth) in enumerate(pairs)]
    dataset = add_dataset(installation, "plates", pairs)
    found = images_table(installation, measure(installation, "label_set", missing_one(installation, dataset)))
    true = np.arange(12) % 4 + 1
    assert found["count"].tolist() == (true - 1).tolist()
    assert set(found["calibrated_on"]) == {calibrated_on}
    assert found["known_count"].dropna().tolist() == true[:with_truth].tolist()
    held = (found["count_at_least"] <= true) & (true <= found["count_at_most"])
    assert held.all() if calibrated_on else not held.any()
    assert (found["count_at_least"] <= found["count"]).all() and (found["count_at_most"] >= found["count"]).all()
    assert (found["count_at_most"] % 1 == 0).all()


def test_images_that_a_network_learned_from_do_not_calibrate_it(installation):
    dataset = add_discs(installation, 12)
    run = add_run(installation, dataset, "run", shifts_px=(0,))
    with installation.database.reading() as session:
        set_id = runs.own_prediction_set(session, run).id
    found = images_table(installation, measure(installation, "prediction_set", set_id))
    assert set(found["calibrated_on"]) == {0}  # 4 of the 12 are for validation
    assert found["known_count"].tolist() == [1] * 12


def test_a_correction_cuts_an_object_of_a_prediction_and_a_finished_one_is_certain(installation):
    dataset = add_discs(installation, 3)
    run = add_run(installation, dataset, "run", shifts_px=(0,))
    with installation.database.reading() as session:
        set_id, images = runs.own_prediction_set(session, run).id, datasets.images(session, dataset.id)
        before = measuring.stamp_of(session, "prediction_set", set_id)
    truths = [truth_of(installation, dataset, image.id) for image in images]
    line = np.full(truths[0].shape, UNTOUCHED, np.uint8)
    middle = int(np.argwhere(truths[0])[:, 1].mean())
    line[:, middle - 1 : middle + 2] = 0
    correct(installation, dataset, {images[0].id: line}, finished=False)
    correct(installation, dataset, {images[1].id: np.zeros_like(line)}, finished=True)
    found = images_table(installation, measure(installation, "prediction_set", set_id))
    assert found["count"].tolist() == [2, 0, 1]
    bounds = found[["count_at_least", "count_at_most"]].to_numpy()
    assert bounds[0].tolist() == [2, 2], "what was drawn is certain"
    assert bounds[1].tolist() == [0, 0]
    assert found["known_count"].tolist() == [1, 0, 1]
    with installation.database.reading() as session:
        assert measuring.stamp_of(session, "prediction_set", set_id) != before


def test_truth_has_no_interval(installation):
    dataset = add_discs(installation, 2)
    add_label_set(installation, dataset)
    assert "count_at_least" not in images_table(installation, measure(installation, "truth", dataset.id))

"""Comparing runs: only what is the same is compared, and what differs is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import event

from dashboard.facts.class_results import class_results
from dashboard.facts.scores import read_scores
from dashboard.views.compare import facts as compare
from dashboard.views.compare import shared_images
from dashboard.views.compare.class_scores import class_scores
from db import datasets, runs
from db.models import Image, Prediction
from engine.core.run_config import config_from
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run
from tests.support.several_classes import add_eggs_and_pans, add_run_of_classes


def compared(installation, *runs):
    with installation.database.reading() as session:
        return compare.compared_runs(session, [run.id for run in runs])


def shared(installation, *runs, threshold=0.5):
    def read(set_id):
        with installation.database.reading() as session:
            return read_scores(session, set_id)

    found = shared_images.shared_images(compared(installation, *runs), read)
    return found and replace(found, threshold=threshold)


@pytest.fixture
def pair(installation):
    dataset = add_discs(installation, 6)
    exact = add_run(installation, dataset, "exact", shifts_px=(0,))
    moved = add_run(installation, dataset, "moved", shifts_px=(0, 2, 4, 8, 12, 20))
    return exact, moved


def test_runs_keep_the_requested_order_and_unknown_ids_are_left_out(installation, pair):
    exact, moved = pair
    with installation.database.reading() as session:
        found = compare.compared_runs(session, [moved.id, "0" * 32, exact.id, moved.id])
    assert [run.name for run in found] == ["moved", "exact"]


def test_numbers_at_the_best_and_the_last_epoch(installation):
    run = add_run(installation, add_discs(installation, 2), "r", epochs=4)
    with installation.database.writing() as session:
        session.get_one(type(run), run.id).best_epoch = 2
    (row,) = compared(installation, run)
    assert (row.best["val_dice"], row.last["val_dice"]) == (pytest.approx(0.75), pytest.approx(0.875))
    assert (row.best_epoch, row.last_epoch, row.seconds, row.parameter_count) == (2, 4, 61.0, 1234)
    assert row.measured_against == "truth"
    assert compare.minutes(row, [2, 4]) == [pytest.approx(61 / 120), pytest.approx(61 / 60)]
    assert compare.minutes(replace(row, seconds=None), [1]) is None


def test_only_settings_that_differ_are_listed(installation):
    dataset = add_discs(installation, 2)
    label_set_id = add_label_set(installation, dataset)
    plain = add_run(installation, dataset, "plain")
    other = add_run(
        installation,
        dataset,
        "other",
        label_set_id=label_set_id,
        config=config_from("fast", {"training": {"epochs": 7}}),
    )
    found = compare.all_settings(compared(installation, plain, other))
    differing = {setting.name: setting.values for setting in found if setting.differs}
    assert differing == {"Trained on": ("truth", "recipe (kmeans)"), "Training · Epochs": ("30", "7")}
    assert ("Preset", ("fast", "fast")) in [(setting.name, setting.values) for setting in found]
    assert not any(setting.differs for setting in compare.all_settings(compared(installation, plain)))


def test_images_are_sorted_by_disagreement(installation, pair):
    images = shared(installation, *pair)
    assert images.reference == "truth" and len(images.rows) == 6
    names = [images.name(int(image)) for image in images.order("disagreement")]
    assert names == [f"disc {number}.png" for number in (5, 4, 3, 2, 1, 0)]
    assert images.spread[images.order("disagreement")[-1]] == pytest.approx(0)
    assert [images.name(int(image)) for image in images.order("name")] == [f"disc {number}.png" for number in range(6)]
    assert images.means(held_out_only=False)[1][0] == pytest.approx(1)
    assert images.held_out.tolist() == [True, False, False, True, False, False]
    assert images.means(held_out_only=True)[1][1] == pytest.approx(float(images.scores[[0, 3], 1].mean()))


def test_the_mask_threshold_moves_the_scores(installation, pair):
    at_half, lower = shared(installation, *pair), shared(installation, *pair, threshold=0.3)
    assert np.all(lower.scores[:, 0] < at_half.scores[:, 0])
    assert np.all(lower.areas > at_half.areas)


def test_pseudo_label_scores_are_compared_only_if_all_were_trained_on_one_label_set(installation):
    dataset = add_discs(installation, 3)
    first, second = add_label_set(installation, dataset, "a"), add_label_set(installation, dataset, "b", shift_px=8)
    runs = [
        add_run(installation, dataset, name, label_set_id=trained_on, score_truth=False)
        for name, trained_on in (("a1", first), ("a2", first), ("b1", second))
    ]
    assert shared(installation, *runs[:2]).reference == "label"
    mixed = shared(installation, *runs)
    assert mixed.reference is None
    assert mixed.spread == pytest.approx(mixed.areas.max(axis=1) - mixed.areas.min(axis=1))
    sentences = " ".join(shared_images.cautions(compared(installation, *runs), mixed))
    assert "different references" in sentences and "share no reference" in sentences


def test_different_datasets_are_matched_by_image_content(installation):
    here, there, elsewhere = (add_discs(installation, 4, name=name) for name in ("here", "there", "elsewhere"))
    with installation.database.writing() as session:
        both = zip(datasets.images(session, here.id)[:3], datasets.images(session, there.id)[:3], strict=True)
        for mine, theirs in both:
            session.get_one(Image, theirs.id).content_hash = mine.content_hash
    runs = [add_run(installation, dataset, dataset.name) for dataset in (here, there, elsewhere)]
    images = shared(installation, *runs[:2])
    assert len(images.rows) == 3
    first, second = images.image_id(0, 0), images.image_id(0, 1)
    assert first != second and images.find(first) == 0 and images.find("0" * 32) is None
    nothing = shared(installation, runs[0], runs[2])
    assert len(nothing.rows) == 0
    sentences = " ".join(shared_images.cautions(compared(installation, runs[0], runs[2]), nothing))
    assert "different datasets (here, elsewhere)" in sentences and "share no image" in sentences


def test_a_run_without_masks_still_shows_curves(installation, pair):
    bare = add_run(installation, add_discs(installation, 2, name="other"), "bare", shifts_px=())
    runs = compared(installation, pair[0], bare)
    assert shared(installation, pair[0], bare) is None
    with installation.database.reading() as session:
        curves = compare.curves(session, [run.id for run in runs], ["val_dice"])
    assert curves[runs[1].id, "val_dice"][0] == [1, 2, 3]
    assert {name for _, name in curves} == {"val_dice"}
    assert "No masks yet of bare" in " ".join(shared_images.cautions(runs, None))
    assert compare.metric_choices(runs) == ("dice", "loss", "iou")


def test_the_default_pair_shares_a_dataset(installation, pair):
    add_run(installation, add_discs(installation, 2, name="newer"), "alone")
    with installation.database.reading() as session:
        assert set(compare.usual_runs(session)) == {run.id for run in pair}


def test_archived_runs_are_no_default_but_can_be_compared(installation, pair):
    with installation.database.writing() as session:
        runs.mark(session, [pair[1].id], archived=True)
    third = add_run(installation, add_discs(installation, 2, name="newer"), "alone")
    with installation.database.reading() as session:
        assert compare.usual_runs(session) == [third.id]
    assert [run.name for run in compared(installation, *pair)] == ["exact", "moved"]


def test_ten_runs_are_read_with_few_queries_and_no_settings_twice(installation):
    dataset = add_discs(installation, 2)
    made = [add_run(installation, dataset, f"run {number}", shifts_px=(), epochs=4) for number in range(10)]
    asked = []
    event.listen(installation.database.bind, "before_cursor_execute", lambda *call: asked.append(call[2]))
    found = compared(installation, *made)
    assert [run.last_epoch for run in found] == [4] * 10
    assert len(asked) <= 4 + len(made)


def class_table(installation):
    def read(set_id):
        with installation.database.reading() as session:
            return class_results(session, set_id)

    return read


def test_classes_are_compared_by_name_over_images_held_out_from_all(installation):
    eggs = add_eggs_and_pans(installation, 12)
    spoons = add_eggs_and_pans(installation, 12, "spoons", names=("background", "pan", "egg", "spoon"))
    with installation.database.writing() as session:  # the same pictures, so that they are shared
        for one, other in zip(datasets.images(session, eggs.id), datasets.images(session, spoons.id), strict=True):
            other.content_hash = one.content_hash
    first = add_run_of_classes(installation, eggs, "first")
    second = add_run_of_classes(installation, spoons, "second", confused=False)
    found = class_scores(shared(installation, first, second), class_table(installation))
    assert found.names == ("egg", "pan", "spoon") and (found.images, found.held_out) == (4, True)
    assert np.isnan(found.dice[2]).all()  # only the second has spoons, and none is in the images
    assert found.dice[:2, 1].tolist() == [1, 1] and (found.dice[:2, 0] < 0.9).all()
    assert (found.iou[:2, 0] < found.dice[:2, 0]).all()


def test_a_run_of_foreground_alone_has_no_scores_of_classes(installation):
    plates = add_eggs_and_pans(installation, 6)
    several = add_run_of_classes(installation, plates, "several")
    binary = add_run(installation, plates, "binary")
    found = class_scores(shared(installation, several, binary), class_table(installation))
    assert np.isnan(found.dice[:, 1]).all() and np.isfinite(found.dice[:, 0]).all()
    other = add_run(installation, plates, "another")
    assert class_scores(shared(installation, binary, other), class_table(installation)) is None


def test_a_run_that_was_not_compared_with_its_classes_hides_no_other(installation):
    plates = add_eggs_and_pans(installation, 6)
    several = add_run_of_classes(installation, plates, "several")
    other = add_run_of_classes(installation, plates, "other")
    with installation.database.writing() as session:
        set_id = runs.own_prediction_set(session, other).id
        session.query(Prediction).filter_by(prediction_set_id=set_id).update({"truth_confusion": None})
    found = class_scores(shared(installation, several, other), class_table(installation))
    assert found.names == ("egg", "pan") and (found.images, found.held_out) == (2, True)
    assert np.isfinite(found.dice[:, 0]).all() and np.isnan(found.dice[:, 1]).all()
    with installation.database.writing() as session:
        session.query(Prediction).update({"truth_confusion": None})
    assert class_scores(shared(installation, several, other), class_table(installation)) is None

"""Orders, scores and comparisons of predicted masks, on real rows and counts of real pixels."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.facts.scores import read_scores
from dashboard.facts.threshold import BetterThreshold, threshold_words
from dashboard.views.predict import mask_facts as view
from dashboard.views.predict.mask_facts import MaskPair, Masks
from db.models import Image, Prediction
from engine.imaging import codec, metrics
from engine.store import keys as stored
from tests.support.installation import add_discs
from tests.support.predict_page import add_predictions, add_run


def table(installation, set_id):
    with installation.database.reading() as session:
        return read_scores(session, set_id)


def names(masks, order, threshold=0.5):
    return [masks.table.names[row] for row in view.arrange(masks, order, threshold)]


@pytest.fixture
def compared(installation):
    """Two networks on three images: the first exact, the second one off by 0, 12 and 4 pixels."""
    dataset = add_discs(installation, count=3, name="new")
    first = add_predictions(installation, add_run(installation, add_discs(installation, 2, "own"), "one"), dataset)
    second = add_predictions(installation, add_run(installation, add_discs(installation, 2, "own too"), "two"), dataset)
    left = table(installation, first)
    for image_id, shift in zip(left.image_ids, (0, 12, 4), strict=True):
        key = stored.prediction_key(second, image_id)
        levels = codec.decode_png(installation.files.read(key))
        installation.files.write(key, codec.encode_png(np.roll(levels, shift, axis=1)))
    return first, second, left


def test_scores_follow_the_threshold_without_touching_a_file(installation):
    dataset = add_discs(installation, count=4)
    set_id = add_predictions(installation, add_run(installation, dataset), dataset)
    installation.files.delete(stored.prediction_folder(set_id))
    masks = Masks(table(installation, set_id))
    perfect, everything, nothing = (view.summary(masks, threshold) for threshold in (0.5, 0.05, 0.9))
    assert (perfect.scored, perfect.dice, perfect.iou) == (4, 1.0, 1.0)
    assert 0 < everything.dice < 0.6
    assert nothing.dice == 0
    shown = view.shown(masks, 0, 0.9)
    assert (shown.dice, shown.area, shown.has_truth) == (0, 0, True)


def test_without_truth_there_is_no_score_and_no_order_by_it(installation):
    dataset = add_discs(installation, truth=False)
    masks = Masks(table(installation, add_predictions(installation, add_run(installation, dataset), dataset)))
    assert view.summary(masks, 0.5) == view.Summary(0, None, None, None, 0, None)
    assert view.orders(masks) == ("File order", "Name", "Largest area", "Smallest area")
    assert (view.shown(masks, 0, 0.5).dice, view.shown(masks, 0, 0.5).area) == (None, None)


def test_orders_follow_the_threshold_and_unknown_values_come_last(installation):
    dataset = add_discs(installation, count=4)
    set_id = add_predictions(installation, add_run(installation, dataset), dataset, shift_px=9)
    with installation.database.writing() as session:
        rows = session.query(Prediction).join(Image).order_by(Image.position).all()
        for row, uncertainty in zip(rows, (0.1, None, 0.4, 0.2), strict=True):
            row.uncertainty = uncertainty
        rows[1].truth_counts = None
    masks = Masks(table(installation, set_id))
    scores = {name: masks.table.scores("truth", 0.5)[row] for row, name in enumerate(masks.table.names)}
    worst = names(masks, "Worst vs truth")
    assert worst[-1] == names(masks, "Best vs truth")[-1] == "disc 1.png"
    assert sorted(worst[:3], key=scores.__getitem__) == worst[:3]
    assert names(masks, "Least sure first") == ["disc 2.png", "disc 3.png", "disc 0.png", "disc 1.png"]
    assert names(masks, "File order") == names(masks, "Name") == [f"disc {number}.png" for number in range(4)]
    areas = masks.table.area(0.5)
    assert list(view.arrange(masks, "Largest area", 0.5)) == list(np.argsort(-areas, kind="stable"))
    assert "Networks differ most" not in view.orders(masks)


def test_pages():
    rows = np.arange(view.PER_PAGE + 2)[::-1]
    assert list(view.page_rows(rows, 2)) == [1, 0] == list(view.page_rows(rows, 9))


def test_the_place_of_an_image_names_its_neighbours(installation):
    dataset = add_discs(installation, count=3)
    found = table(installation, add_predictions(installation, add_run(installation, dataset), dataset))
    ids, backwards = found.image_ids, np.array([2, 1, 0])
    assert view.place(found, backwards, ids[1]) == view.Place(1, 3, 1, ids[2], ids[0])
    assert view.place(found, backwards, ids[0]) == view.Place(2, 3, 1, ids[1], None)


def test_images_on_which_the_networks_differ_most_come_first(installation, compared):
    first, second, left = compared
    pair = MaskPair(installation.files, first, second, left.image_ids)
    masks = Masks(left, table(installation, second), pair)
    pair.fill([0])
    assert pair.filled == 1 and not pair.complete
    assert view.shown(masks, 0, 0.5).alike == 1 and view.shown(masks, 1, 0.5).alike is None
    pair.fill()
    assert pair.complete
    assert names(masks, "Networks differ most") == ["disc 1.png", "disc 2.png", "disc 0.png"]
    levels = [
        codec.decode_png(installation.files.read(stored.prediction_key(set_id, left.image_ids[1])))
        for set_id in (first, second)
    ]
    both = metrics.dice(*(metrics.to_mask(each, 0.5) for each in levels))
    assert view.shown(masks, 1, 0.5).alike == pytest.approx(both, abs=1e-6)
    assert view.summary(masks, 0.5).compared == 3
    assert view.shown(masks, 1, 0.05).alike == 1  # everything is foreground to both


def test_a_missing_mask_is_never_compared(installation, compared):
    first, second, left = compared
    installation.files.delete(stored.prediction_key(second, left.image_ids[1]))
    pair = MaskPair(installation.files, first, second, left.image_ids)
    pair.fill()
    assert pair.complete and np.isnan(pair.curves[1]).all() and np.isfinite(pair.curves[[0, 2]]).all()


def test_without_time_nothing_is_compared(installation, compared):
    first, second, left = compared
    pair = MaskPair(installation.files, first, second, left.image_ids)
    pair.fill(budget_s=-1)
    assert pair.filled == 0


def test_the_best_threshold_is_that_of_the_validation_images(installation):
    dataset = add_discs(installation, count=12)
    set_id = add_predictions(installation, add_run(installation, dataset), dataset)
    with installation.database.writing() as session:
        rows = session.query(Prediction).join(Image).order_by(Image.position).all()
        for number, row in enumerate(rows):
            row.split = "validation" if number < 8 else "train"
            truth = codec.decode_png(installation.files.read(stored.truth_key(dataset.id, row.image_id))) > 0
            # The object at 0.3 on background at 0.2 for validation images, exact at 0.5 for training images
            levels = np.where(truth, 77 if number < 8 else 178, 51).astype(np.uint8)
            row.truth_counts = metrics.pack_counts(metrics.threshold_counts(levels, truth))
    (found,) = view.threshold_verdicts(table(installation, set_id))
    assert (found.better, found.reference, found.at_half) == (BetterThreshold(0.21, 1), "truth", 0)
    assert "**0.21**" in threshold_words(found.better, found.at_half, "Dice vs truth")


def test_without_validation_images_no_threshold_is_best(installation):
    dataset = add_discs(installation, count=2)
    assert (
        view.threshold_verdicts(
            table(installation, add_predictions(installation, add_run(installation, dataset), dataset))
        )
        == ()
    )

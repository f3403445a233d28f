"""Run A against run B: wins, and the confidence interval of the mean."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.facts.scores import read_scores
from dashboard.views.compare import facts as compare
from dashboard.views.compare import shared_images
from dashboard.views.compare.head_to_head import LEAST_IMAGES, head_to_head, mean_interval
from db.models import Prediction
from tests.support.installation import add_discs
from tests.support.predicted import add_label_set, add_run


def shared(installation, *runs):
    def read(set_id):
        with installation.database.reading() as session:
            return read_scores(session, set_id)

    with installation.database.reading() as session:
        compared = compare.compared_runs(session, [run.id for run in runs])
    return shared_images.shared_images(compared, read)


@pytest.fixture
def pair(installation):
    dataset = add_discs(installation, 9)
    return shared(
        installation,
        add_run(installation, dataset, "exact", shifts_px=(0,)),
        add_run(installation, dataset, "moved", shifts_px=(0, 2, 4, 8, 12, 16, 18, 20, 24)),
    )


def test_wins_losses_and_ties_add_up_and_the_worst_loss_comes_first(pair):
    found = head_to_head(pair, 0, 1)
    assert (found.wins_a, found.wins_b, found.ties, found.unscored) == (8, 0, 1, 0)
    assert found.mean == pytest.approx(float((pair.scores[:, 0] - pair.scores[:, 1]).mean()))
    losses = found.ordered("B worse first")
    apart = pair.scores[losses, 0] - pair.scores[losses, 1]
    assert list(apart) == sorted(apart, reverse=True)
    assert list(found.ordered("B better first")) == list(losses[::-1])
    low, high = found.interval
    assert 0 < low < found.mean < high


def test_swapping_the_runs_negates_the_result(pair):
    there, back = head_to_head(pair, 0, 1), head_to_head(pair, 1, 0)
    assert (back.wins_a, back.wins_b) == (there.wins_b, there.wins_a)
    assert back.mean == pytest.approx(-there.mean)
    assert list(back.ordered("Furthest apart")) == list(there.ordered("Furthest apart"))


def test_held_out_only_leaves_out_training_images_of_either(pair):
    found = head_to_head(pair, 0, 1, held_out_only=True)
    assert list(found.images) == [0, 3, 6]
    assert found.interval is None and len(found.images) < LEAST_IMAGES


def test_an_image_without_a_score_in_one_run_counts_for_none(installation):
    dataset = add_discs(installation, 4)
    runs = [add_run(installation, dataset, name, shifts_px=(shift,)) for name, shift in (("a", 0), ("b", 4))]
    with installation.database.writing() as session:
        first = session.query(Prediction).filter_by(truth_dice=1.0).first()
        first.truth_counts = first.truth_dice = None
    found = head_to_head(shared(installation, *runs), 0, 1)
    assert (found.wins_a, found.unscored, len(found.images)) == (3, 1, 3)


def test_without_a_common_reference_areas_are_compared(installation):
    dataset = add_discs(installation, 4)
    runs = [
        add_run(installation, dataset, name, label_set_id=add_label_set(installation, dataset, name), score_truth=False)
        for name in "ab"
    ]
    images = shared(installation, *runs)
    assert images.reference is None
    found = head_to_head(images, 0, 1)
    assert found.differences == pytest.approx(images.areas[:, 0] - images.areas[:, 1])


def test_the_interval_is_reproducible_and_has_its_nominal_coverage():
    rng = np.random.default_rng(5)
    assert mean_interval(rng.normal(0, 1, 30)) != mean_interval(rng.normal(0, 1, 30))
    drawn = rng.normal(0.1, 1, (200, 40))
    intervals = [mean_interval(row, seed=3) for row in drawn]
    assert intervals[0] == mean_interval(drawn[0], seed=3)
    covered = np.mean([low <= 0.1 <= high for low, high in intervals])
    assert 0.88 < covered < 0.99


def test_the_interval_agrees_with_the_normal_one_where_that_holds():
    differences = np.random.default_rng(1).normal(0.02, 0.1, 2000)
    half = 1.96 * differences.std(ddof=1) / np.sqrt(len(differences))
    low, high = mean_interval(differences)
    assert (low, high) == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.0006)

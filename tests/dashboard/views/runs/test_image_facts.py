"""The facts of validation masks, on synthetic counts with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.views.runs.image_facts import Masks, image_facts, name_group
from engine.imaging.metrics import THRESHOLDS

STEPS = len(THRESHOLDS)


def masks(found, predicted, marked, names=None, reference="truth", **columns):
    """Return masks with the same counts at every threshold, unless (N, 101) is given."""
    marked = np.asarray(marked, np.int64)
    count = len(marked)
    columns = {"pixels": np.full(count, 2000)} | columns

    def spread(values):
        values = np.asarray(values, np.int64)
        return values if values.ndim == 2 else np.repeat(values[:, None], STEPS, axis=1)

    return Masks(
        reference=reference,
        image_ids=tuple(f"{n:032x}" for n in range(count)),
        names=tuple(names or (f"{n}.png" for n in range(count))),
        true_positive=spread(found),
        predicted=spread(predicted),
        marked=marked,
        columns={name: np.asarray(values, float) for name, values in columns.items()},
    )


def graded(count=40, **columns):
    """Masks whose Dice rises evenly from 0.05 to 0.95 with the row."""
    share = np.linspace(0.05, 0.95, count)
    return masks(1000 * share, np.full(count, 1000), np.full(count, 1000), **columns)


def test_missed_and_added_pixels_are_counted_over_all_pixels():
    overlap = image_facts(masks([60, 20], [60, 30], [100, 50])).overlap
    assert (overlap.recall, overlap.precision) == (80 / 150, 80 / 90)
    assert overlap.dice == pytest.approx((120 / 160 + 40 / 80) / 2)
    assert overlap.area == pytest.approx((60 / 2000 + 30 / 2000) / 2)


def test_nothing_marked_anywhere_has_no_recall():
    overlap = image_facts(masks([0, 0], [0, 0], [0, 0])).overlap
    assert overlap.recall is None and overlap.precision is None and overlap.dice == 1


def test_one_image_has_no_interval_and_no_weakest():
    facts = image_facts(masks([5], [10], [10]))
    assert facts.overlap.interval is None and facts.weakest == () and facts.mean_without is None


def test_the_interval_holds_the_mean_of_more_such_images():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        found = 1000 * rng.beta(6, 3, 30)
        low, high = image_facts(masks(found, np.full(30, 1000), np.full(30, 1000))).overlap.interval
        held += low <= 2 / 3 <= high
    assert held >= 88


def test_a_threshold_that_is_better_for_nearly_all_is_found():
    found = np.tile(np.where(np.arange(STEPS) == 38, 90, 60), (20, 1))
    better = image_facts(masks(found, np.full(20, 100), np.full(20, 100))).better
    assert better.threshold == pytest.approx(0.38) and better.dice == pytest.approx(0.9)


def test_a_threshold_that_helps_one_image_only_is_not():
    found = np.full((20, STEPS), 60)
    found[3, 38] = 99
    assert image_facts(masks(found, np.full(20, 100), np.full(20, 100))).better is None


def test_the_weakest_pull_the_mean_down():
    facts = image_facts(graded(40))
    assert [image.name for image in facts.weakest] == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert facts.mean_without == pytest.approx(np.linspace(0.05, 0.95, 40)[5:].mean(), abs=1e-3)
    assert facts.mean_without > facts.overlap.dice


def test_small_objects_are_what_the_weakest_share():
    rng = np.random.default_rng(1)
    facts = image_facts(graded(40, foreground=np.where(np.arange(40) < 8, 0.01, 0.1) * rng.uniform(0.8, 1.2, 40)))
    (found,) = facts.differences
    assert found.column == "foreground" and found.weak < found.rest and found.of_100_pairs == 100
    assert facts.less("foreground") == found and facts.less("label quality") is None


def test_random_columns_are_rarely_reported():
    reported = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        reported += bool(image_facts(graded(40, **{f"c{n}": rng.normal(size=40) for n in range(6)})).differences)
    assert reported <= 8  # 5 % are expected, however many columns are tested


def test_few_images_are_not_compared():
    facts = image_facts(graded(14, foreground=np.arange(14)))
    assert not facts.compared and facts.differences == ()


def test_a_folder_that_the_weakest_come_from_is_named():
    names = [f"{'night' if n < 8 else 'day'}/{n}.png" for n in range(40)]
    group = image_facts(graded(40, names=names)).group
    assert (group.group, group.weak, group.weak_of, group.rest) == ("night", 8, 8, 0)
    everywhere = [f"images/{n}.png" for n in range(40)]
    assert image_facts(graded(40, names=everywhere)).group is None


def test_a_group_is_a_folder_or_what_stands_before_the_number():
    assert [name_group(name) for name in ("a/b/1.png", "egg 12.png", "IMG_001 (3).jpg", "7.png")] == [
        "a/b",
        "egg",
        "IMG",
        "",
    ]


@settings(max_examples=80)
@given(st.lists(st.tuples(*[st.integers(0, 50)] * 3), min_size=1, max_size=60), st.data())
def test_no_counts_break_it(rows, data):
    marked = np.array([a for a, _, _ in rows])
    predicted = np.array([b for _, b, _ in rows])
    found = np.minimum(np.minimum(marked, predicted), [c for _, _, c in rows])
    # Twice the largest double is no double: a column holds shares or pixels, far below where its median could overflow.
    values = st.lists(st.floats(-1e300, 1e300) | st.just(np.nan), min_size=len(rows), max_size=len(rows))
    facts = image_facts(
        masks(found, predicted, marked, foreground=data.draw(values), quality=np.full(len(rows), np.nan))
    )
    assert 0 <= facts.overlap.dice <= 1
    assert facts.overlap.interval is None or facts.overlap.interval[0] <= facts.overlap.dice + 1e-9

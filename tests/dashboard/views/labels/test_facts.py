"""Data of the Masks page from rows and previews."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard.facts.labelling_time import SIZE_EXPONENT, START_S
from dashboard.server.previews import Preview
from dashboard.views.labels import facts as labels
from db import datasets, image_care
from engine.imaging import metrics
from engine.labelling.base import find_method, fit_sample
from engine.labelling.mask_shapes import MaskShape
from engine.labelling.quality import Quality
from engine.labelling.verdict import EXPONENTS
from tests.support.installation import Installation, add_discs


@pytest.fixture
def session(installation: Installation):
    with installation.database.reading() as opened:
        yield opened


def test_only_datasets_with_images_can_be_labelled(installation, session):
    filled = add_discs(installation)
    with installation.database.writing() as writing:
        datasets.create(writing, "empty")
    assert labels.dataset_names(session) == {filled.id: "discs"}


def test_the_test_images_are_spread_until_some_are_chosen(installation, session):
    dataset = add_discs(installation, count=20)
    place = labels.workplace(session, dataset.id)
    assert len(place.probe) == 8
    everything = datasets.images(session, dataset.id)
    with installation.database.writing() as writing:
        datasets.set_probe_images(writing, dataset.id, [image.id for image in everything[:6]])
    session.rollback()
    place = labels.workplace(session, dataset.id)
    assert [image.name for image in place.probe] == [f"disc {number}.png" for number in range(6)]
    assert place.aspect == 1


@pytest.mark.parametrize(
    ("count", "images", "problem"),
    [
        (6, 200, ""),
        (12, 200, ""),
        (5, 200, "Choose 6 to 12 test images. 5 are ticked."),
        (13, 200, "Choose 6 to 12 test images. 13 are ticked."),
        (3, 3, ""),
        (2, 3, "Choose 3 test images. 2 are ticked."),
        (9, 9, ""),
        (13, 30, "Choose 6 to 12 test images. 13 are ticked."),
    ],
)
def test_test_images_are_six_to_twelve_or_all_of_a_small_dataset(count, images, problem):
    assert labels.probe_problem(count, images) == problem


def previews(place: labels.Workplace, seconds: float = 0.1) -> list[Preview]:
    """A mask that covers the left half, at 0.7, against truth in the left quarter: Dice 2/3, IoU 1/2."""
    levels = np.zeros((8, 8), np.uint8)
    levels[:, :4] = round(0.7 * 255)
    truth = np.zeros((8, 8), bool)
    truth[:, :2] = True
    counts = metrics.threshold_counts(levels, truth)
    return [Preview(b"png", counts if image.has_truth else None, seconds) for image in place.probe]


def judged(place: labels.Workplace, drawn: list[Preview], **given: object) -> labels.Outcome:
    arguments = {"threshold": 0.5, "limit_px": 256, "cores": 2} | given
    return labels.outcome(place, find_method("kmeans").params(), drawn, **arguments)


def test_the_outcome_is_the_mean_against_truth_at_the_threshold(installation, session):
    place = labels.workplace(session, add_discs(installation, count=20).id)
    found = judged(place, previews(place))
    assert found.dice == pytest.approx(2 / 3)
    assert found.iou == pytest.approx(1 / 2)
    assert found.scored == 8
    assert judged(place, previews(place), threshold=0.8).dice == 0


def test_without_truth_there_is_no_score(installation, session):
    place = labels.workplace(session, add_discs(installation, truth=False).id)
    found = judged(place, previews(place))
    assert (found.dice, found.iou, found.scored) == (None, None, 0)
    assert set(found.image_dice) == {None}


def test_the_time_estimate_scales_from_the_preview_to_the_recipes_own_size(installation, session):
    place = labels.workplace(session, add_discs(installation, count=20, size_px=512).id)
    small = judged(place, previews(place, seconds=0.1))
    full = judged(place, previews(place, seconds=0.1), limit_px=None)
    assert small.seconds_per_image - full.seconds_per_image == pytest.approx(0.1 * ((400 / 256) ** SIZE_EXPONENT - 1))
    assert small.whole_dataset_s == pytest.approx(START_S + small.seconds_per_image * 20 / 2)
    slower = [replace(preview, judged_s=0.2) for preview in previews(place, seconds=0.1)]
    assert judged(place, slower).seconds_per_image == pytest.approx(small.seconds_per_image + 0.2)


def test_an_image_that_fails_is_named_and_not_counted(installation, session):
    place = labels.workplace(session, add_discs(installation).id)
    drawn = previews(place)
    drawn[0] = Preview(b"", None, 0.0, "It is damaged.")
    found = judged(place, drawn)
    assert found.errors == (f"{place.probe[0].name}: It is damaged.",)
    assert 0.1 < found.seconds_per_image < 0.15
    assert judged(place, [replace(preview, error="No.") for preview in drawn]).whole_dataset_s is None


def test_a_recipes_quality_is_the_score_used_by_automatic_with_zero_for_unclear_images(installation, session):
    place = labels.workplace(session, add_discs(installation, truth=False).id)
    drawn = previews(place)
    assert judged(place, drawn).quality is None
    parts, shape = dict.fromkeys(EXPONENTS, 0.6), MaskShape(area=0.1, contact=0.0, grid=bytes(128))
    drawn[0] = replace(drawn[0], quality=Quality(0.8, parts, clear=True, shape=shape))
    drawn[1] = replace(drawn[1], quality=Quality(0.2, parts, clear=False, shape=shape))
    found = judged(place, drawn)
    assert found.quality == pytest.approx(0.3)
    assert found.image_quality[:3] == (0.8, 0.2, None)
    assert found.unclear[:3] == (False, True, False)


def test_a_method_is_fitted_to_the_same_images_as_in_its_job(installation, session):
    dataset = add_discs(installation, count=30)
    everything = [image.id for image in datasets.images(session, dataset.id)]
    found = labels.fit_images(session, dataset.id, "auto")
    assert [image.id for image in found] == fit_sample(everything, find_method("auto"))
    assert labels.fit_images(session, dataset.id, "kmeans") == ()


def test_excluded_images_are_in_no_sample_of_automatic(installation, session):
    dataset = add_discs(installation, count=30)
    before = labels.workplace(session, dataset.id)
    gone = labels.fit_images(session, dataset.id, "auto")[0].id
    with installation.database.writing() as writing:
        image_care.exclude_images(writing, dataset.id, [gone])
    session.rollback()
    session.expire_all()
    in_job = [image.id for image in datasets.images(session, dataset.id)]
    found = labels.fit_images(session, dataset.id, "auto")
    assert [image.id for image in found] == fit_sample(in_job, find_method("auto"))
    assert gone not in in_job
    assert labels.workplace(session, dataset.id).fingerprint != before.fingerprint, "else the page keeps its sample"

"""What the labels page shows, from rows and drawn previews."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy.orm import Session

from dashboard.previews import Preview
from dashboard.viewmodels import labels
from db import datasets, jobs, recipes, runs, submissions
from db.models import Dataset, LabelSet, utc_now
from engine import metrics
from engine.parameters import ParameterError
from engine.pseudo_labels.base import find_method
from tests.house import House, add_discs


def kmeans(**values: object) -> labels.Recipe:
    return labels.Recipe("kmeans", find_method("kmeans").params(**values))


def label_set(house: House, dataset: Dataset, name: str = "set", dice: float | None = 0.5) -> LabelSet:
    with house.database.writing() as session:
        params = {"clusters": 6, "longest_side_px": 400}
        made, _ = submissions.submit_label(session, dataset.id, name, "kmeans", params, 0, "0.1.0")
        rows = [
            {
                "image_id": image.id,
                "area": 0.1 * (number + 1),
                "dice": None if dice is None else dice - 0.1 * number,
                "iou": None if dice is None else 0.2,
            }
            for number, image in enumerate(datasets.images(session, dataset.id))
        ]
        recipes.add_labels(session, made.id, rows)
    return made


@pytest.fixture
def session(house: House):
    with house.database.reading() as opened:
        yield opened


def test_only_datasets_with_images_can_be_labelled(house, session):
    filled = add_discs(house)
    with house.database.writing() as writing:
        datasets.create(writing, "empty")
    assert labels.dataset_names(session) == {filled.id: "discs"}


def test_the_probe_is_spread_until_it_is_chosen(house, session):
    dataset = add_discs(house, count=20)
    place = labels.workplace(session, dataset.id)
    assert len(place.probe) == 8
    everything = datasets.images(session, dataset.id)
    with house.database.writing() as writing:
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
        (5, 200, "The probe takes 6 to 12 images. 5 are ticked."),
        (13, 200, "The probe takes 6 to 12 images. 13 are ticked."),
        (3, 3, ""),
        (2, 3, "The probe takes 3 images. 2 are ticked."),
        (9, 9, ""),
        (13, 30, "The probe takes 6 to 12 images. 13 are ticked."),
    ],
)
def test_a_probe_has_six_to_twelve_images_or_all_of_a_small_dataset(count, images, problem):
    assert labels.probe_problem(count, images) == problem


def test_an_address_brings_back_the_recipe_and_holds_only_what_was_changed():
    recipe = kmeans(clusters=6, position_weight=0.45, foreground="darker")
    text = labels.recipe_to_text(recipe)
    assert text == "kmeans,foreground:darker,clusters:6,position_weight:0.45"
    assert labels.recipe_from_text(text) == recipe
    assert labels.recipe_to_text(kmeans()) == "kmeans"
    assert labels.recipe_from_text("kmeans") == kmeans()


@pytest.mark.parametrize("text", ["", "magic", "kmeans,clusters:900", "kmeans,colour:red", "kmeans,clusters"])
def test_an_address_that_names_no_recipe_is_refused(text):
    with pytest.raises(ParameterError):
        labels.recipe_from_text(text)


def test_changes_are_described_in_words():
    assert labels.describe_changes(kmeans(clusters=6, smoothing_px=0.5).params) == "clusters 6, smoothing 0.5"
    assert labels.describe_changes(kmeans().params) == "defaults"
    threshold = find_method("threshold").params(foreground="border_contact")
    assert labels.describe_changes(threshold) == "foreground border contact"


def test_the_proposed_name_tells_the_recipe_and_is_free(house, session):
    dataset = add_discs(house)
    assert labels.proposed_name(session, "discs", kmeans()) == "discs · kmeans"
    label_set(house, dataset, name="discs · kmeans · clusters 6")
    session.rollback()
    assert labels.proposed_name(session, "discs", kmeans(clusters=6)) == "discs · kmeans · clusters 6 2"


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
    return labels.outcome(place, kmeans().params, drawn, **arguments)


def test_the_outcome_is_the_mean_against_truth_at_the_threshold(house, session):
    place = labels.workplace(session, add_discs(house, count=20).id)
    found = judged(place, previews(place))
    assert found.dice == pytest.approx(2 / 3)
    assert found.iou == pytest.approx(1 / 2)
    assert found.scored == 8
    assert judged(place, previews(place), threshold=0.8).dice == 0


def test_without_truth_there_is_no_score(house, session):
    place = labels.workplace(session, add_discs(house, truth=False).id)
    found = judged(place, previews(place))
    assert (found.dice, found.iou, found.scored) == (None, None, 0)
    assert set(found.image_dice) == {None}


def test_the_estimate_scales_from_the_preview_to_the_recipes_own_size(house, session):
    place = labels.workplace(session, add_discs(house, count=20, size_px=512).id)
    small = judged(place, previews(place, seconds=0.1))
    assert small.seconds_per_image == pytest.approx(0.1 * (400 / 256) ** labels.SIZE_EXPONENT)
    assert small.whole_dataset_s == pytest.approx((small.seconds_per_image + labels.PER_IMAGE_OVERHEAD_S) * 20 / 2)
    assert judged(place, previews(place, seconds=0.1), limit_px=None).seconds_per_image == pytest.approx(0.1)


def test_a_picture_that_cannot_be_drawn_is_named_and_does_not_count(house, session):
    place = labels.workplace(session, add_discs(house).id)
    drawn = previews(place)
    drawn[0] = Preview(b"", None, 0.0, "It is damaged.")
    found = judged(place, drawn)
    assert found.errors == (f"{place.probe[0].name}: It is damaged.",)
    assert found.seconds_per_image == pytest.approx(0.1)
    assert judged(place, [replace(preview, error="No.") for preview in drawn]).whole_dataset_s is None


def test_label_sets_tell_their_recipe_scores_and_runs(house, session):
    dataset = add_discs(house)
    made = label_set(house, dataset)
    with house.database.writing() as writing:
        runs.create(writing, writing.get_one(Dataset, dataset.id), made.id, "run 1", "fast", {}, "0.1.0")
    card = labels.label_set_cards(session, dataset.id, utc_now(), 60)[0]
    assert (card.method_title, card.changes, card.images) == (find_method("kmeans").title, "clusters 6", 6)
    assert card.dice == pytest.approx(0.25)
    assert card.area == pytest.approx(0.35)
    assert card.runs == ("run 1",)
    assert card.job.status == "queued"


def test_a_silent_job_is_shown_as_lost(house, session):
    dataset = add_discs(house)
    label_set(house, dataset)
    with house.database.writing() as writing:
        jobs.claim(writing, "worker", 1, 60)
    now = utc_now()
    assert labels.label_set_cards(session, dataset.id, now, 60)[0].job.status == "running"
    assert labels.label_set_cards(session, dataset.id, now + timedelta(minutes=2), 60)[0].job.status == "lost"


def test_a_recipe_that_this_version_does_not_know_is_still_listed(house, session: Session):
    dataset = add_discs(house)
    made = label_set(house, dataset)
    with house.database.writing() as writing:
        writing.get_one(LabelSet, made.id).method = "retired"
    card = labels.label_set_cards(session, dataset.id, utc_now(), 60)[0]
    assert card.recipe is None
    assert card.method_title == "retired"


def test_masks_come_page_by_page_in_the_order_asked_for(house, session, monkeypatch):
    made = label_set(house, add_discs(house, count=6))
    monkeypatch.setattr(labels, "PER_PAGE", 4)
    first = labels.mask_page(session, made.id, 1)
    assert (first.found, first.pages, len(first.masks)) == (6, 2, 4)
    assert first.masks[0].name == "disc 0.png"
    last = labels.mask_page(session, made.id, 9)
    assert (last.page, len(last.masks)) == (2, 2)
    worst = labels.mask_page(session, made.id, 1, "lowest Dice vs truth first").masks[0]
    assert (worst.name, worst.dice) == ("disc 5.png", pytest.approx(0))
    assert labels.mask_page(session, made.id, 1, "highest Dice vs truth first").masks[0].name == "disc 0.png"
    assert labels.mask_page(session, made.id, 1, "largest area first").masks[0].name == "disc 5.png"


def test_an_unfinished_label_set_has_an_empty_page(house, session):
    with house.database.writing() as writing:
        made, _ = submissions.submit_label(writing, add_discs(house).id, "new", "kmeans", {}, 0, "0.1.0")
    assert labels.mask_page(session, made.id, 1) == labels.MaskPage((), 0, 1, 1)

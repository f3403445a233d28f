"""The masks of a mask set: order, bulk dropping, and the trust in their quality."""

from __future__ import annotations

import pytest

from dashboard.views.labels import mask_facts as label_masks
from dashboard.views.labels.mask_facts import DropRule
from db import datasets, image_care, jobs, recipes, submissions
from db.models import JobStatus, LabelSet
from tests.support.installation import Installation, add_discs

QUALITY = (0.9, 0.1, 0.5, None, 0.3, 0.7)
DICE = (0.8, 0.2, 0.6, 0.5, 0.4, 0.9)


@pytest.fixture
def session(installation: Installation):
    with installation.database.reading() as opened:
        yield opened


@pytest.fixture
def label_set_id(installation: Installation) -> str:
    """Six masks: qualities QUALITY, Dice DICE, areas growing; the last is unclear."""
    dataset = add_discs(installation)
    with installation.database.writing() as session:
        made, _ = submissions.submit_label(session, dataset.id, "set", "kmeans", {}, 0, "0.1.0")
        rows = [
            {
                "image_id": image.id,
                "area": 0.1 * number,
                "dice": DICE[number],
                "iou": 0.2,
                "quality": QUALITY[number],
                "quality_parts": {"edges": 0.5},
                "unclear": number == 5,
            }
            for number, image in enumerate(datasets.images(session, dataset.id))
        ]
        recipes.add_labels(session, made.id, rows)
    return made.id


def names(page: label_masks.MaskPage) -> list[int]:
    return [int(mask.name.split()[1].removesuffix(".png")) for mask in page.masks]


def numbers(installation: Installation, image_ids: tuple[str, ...]) -> set[int]:
    with installation.database.reading() as session:
        order = [image.id for image in datasets.images(session, datasets.listing(session)[0].id)]
    return {order.index(image_id) for image_id in image_ids}


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("dataset order", [0, 1, 2, 3, 4, 5]),
        ("lowest plausibility first", [1, 4, 2, 5, 0, 3]),
        ("highest plausibility first", [0, 5, 2, 4, 1, 3]),
        ("lowest Dice vs truth first", [1, 4, 3, 2, 0, 5]),
        ("highest Dice vs truth first", [5, 0, 2, 3, 4, 1]),
        ("largest area first", [5, 4, 3, 2, 1, 0]),
        ("smallest area first", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_masks_are_sorted_with_missing_scores_last(session, label_set_id, order, first):
    assert names(label_masks.mask_page(session, label_set_id, 1, order)) == first


def test_masks_are_paged(session, label_set_id, monkeypatch):
    monkeypatch.setattr(label_masks, "PER_PAGE", 4)
    first = label_masks.mask_page(session, label_set_id, 1)
    assert (first.total, first.pages, len(first.masks)) == (6, 2, 4)
    last = label_masks.mask_page(session, label_set_id, 9)
    assert (last.page, len(last.masks)) == (2, 2)


def test_an_unfinished_label_set_has_an_empty_page(installation, session):
    with installation.database.writing() as writing:
        made, _ = submissions.submit_label(writing, add_discs(installation).id, "new", "kmeans", {}, 0, "0.1.0")
    assert label_masks.mask_page(session, made.id, 1) == label_masks.MaskPage((), 0, 1, 1)
    assert label_masks.would_drop(session, made.id, DropRule("share", 0.5)) == label_masks.Drop((), 0)
    trust = label_masks.quality_trust(session, made.id)
    assert trust.spearman is None
    assert "nothing can be said" in trust.sentence


def test_the_default_order_is_the_worst_by_quality_where_there_is_one():
    assert label_masks.orders(True, True)[0] == "lowest plausibility first"
    assert label_masks.orders(False, True)[0] == "lowest Dice vs truth first"
    assert label_masks.orders(False, False)[0] == "dataset order"
    assert not set(label_masks.orders(True, False)) & set(label_masks.TRUTH_ORDERS)


@pytest.mark.parametrize(
    ("rule", "dropped"),
    [
        (DropRule("share", 0.4), {1, 4}),
        (DropRule("share", 0.1), set()),
        (DropRule("share", 0.2), {1}),
        (DropRule("below", 0.5), {1, 4}),
        (DropRule("below", 0.51), {1, 4, 2}),
        (DropRule("unclear"), {5}),
    ],
)
def test_a_rule_returns_the_images_to_drop(installation, session, label_set_id, rule, dropped):
    drop = label_masks.would_drop(session, label_set_id, rule)
    assert numbers(installation, drop.image_ids) == dropped
    assert drop.stay == 6 - len(dropped)


def test_dropped_images_are_not_dropped_again(installation, session, label_set_id):
    worst = label_masks.would_drop(session, label_set_id, DropRule("below", 0.2))
    with installation.database.writing() as writing:
        recipes.set_dropped(writing, label_set_id, worst.image_ids, True)
    session.rollback()
    drop = label_masks.would_drop(session, label_set_id, DropRule("below", 0.5))
    assert numbers(installation, drop.image_ids) == {4}
    assert drop.stay == 4
    assert names(label_masks.mask_page(session, label_set_id, 1, show="dropped")) == [1]
    assert names(label_masks.mask_page(session, label_set_id, 1, show="kept")) == [0, 2, 3, 4, 5]
    assert names(label_masks.mask_page(session, label_set_id, 1, show="doubtful")) == [5]


def test_one_mask_is_read_with_the_components_of_its_quality(session, label_set_id):
    first = label_masks.mask_page(session, label_set_id, 1).masks[0]
    assert label_masks.one_mask(session, label_set_id, first.image_id) == first
    assert first.parts == {"edges": 0.5}
    assert label_masks.one_mask(session, label_set_id, "gone") is None


def test_the_correlation_is_over_the_images_that_have_both_scores(session, label_set_id):
    trust = label_masks.quality_trust(session, label_set_id)
    assert trust.names == ("disc 0.png", "disc 1.png", "disc 2.png", "disc 4.png", "disc 5.png")
    assert trust.spearman == pytest.approx(0.9)
    assert "On the 5 images with truth" in trust.sentence
    assert "Spearman 0.90 (1 = same order, 0 = no relation)" in trust.sentence


def test_masks_of_excluded_images_are_neither_listed_nor_dropped(installation, session, label_set_id):
    dataset_id = session.get_one(LabelSet, label_set_id).dataset_id
    worst = label_masks.would_drop(session, label_set_id, DropRule("below", 0.2)).image_ids
    with installation.database.writing() as writing:
        for job in jobs.active(writing):
            job.status = JobStatus.FINISHED
        image_care.exclude_images(writing, dataset_id, worst)
    session.rollback()
    drop = label_masks.would_drop(session, label_set_id, DropRule("below", 0.5))
    assert len(drop.image_ids) == 1
    assert drop.stay == 4
    assert names(label_masks.mask_page(session, label_set_id, 1)) == [0, 2, 3, 4, 5]
    assert len(label_masks.quality_trust(session, label_set_id).image_ids) == 4

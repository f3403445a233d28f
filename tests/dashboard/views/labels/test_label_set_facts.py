"""The mask sets of a dataset: recipe, scores and runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dashboard.views.labels import label_set_facts as label_sets
from db import datasets, jobs, recipes, runs, submissions
from db.columns import utc_now
from db.models import Dataset, LabelSet
from engine.labelling.base import find_method
from tests.support.installation import Installation, add_discs

CHOICE = {
    "method": "kmeans",
    "params": {},
    "state": None,
    "sentence": "Its masks are the best guess.",
    "images": 6,
    "ranking": [{"method": "kmeans", "params": {}, "title": "K-means", "quality": 0.7, "sentence": ""}],
}


def label_set(installation: Installation, dataset: Dataset, **given: object) -> LabelSet:
    """Six masks of quality 0, 0.1 … and Dice 0.5, 0.4 …; the first is unclear."""
    arguments = {"method": "kmeans", "params": {"clusters": 6, "longest_side_px": 400}, "state": None} | given
    with installation.database.writing() as session:
        made, _ = submissions.submit_label(session, dataset.id, "set", seed=0, code_version="0.1.0", **arguments)
        rows = [
            {
                "image_id": image.id,
                "area": 0.1 * (number + 1),
                "dice": 0.5 - 0.1 * number,
                "iou": 0.2,
                "quality": 0.1 * number,
                "unclear": number == 0,
            }
            for number, image in enumerate(datasets.images(session, dataset.id))
        ]
        recipes.add_labels(session, made.id, rows)
    return made


@pytest.fixture
def session(installation: Installation):
    with installation.database.reading() as opened:
        yield opened


def test_a_label_set_has_recipe_scores_and_runs(installation, session):
    dataset = add_discs(installation)
    made = label_set(installation, dataset)
    with installation.database.writing() as writing:
        runs.create(writing, writing.get_one(Dataset, dataset.id), made.id, "run 1", "fast", {}, "0.1.0")
    card = label_sets.label_set_cards(session, dataset.id, utc_now(), 60)[0]
    assert (card.method_title, card.changes, card.images) == (find_method("kmeans").title, "clusters 6", 6)
    assert card.dice == pytest.approx(0.25)
    assert card.area == pytest.approx(0.35)
    assert card.runs == ("run 1",)
    assert card.job.status == "queued"


def test_a_silent_job_is_shown_as_lost(installation, session):
    dataset = add_discs(installation)
    label_set(installation, dataset)
    with installation.database.writing() as writing:
        jobs.claim(writing, "worker", 1, 60)
    now = utc_now()
    assert label_sets.label_set_cards(session, dataset.id, now, 60)[0].job.status == "running"
    assert label_sets.label_set_cards(session, dataset.id, now + timedelta(minutes=2), 60)[0].job.status == "lost"


def test_a_label_set_of_an_unknown_recipe_is_listed(installation, session):
    dataset = add_discs(installation)
    made = label_set(installation, dataset)
    with installation.database.writing() as writing:
        writing.get_one(LabelSet, made.id).method = "retired"
    card = label_sets.label_set_cards(session, dataset.id, utc_now(), 60)[0]
    assert card.recipe is None
    assert card.method_title == "retired"


def test_imported_masks_are_described_by_their_source_and_have_no_recipe(installation, session):
    dataset = add_discs(installation)
    source = {"kind": "upload", "token": "a" * 32}
    with installation.database.writing() as writing:
        submissions.submit_masks(writing, dataset.id, "SAM", source, "sam.zip", "0.1.0")
    card = label_sets.label_set_cards(session, dataset.id, utc_now(), 60)[0]
    assert (card.recipe, card.imported) == (None, True)
    assert (card.method_title, card.changes) == ("Imported masks", "from sam.zip")


def test_a_label_set_has_quality_and_counts_unclear_and_dropped_images(installation, session):
    dataset = add_discs(installation)
    made = label_set(installation, dataset)
    with installation.database.writing() as writing:
        images = datasets.images(writing, dataset.id)
        recipes.set_dropped(writing, made.id, [images[0].id, images[1].id], True)
    card = label_sets.label_set_cards(session, dataset.id, utc_now(), 60)[0]
    assert card.quality == pytest.approx(0.25)
    assert (card.unclear, card.dropped, card.choice) == (1, 2, None)


def test_an_automatic_label_set_has_the_choice_and_its_reason(installation, session):
    dataset = add_discs(installation)
    label_set(installation, dataset, method="auto", params={}, state=CHOICE)
    choice = label_sets.label_set_cards(session, dataset.id, utc_now(), 60)[0].choice
    assert choice.title == "K-means" and choice.sentence.startswith("K-means: best guess")

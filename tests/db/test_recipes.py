"""Labels with their quality and a person's marks, what was drawn before, and recipes that are kept."""

import pytest

from db import datasets, image_care, recipes, submissions
from db import session as session_module
from db.models import Job, JobStatus, Label, SavedRecipe
from db.names import NameTaken
from db.submissions import NotReady
from tests.support.installation import add_discs


def start_labels(installation, dataset, name="labels", **more):
    with installation.database.writing() as session:
        return submissions.submit_label(session, dataset.id, name, "threshold", {}, 0, "test", **more)[0]


def add_labels(installation, dataset, label_set, qualities):
    with installation.database.writing() as session:
        images = datasets.images(session, dataset.id)
        rows = [
            {"image_id": image.id, "area": 0.5, "quality": quality, "unclear": quality is not None and quality < 0.2}
            for image, quality in zip(images, qualities, strict=False)
        ]
        recipes.add_labels(session, label_set.id, rows)
    return [row["image_id"] for row in rows]


def test_the_summary_counts_what_is_unclear_and_dropped_and_leaves_unknown_quality_out(installation):
    dataset = add_discs(installation, 4)
    label_set = start_labels(installation, dataset)
    ids = add_labels(installation, dataset, label_set, [0.1, 0.5, 0.6, None])
    with installation.database.writing() as session:
        recipes.set_dropped(session, label_set.id, ids[:2], True)
        summary = recipes.summary(session, label_set.id)
    assert (summary.images, summary.unclear, summary.dropped) == (2, 1, 2)
    assert summary.quality == pytest.approx(0.4)


def test_an_image_is_dropped_in_one_label_set_only_and_stays_dropped_when_drawn_again(installation):
    dataset = add_discs(installation, 3)
    first, second = start_labels(installation, dataset), start_labels(installation, dataset, "others")
    ids = add_labels(installation, dataset, first, [0.5] * 3)
    add_labels(installation, dataset, second, [0.5] * 3)
    with installation.database.writing() as session:
        recipes.set_dropped(session, first.id, [ids[0]], True)
    add_labels(installation, dataset, first, [0.9] * 3)
    with installation.database.writing() as session:
        assert recipes.dropped_images(session, first.id) == {ids[0]}
        assert recipes.dropped_images(session, second.id) == set()
        assert session.get_one(Label, (first.id, ids[0])).quality == 0.9
        recipes.set_dropped(session, first.id, None, False)
        assert recipes.dropped_images(session, first.id) == set()


def test_more_images_are_dropped_at_once_than_a_statement_holds(installation, monkeypatch):
    monkeypatch.setattr(session_module, "IDS_AT_ONCE", 2)
    dataset = add_discs(installation, 5)
    label_set = start_labels(installation, dataset)
    ids = add_labels(installation, dataset, label_set, [0.5] * 5)
    with installation.database.writing() as session:
        recipes.set_dropped(session, label_set.id, ids, True)
        assert recipes.dropped_images(session, label_set.id) == set(ids)


def test_a_label_set_without_a_kept_image_teaches_nobody(installation):
    dataset = add_discs(installation, 2)
    label_set = start_labels(installation, dataset)
    ids = add_labels(installation, dataset, label_set, [0.5] * 2)
    with installation.database.writing() as session:
        recipes.set_dropped(session, label_set.id, None, True)
    with (
        installation.database.writing() as session,
        pytest.raises(NotReady, match=r"'labels' is dropped, or its image excluded\. Keep some"),
    ):
        submissions.submit_train(session, dataset.id, label_set.id, "run", "fast", {}, "test")
    with installation.database.writing() as session:
        recipes.set_dropped(session, label_set.id, ids[:1], False)
        submissions.submit_train(session, dataset.id, label_set.id, "run", "fast", {}, "test")


def test_what_the_same_recipe_drew_of_the_same_picture_is_found_in_any_dataset(installation, monkeypatch):
    monkeypatch.setattr(session_module, "IDS_AT_ONCE", 2)
    dataset = add_discs(installation, 3)
    first = start_labels(installation, dataset, state={"level": 3})
    other = start_labels(installation, dataset, "other")
    ids = add_labels(installation, dataset, first, [0.5] * 2)
    add_labels(installation, dataset, other, [0.5] * 3)
    with installation.database.writing() as session:
        recipes.set_state(session, first.id, {"level": 3}, "a" * 64)
        recipes.set_state(session, other.id, None, "b" * 64)
    with installation.database.reading() as session:
        hashes = [image.content_hash for image in datasets.images(session, dataset.id)]
        found = recipes.existing_labels(session, "a" * 64, [*hashes, "elsewhere"])
        assert {content_hash: label.image_id for content_hash, label in found.items()} == dict(
            zip(hashes[:2], ids, strict=True)
        )
        assert recipes.existing_labels(session, "c" * 64, hashes) == {}


def test_a_recipe_is_kept_renamed_and_forgotten(installation):
    with installation.database.writing() as session:
        kept = recipes.save_recipe(session, " cells,  dark ", "threshold", {"foreground": "darker"})
        recipes.save_recipe(session, "other", "kmeans", {})
        with pytest.raises(NameTaken, match="'other' is taken"):
            recipes.rename_recipe(session, kept.id, "other")
        with pytest.raises(NameTaken, match="1 to 200 characters"):
            recipes.save_recipe(session, " ", "kmeans", {})
        recipes.rename_recipe(session, kept.id, "cells, dark")
        recipes.rename_recipe(session, kept.id, "dark cells")
    with installation.database.writing() as session:
        assert [each.name for each in recipes.saved_recipes(session)] == ["other", "dark cells"]
        assert session.get_one(SavedRecipe, kept.id).params == {"foreground": "darker"}
        recipes.delete_recipe(session, kept.id)
        recipes.delete_recipe(session, kept.id)
        assert [each.name for each in recipes.saved_recipes(session)] == ["other"]


def test_excluded_images_are_in_no_number_of_a_mask_set(installation):
    dataset = add_discs(installation, 4)
    label_set = start_labels(installation, dataset)
    ids = add_labels(installation, dataset, label_set, [0.1, 0.5, 0.7, 0.3])
    with installation.database.writing() as session:
        session.get_one(Job, label_set.job_id).status = JobStatus.FINISHED
        recipes.set_dropped(session, label_set.id, ids[:2], True)
        image_care.exclude_images(session, dataset.id, ids[1:3])
        summary = recipes.summary(session, label_set.id)
        assert (summary.images, summary.unclear, summary.dropped) == (1, 1, 1)
        assert summary.quality == pytest.approx(0.2)
        assert recipes.left_aside(session, label_set.id) == set(ids[:3])
        image_care.exclude_images(session, dataset.id, ids[3:])
    with installation.database.writing() as session, pytest.raises(NotReady, match="dropped, or its image excluded"):
        submissions.submit_train(session, dataset.id, label_set.id, "run", "fast", {}, "test")

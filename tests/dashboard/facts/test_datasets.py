"""Data of the Datasets page from real rows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dashboard.facts import datasets as view
from dashboard.facts import urls
from db import datasets, jobs, recipes, runs, submissions
from db.columns import new_id, utc_now
from db.models import Image, Job, JobStatus
from tests.support.installation import add_discs

LOST_AFTER_S = 60.0


def add_names(installation, names, truth=()):
    """Add a dataset whose images are rows only, one for each name."""
    with installation.database.writing() as session:
        dataset = datasets.create(session, "named")
        rows = [
            {
                "id": new_id(),
                "name": name,
                "content_hash": f"{number}",
                "width": 40,
                "height": 30,
                "has_truth": name in truth,
                "truth_values": [[0, 1000], [255, 200]] if name in truth else [],
            }
            for number, name in enumerate(names)
        ]
        datasets.add_images(session, dataset.id, new_id(), rows, [])
        return datasets.finish_import(session, dataset.id, None, None).id


def found_names(installation, dataset_id, **asked):
    with installation.database.reading() as session:
        return [image.name for image in view.images_page(session, dataset_id, **asked)]


def test_cards_are_newest_first_with_their_first_images_and_size(installation):
    older = add_discs(installation, count=6, name="older")
    newer = add_discs(installation, count=1, name="newer", truth=False)
    with installation.database.reading() as session:
        cards = view.cards(session, utc_now(), LOST_AFTER_S, size_bytes=lambda dataset: 1000 * dataset.image_count)
    assert [card.name for card in cards] == ["newer", "older"]
    assert [(card.images, card.truth, card.size_bytes) for card in cards] == [(1, 0, 1000), (6, 6, 6000)]
    assert len(cards[1].thumbnails) == 4 and len(cards[0].thumbnails) == 1
    assert older.id in cards[1].thumbnails[0] and newer.id in cards[0].thumbnails[0]


def test_cards_leave_out_images_imported_only_for_a_prediction(installation):
    with installation.database.writing() as session:
        datasets.create(session, "for one prediction", purpose="prediction")
    with installation.database.reading() as session:
        assert view.cards(session, utc_now(), LOST_AFTER_S) == ()


def test_a_running_import_shows_its_progress_and_is_lost_after_silence(installation):
    with installation.database.writing() as session:
        dataset, job = submissions.submit_import(session, "photos", {"kind": "sample"})
    with installation.database.writing() as session:
        jobs.claim(session, "worker", 2, LOST_AFTER_S)
        jobs.heartbeat(session, job.id, 1, jobs.Progress(30, 120, "files", "importing", details={"subject": "a.png"}))
    now = utc_now() + timedelta(seconds=10)
    with installation.database.reading() as session:
        shown = view.dataset_view(session, dataset.id, now, LOST_AFTER_S).job
        later = view.dataset_view(session, dataset.id, now + timedelta(minutes=2), LOST_AFTER_S).job
    assert (shown.status, shown.text) == ("running", "Importing a.png")
    assert (shown.progress.done, shown.progress.total) == (30, 120)
    assert shown.elapsed_s == pytest.approx(10, abs=2)
    assert shown.can_stop and not shown.can_retry
    assert later.status == "lost" and later.can_retry and later.at_work


def test_a_job_that_was_asked_to_stop_is_stopping(installation):
    with installation.database.writing() as session:
        dataset, job = submissions.submit_import(session, "photos", {"kind": "sample"})
    with installation.database.writing() as session:
        jobs.claim(session, "worker", 2, LOST_AFTER_S)
        jobs.request_stop(session, job.id)
    with installation.database.reading() as session:
        shown = view.job_of(session, dataset.id, utc_now(), LOST_AFTER_S)
    assert shown.status == "stopping" and not shown.can_stop


def test_an_unknown_dataset_is_none(installation):
    with installation.database.reading() as session:
        assert view.dataset_view(session, "0" * 32, utc_now(), LOST_AFTER_S) is None
        assert view.dataset_view(session, None, utc_now(), LOST_AFTER_S) is None
        assert view.job_of(session, "0" * 32, utc_now(), LOST_AFTER_S) is None


def test_a_view_counts_images_and_skipped_files(installation):
    dataset = add_discs(installation, count=3)
    with installation.database.writing() as session:
        entries = [{"name": "notes.txt", "taken": False, "reason": "It is a text file."}]
        datasets.add_images(session, dataset.id, new_id(), [], entries)
    with installation.database.reading() as session:
        shown = view.dataset_view(session, dataset.id, utc_now(), LOST_AFTER_S)
        report = datasets.report(session, dataset.id)
    assert (shown.skipped, shown.images, shown.truth) == (1, 3, 3)
    assert shown.classes == ("background", "foreground") and len(shown.lookup) == 256
    assert (report[0].name, report[0].taken, report[0].reason) == ("notes.txt", False, "It is a text file.")
    assert all(line.taken for line in report[1:]) and len(report) == 4


def test_images_are_paged_and_a_page_too_far_is_the_last(installation):
    dataset_id = add_names(installation, [f"{number:03d}.png" for number in range(10)])
    assert found_names(installation, dataset_id, page=2, per_page=4) == ["004.png", "005.png", "006.png", "007.png"]
    assert found_names(installation, dataset_id, page=99, per_page=4) == ["008.png", "009.png"]
    assert found_names(installation, dataset_id, page=-3, per_page=4)[0] == "000.png"
    with installation.database.reading() as session:
        assert view.count_images(session, dataset_id) == 10


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("egg", ["Egg_01.png", "egg%02.png"]),
        ("EGG_", ["Egg_01.png"]),
        ("%", ["egg%02.png"]),
        (" 卵 ", ["卵.png"]),
        ("none of them", []),
    ],
)
def test_search_takes_wildcards_literally_and_ignores_case(installation, search, expected):
    dataset_id = add_names(installation, ["Egg_01.png", "egg%02.png", "卵.png", "pan.png"])
    assert found_names(installation, dataset_id, search=search) == expected


def test_images_are_filtered_by_truth(installation):
    dataset_id = add_names(installation, ["a.png", "b.png", "c.png"], truth=("b.png",))
    assert found_names(installation, dataset_id, truth="with truth") == ["b.png"]
    assert found_names(installation, dataset_id, truth="without truth") == ["a.png", "c.png"]


def test_a_changed_mapping_changes_the_truth_version_in_urls(installation):
    dataset = add_discs(installation, count=1)
    with installation.database.reading() as session:
        before = view.dataset_view(session, dataset.id, utc_now(), LOST_AFTER_S)
    with installation.database.writing() as session:
        datasets.set_classes(session, dataset.id, dataset.classes, [0] * 200 + [1] * 56)
    with installation.database.reading() as session:
        after = view.dataset_view(session, dataset.id, utc_now(), LOST_AFTER_S)
    [first, second] = [urls.truth(dataset.id, "0" * 32, version=shown.truth_version) for shown in (before, after)]
    assert first != second


def test_examples_have_the_most_classes_without_stray_greys(installation):
    dataset_id = add_names(installation, ["a.png", "b.png", "c.png", "d.png"], truth=("a.png", "b.png", "c.png"))
    with installation.database.writing() as session:
        by_name = {image.name: image for image in datasets.images(session, dataset_id)}
        by_name["b.png"].truth_values = [[0, 1000], *([value, 1] for value in range(100, 120)), [255, 200]]
        by_name["c.png"].truth_values = [[0, 1000], [127, 100], [255, 100]]
    with installation.database.reading() as session:
        examples = view.example_images(session, dataset_id, 2)
    assert examples == ((by_name["c.png"].id, "c.png"), (by_name["a.png"].id, "a.png"))


def test_truth_counts_are_summed_over_the_dataset(installation):
    dataset_id = add_names(installation, ["a.png", "b.png", "c.png"], truth=("a.png", "b.png"))
    with installation.database.reading() as session:
        counts = view.truth_facts(session, dataset_id).counts
    assert counts.shape == (256,) and (counts[0], counts[255], counts.sum()) == (2000, 400, 2400)


def test_a_deletion_lists_what_is_deleted(installation):
    dataset = add_discs(installation, count=3)
    with installation.database.writing() as session:
        image_ids = [image.id for image in datasets.images(session, dataset.id)]
        label_set = recipes.create(session, dataset, "by k-means", "kmeans", {}, 0, "1")
        recipes.add_labels(
            session, label_set.id, [{"image_id": i, "area": 0.1, "dice": None, "iou": None} for i in image_ids]
        )
        run = runs.create(session, dataset, label_set.id, "first run", "fast", {}, "1")
        set_id = runs.ensure_prediction_set(session, run.id, dataset.id, None, False)
        prediction = {"image_id": image_ids[0], "area": 0.1, "mean_probability": 0.2}
        runs.add_predictions(session, set_id, [prediction])
    with installation.database.reading() as session:
        going = view.deletion(session, dataset.id)
    assert (going.label_sets, going.runs, going.masks, going.busy) == (("by k-means",), ("first run",), 4, "")
    with installation.database.writing() as session:
        datasets.delete_dataset(session, dataset.id)
        assert session.query(Image).count() == 0


def test_a_dataset_used_by_a_job_cannot_be_deleted(installation):
    with installation.database.writing() as session:
        dataset, job = submissions.submit_import(session, "photos", {"kind": "sample"})
    with installation.database.reading() as session:
        assert "import" in view.deletion(session, dataset.id).busy
    with installation.database.writing() as session:
        session.get_one(Job, job.id).status = JobStatus.FAILED
    with installation.database.reading() as session:
        assert view.deletion(session, dataset.id).busy == ""


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (("eggs and pans.zip",), "eggs and pans"),
        (("eggs/images/1.png", "eggs/truth/1.png"), "eggs"),
        (("1.png", "2.png"), ""),
        (("images.zip", "masks.zip"), "images"),
        (("a/1.png", "b/1.png"), ""),
        (("only.jpg",), "only"),
        ((), ""),
    ],
)
def test_a_name_is_proposed_from_the_uploaded_files(files, name):
    assert view.proposed_name(files) == name


def test_the_report_sorts_files_with_notes_first(installation):
    dataset = add_discs(installation, count=1)
    note = {"name": "mask.png", "taken": True, "reason": "It has 64 × 48 pixels; it was resized to fit."}
    with installation.database.writing() as session:
        datasets.add_images(session, dataset.id, new_id(), [], [note])
    with installation.database.reading() as session:
        reasons = [line.reason for line in datasets.report(session, dataset.id)]
    assert reasons[0] == note["reason"] and not any(reasons[1:])

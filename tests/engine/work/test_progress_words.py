"""The progress of a job in words, and the time it still needs."""

import pytest

from db.jobs import Progress
from engine.work.progress_words import progress_count, progress_words, seconds_left
from tests.support.training_job import training_progress


@pytest.mark.parametrize(
    ("progress", "words", "count"),
    [
        (Progress(), "", ""),
        (Progress(3, 1200, phase="computing_masks", rate=3.14), "Computing masks, 3.1 images/s", "3 of 1,200"),
        (Progress(1, 4, "steps", "converting_the_model"), "Converting the model: step 2 of 4", ""),
        (Progress(4, 4, "steps", "packed"), "Packed", ""),
        (Progress(2, 9, "files", "importing", details={"subject": "a.png"}), "Importing a.png", "2 of 9"),
        (
            Progress(7, 60, "batches", "testing_learning_rates", details={"learning_rate": 1e-4}),
            "Learning rate 1.0e-04",
            "7 of 60",
        ),
        (
            Progress(2, 10, "epochs", "checking_masks", details={"part_done": 5, "part_total": 9}),
            "Checking masks: 5 of 9 images",
            "",
        ),
        (training_progress(4, 5, 0, 3, 3.0), "Epoch 4 of 5: 0 of 3 images, 3.0 images/s", ""),
        (
            training_progress(4, 10, 40, 120, 45.34, per_round=5, memory_gib=1.23),
            "Round 1 of 2, epoch 4 of 10: 40 of 120 images, 45.3 images/s, 1.2 GiB",
            "",
        ),
    ],
)
def test_each_kind_of_progress_has_its_words_and_counts_once(progress, words, count):
    assert (progress_words(progress), progress_count(progress)) == (words, count)


def test_the_time_left_is_that_of_the_remaining_units_at_the_reported_rate():
    assert seconds_left(Progress(400, 1200, rate=40.0)) == 20
    assert seconds_left(Progress(1200, 1200, rate=40.0)) == 0
    assert seconds_left(Progress(400, 1200)) is None

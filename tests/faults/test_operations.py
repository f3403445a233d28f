"""Faults at exact steps of what people do at once; `python -m benchmarks.faults operations` has many more of them."""

import contextlib

import pytest

from tests.faults.operations import Operations

SEED = 1145
SOME = [
    ("delete dataset", "killed"),
    ("correct", "killed"),
    ("back up", "killed"),
    ("restore", "killed"),
    ("upgrade", "killed"),
    ("restore", "disk full"),
    ("upgrade", "database busy"),
]


@pytest.mark.slow
def test_what_a_fault_interrupts_is_whole_and_can_be_done_again(tmp_path):
    with contextlib.closing(Operations(tmp_path, SEED)) as operations:
        outcomes = [operations.run(number, *fault) for number, fault in enumerate(SOME)]
    assert not [outcome for outcome in outcomes if outcome.broken]
    assert all(outcome.fault.step for outcome in outcomes)


@pytest.mark.slow
def test_a_restore_that_is_killed_at_any_of_its_last_steps_can_be_repeated(tmp_path):
    """These move what was unpacked into place, the database last."""
    with contextlib.closing(Operations(tmp_path, SEED)) as operations:
        outcomes = operations.each_of_the_last("restore", 5)
    assert not [outcome for outcome in outcomes if outcome.broken]

"""The rate of a job: steady, and None before it is known."""

import pytest

from engine.work.pace import Pace


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_the_pace_counts_from_the_first_report_and_hardly_moves_during_a_pause():
    clock = Clock()
    pace = Pace(clock)
    assert pace.rate(40) is None  # a resumed job starts in the middle
    for step in range(1, 101):
        clock.now = 100.0 + step
        assert pace.rate(40 + 10 * step) == pytest.approx(10)
    clock.now += 5  # a validation
    assert pace.rate(1050) == pytest.approx(1010 / 105)

"""Numbers as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dashboard.facts import wording
from db.columns import utc_now


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.4, "0 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (1500, "25 min"),
        (7500, "2 h 05 min"),
        (3e5, "3 d 11 h"),
    ],
)
def test_durations(seconds, text):
    assert wording.duration(seconds) == text


def test_pixel_sizes():
    assert wording.pixel_size(None, None, None) == ""
    assert wording.pixel_size(0.25, 0.25, "OME") == "0.25 µm per pixel (OME)"
    assert wording.pixel_size(0.2, 0.4001, "EXIF") == "0.2 × 0.4 µm per pixel (EXIF)"


@pytest.mark.parametrize(
    ("byte_count", "text"),
    [(0, "0 B"), (999, "999 B"), (4200, "4.2 kB"), (999_600, "1.0 MB"), (17e6, "17 MB"), (3.4e12, "3.4 TB")],
)
def test_sizes(byte_count, text):
    assert wording.size(byte_count) == text


def test_counts():
    assert [wording.count(n, "image") for n in (0, 1, 1204)] == ["no images", "1 image", "1,204 images"]


def test_time_left_is_not_estimated_from_the_first_of_many_steps():
    assert wording.time_left(1, 306, 14) is None and wording.time_left(10, 306, 20) == 592
    assert wording.time_left(1, 30, 60) == 1740  # an epoch tells more than a mask


def test_time_left_is_unknown_before_the_first_step():
    assert (
        wording.time_left(0, 10, 5) is None and wording.time_left(2, 10, 5) == 20 and wording.time_left(10, 10, 5) == 0
    )


@pytest.mark.parametrize(("minutes", "text"), [(0, "just now"), (5, "5 min ago"), (150, "2 h ago")])
def test_how_long_ago(minutes, text):
    now = utc_now()
    assert wording.ago(now - timedelta(minutes=minutes), now) == text

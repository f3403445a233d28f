"""Channels and pages of imported files: what people enter, what jobs store, and what images come of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.datasets import ingest
from engine.datasets.plan import Item
from engine.datasets.reading import BadReading, Reading, page_name, with_reading
from engine.datasets.source import Folder
from engine.imaging.codec import ImageOptions
from tests.assets.bad_files import disk, encoded, picture
from tests.assets.bad_images import tiff

RAMP = (np.arange(600) % 40).reshape(20, 30).astype(np.uint8)
PAGES = np.stack([RAMP + np.uint8(50 * number) for number in range(1, 4)])


@pytest.mark.parametrize(
    ("channels", "expected"), [("", None), ("mix", "mix"), (" Mix ", "mix"), ("2", (1,)), ("3, 1,2", (2, 0, 1))]
)
def test_what_people_enter(channels, expected):
    reading = Reading.chosen(channels, "max")
    assert reading == Reading(expected, "max")
    assert Reading.from_payload(reading.payload()) == reading
    assert reading.options() == ImageOptions(expected, "max")


@pytest.mark.parametrize("channels", ["0", "1,2,3,4", "red", "1;2", "-1", "1,", "99999", "1.5"])
def test_channels_that_cannot_be(channels):
    with pytest.raises(BadReading, match=r"Channels must be one to three numbers from 1.*Got '"):
        Reading.chosen(channels)


def test_pages_that_cannot_be():
    with pytest.raises(BadReading, match=r"Pages must be one of first, all, max\. Got 'last'"):
        Reading.chosen("", "last")


def test_a_job_without_a_choice_is_as_before():
    assert with_reading({"kind": "zip"}, Reading()) == {"kind": "zip"}
    assert Reading.from_payload(None) == Reading()
    assert with_reading({"kind": "zip"}, Reading((0,)))["reading"] == {"channels": "1", "pages": "first"}


def test_the_name_of_a_page():
    assert page_name("a/stack.ome.tif", 1) == "a/stack.ome, page 2.tif"
    assert page_name("a/stack.tif", None) == "a/stack.tif"


def decoded(folder: Path, files: dict[str, bytes], reading: Reading) -> list[ingest.Decoded]:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    source = Folder(folder)
    items = ingest.plan(source).items
    return [read() for read in ingest.readers(source, items, None, reading)]


def test_each_page_is_an_image_with_its_page_of_the_truth(tmp_path):
    masks = np.stack([disk(20, 30, value=number) for number in range(1, 4)])
    plain = {"photometric": "minisblack"}
    files = {
        "images/a.tif": tiff(PAGES, **plain),
        "masks/a.tif": tiff(masks, **plain),
        "images/b.png": encoded(picture(20, 30)),
    }
    images = decoded(tmp_path, files, Reading(pages="all"))
    assert [image.name for image in images] == [
        *(f"images/a, page {number}.tif" for number in (1, 2, 3)),
        "images/b.png",
    ]
    assert [int(image.image.min()) for image in images[:3]] == [50, 100, 150]
    assert [int(image.truth.values.max()) for image in images[:3]] == [1, 2, 3]
    assert {entry.name for entry in images[1].entries} == {"images/a, page 2.tif", "masks/a, page 2.tif"}
    assert not any(entry.reason for image in images for entry in image.entries)


def test_one_mask_goes_with_each_page_and_a_short_stack_of_masks_is_reported(tmp_path):
    plain = {"photometric": "minisblack"}
    short = np.stack([disk(20, 30), disk(20, 30)])
    files = {
        "images/a.tif": tiff(PAGES, **plain),
        "masks/a.png": encoded(disk(20, 30)),
        "images/b.tif": tiff(PAGES[:, ::-1], **plain),
        "masks/b.tif": tiff(short, **plain),
    }
    images = decoded(tmp_path, files, Reading(pages="all"))
    assert [image.truth is not None for image in images] == [True] * 5 + [False]
    assert images[-1].entries[1].reason == "It has no page 3; it has 2."


def test_first_page_maximum_and_channels(tmp_path):
    files = {"a.tif": tiff(PAGES, photometric="minisblack")}
    (first,) = decoded(tmp_path, files, Reading())
    assert (int(first.image.min()), first.entries[0].reason) == (50, "It has 3 pages; page 1 was taken.")
    (most,) = decoded(tmp_path, files, Reading(pages="max"))
    assert (int(most.image.min()), most.entries[0].reason) == (150, "")
    (absent,) = decoded(tmp_path, files, Reading((3,)))
    assert absent.image is None
    assert absent.entries[0].reason == "It has no channel 4; it has 1."


def test_a_file_that_is_gone_is_one_line_whatever_pages_are_wanted(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(PAGES, photometric="minisblack"))
    source = Folder(tmp_path)
    (tmp_path / "a.tif").unlink()
    (read,) = ingest.readers(source, [Item(source.files[0])], None, Reading(pages="all"))
    assert "cannot be read" in read().entries[0].reason

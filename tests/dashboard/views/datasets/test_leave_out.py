"""The tab *Leave out* of a dataset without a browser: find, accept, clear, undo, and what was made before."""

from __future__ import annotations

import pytest

from tests.support.installation import add_dataset, add_discs, disc
from tests.support.leaving_out import leave_out, region_now
from tests.support.pages import words
from tests.support.predicted import add_label_set
from tests.support.pressing import click

PAGE = "views/datasets/page.py"
SIDE = 96


@pytest.fixture
def open_tab(open_page):
    def open_(dataset):
        at = open_page(PAGE, dataset=dataset.id)
        at.session_state["dataset-tabs"] = "Leave out"
        at.run()
        assert not at.exception
        return at

    return open_


def stamped(count=10):
    """Return bright and dark discs with a black corner."""
    for seed in range(count):
        image, mask = disc(size_px=SIDE, seed=seed)
        image = (255 - image if seed % 2 else image).copy()
        image[:24, :24] = 0
        yield image, mask


def test_what_is_found_is_proposed_and_left_out_once_it_is_accepted(installation, open_tab):
    dataset = add_dataset(installation, "stamped", stamped())
    at = open_tab(dataset)
    assert "Nothing is left out." in words(at)
    click(at, "leave-out-find")
    assert "is the same in all 10 images compared" in words(at)
    assert region_now(installation, dataset.id) is None, "a proposal changes nothing"
    click(at, "leave-out-discard")
    assert "Nothing is left out." in words(at)
    click(click(at, "leave-out-find"), "leave-out-accept")
    assert region_now(installation, dataset.id) is not None
    assert "of each image is left out**, found in the images by local" in words(at)


def test_clearing_can_be_undone(installation, open_tab):
    dataset = add_dataset(installation, "stamped", stamped())
    _, mask = disc(size_px=SIDE)
    region = leave_out(installation, dataset.id, mask)
    at = click(open_tab(dataset), "leave-out-clear")
    assert region_now(installation, dataset.id) is None
    click(at, "leave-out-undo")
    assert region_now(installation, dataset.id) == region.id
    assert "taken up again by local" in words(at)


def test_label_sets_that_were_made_before_are_named(installation, open_tab):
    dataset = add_discs(installation, count=4)
    add_label_set(installation, dataset, shift_px=0)
    leave_out(installation, dataset.id, disc()[1])
    assert "Made with another region than this: 1 mask set (" in words(open_tab(dataset))


def test_too_few_images_say_what_to_do(installation, open_tab):
    at = click(open_tab(add_discs(installation, count=3)), "leave-out-find")
    assert "At least 8 images of one size are needed" in words(at) and "Draw the region instead." in words(at)

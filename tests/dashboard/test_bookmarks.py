"""Bookmarked addresses: what they name may have been deleted, and anybody may have edited them."""

from __future__ import annotations

import pytest

from db.columns import new_id
from tests.support.installation import add_discs
from tests.support.pages import page_at
from tests.support.predicted import add_label_set, add_run

NAMES = (
    "dataset",
    "labels",
    "run",
    "runs",
    "set",
    "from",
    "image",
    "against",
    "a",
    "b",
    "recipe",
    "page",
    "preset",
    "p",
    "sweep",
    "new",
    "method",
)
NAMES += ("log", "first", "sort", "version", "advanced", "labels-threshold", "labels-overlay")
PAGES = ("home", "datasets", "labels", "train", "runs", "gallery", "compare", "predict", "sweeps")


@pytest.mark.slow
@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("page", PAGES)
def test_an_address_of_things_that_are_gone_opens_a_page_without_an_exception(installation, submitted, page, filled):
    if filled:
        dataset = add_discs(installation)
        add_run(installation, dataset, "run", label_set_id=add_label_set(installation, dataset))
    for value in (new_id(), "**x** ' \" 😀" * 30):
        app = page_at(f"views/{page}/page.py")
        for name in NAMES:
            app.query_params[name] = value
        app.run()
        assert not app.exception, [each.message for each in app.exception]

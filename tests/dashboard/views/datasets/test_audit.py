"""The tabs Audit and Corrections of a dataset, without a browser."""

from __future__ import annotations

import numpy as np
import pytest

from db import corrections
from db.audit_set import audit_set
from engine.imaging import codec
from tests.support.corrected import correct
from tests.support.installation import add_discs
from tests.support.live_page import given
from tests.support.pages import words
from tests.support.predicted import add_label_set, add_run
from tests.support.pressing import press_in_dialog

PAGE = "views/datasets/page.py"


@pytest.fixture
def discs(installation):
    return add_discs(installation, 6)


@pytest.fixture
def tab(open_page, discs):
    """Return a function that opens a tab of the dataset's page."""

    def open_tab(name):
        at = open_page(PAGE, dataset=discs.id)
        at.session_state["dataset-tabs"] = name
        at.run()
        assert not at.exception
        return at

    return open_tab


def draw(installation, discs, count):
    with installation.database.writing() as session:
        return corrections.draw_audit(session, discs.id, count)


def test_an_audit_is_drawn_from_what_nobody_corrected(tab, installation, discs):
    correct(installation, discs, "disc 0.png")
    at = tab("Audit")
    assert "1 image cannot be drawn" in words(at)
    number = at.number_input(f"audit-count-{discs.id}")
    assert (number.value, number.max) == (5, 5)
    number.set_value(2).run()
    at.button("audit-draw").click().run()
    assert not at.exception
    with installation.database.reading() as session:
        assert len(audit_set(session, discs.id).images) == 2


def test_an_open_image_has_a_brush_and_may_begin_with_nothing(tab, installation, discs):
    labels = add_label_set(installation, discs)
    draw(installation, discs, 2)
    at = tab("Audit")
    at.button("audit-next").click().run()
    assert not at.exception
    assert "**0 of 2** finished" in words(at)
    opened = next(data for data in given(at) if data.get("brush"))
    assert (opened["brush"]["mask_of"], opened["brush"]["can_finish"]) == (labels, True)
    at.selectbox("audit-start").set_value("no mask: draw all of it").run()
    opened = next(data for data in given(at) if data.get("brush"))
    assert (opened["brush"]["mask_of"], opened["brush"]["can_finish"]) == ("", True)
    assert opened["panes"][0]["mask"] is None


def test_a_complete_audit_scores_label_sets_and_runs_with_intervals(tab, installation, discs, open_page):
    labels = add_label_set(installation, discs)
    run = add_run(installation, discs, "network", label_set_id=labels, shifts_px=(0,))
    for image in draw(installation, discs, 4):
        correct(installation, discs, image.name)
    at = tab("Audit")
    assert "95 % certain" in words(at)
    table = at.dataframe[0].value.set_index("Masks")
    assert table.loc["network", "Dice vs audit"] == 1
    scores = table.loc["recipe"]
    assert 0 <= scores["Dice from"] < scores["Dice vs audit"] < scores["Dice to"] <= 1
    assert table.loc["network", "Of these trained on"] > 0 and "too high" in words(at)
    assert "Dice vs audit 1.00" in words(open_page("views/gallery/page.py", run=run.id))
    assert "Dice vs audit 1.00" in words(open_page("views/runs/page.py", run=run.id))


def test_an_audit_can_be_discarded(tab, installation, discs):
    draw(installation, discs, 3)
    at = tab("Audit")
    at.button("audit-discard").click().run()
    press_in_dialog(at, "audit-discard", "audit-discard-go")
    assert not at.exception
    with installation.database.reading() as session:
        assert not audit_set(session, discs.id).images


def test_corrections_are_counted_listed_and_imported(tab, installation, discs):
    at = tab("Corrections")
    assert "Nobody has corrected an image" in words(at)
    correct(installation, discs, "disc 0.png", mask_dice=0.5)
    correct(installation, discs, "disc 1.png", finished=False)
    at = tab("Corrections")
    assert "**2 corrected images**: 1 finished, 1 with strokes only" in words(at)
    assert at.dataframe[0].value["State"].tolist() == ["strokes", "finished"]
    good = codec.encode_png(np.ones((64, 64), np.uint8))
    at.file_uploader("corrections-files-0").set_value([("disc 2.png", good, "image/png"), ("x.png", good, "image/png")])
    at.run()
    at.button("corrections-go").click().run()
    assert "'x.png' cannot be paired" in at.error[0].value.replace("\\", "")
    at.file_uploader("corrections-files-0").set_value([("disc 2.png", good, "image/png")]).run()
    at.button("corrections-go").click().run()
    assert not at.exception
    with installation.database.reading() as session:
        assert len(corrections.current(session, discs.id)) == 3

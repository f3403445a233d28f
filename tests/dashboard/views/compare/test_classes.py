"""Masks of runs with different classes, or with none, beside each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard.facts.scores import read_scores
from dashboard.ui import palette
from dashboard.views.compare import facts, images, pair, shared_images
from dashboard.views.compare.classes import NO_CLASS, compared_classes
from db import datasets, runs
from tests.support.installation import add_discs
from tests.support.predicted import add_run
from tests.support.several_classes import add_eggs_and_pans, add_run_of_classes


def shared(installation, *chosen, of=0):
    def read(set_id):
        with installation.database.reading() as session:
            return read_scores(session, set_id)

    with installation.database.reading() as session:
        compared = facts.compared_runs(session, [run.id for run in chosen])
    return replace(shared_images.shared_images(compared, read), chosen=of)


@pytest.fixture
def plates(installation):
    return add_eggs_and_pans(installation, 6)


@pytest.fixture
def mixed(installation, plates):
    """A run that tells two classes apart, and one of foreground alone, on the same images."""
    return add_run_of_classes(installation, plates, "several"), add_run(installation, plates, "binary", shifts_px=(2,))


def twin(installation, dataset, name, names):
    """Store the same images again with other classes, so that runs on both share them."""
    other = add_eggs_and_pans(installation, 6, name, names=names)
    with installation.database.writing() as session:
        both = datasets.images(session, dataset.id), datasets.images(session, other.id)
        for one, copy in zip(*both, strict=True):
            copy.content_hash = one.content_hash
    return other


def test_a_class_has_one_colour_in_all_runs_and_no_other_class_has_it(installation, plates):
    spoons = twin(installation, plates, "spoons", ("background", "spoon", "egg"))
    first, second = (add_run_of_classes(installation, each, each.name) for each in (plates, spoons))
    found = shared(installation, first, second)
    classes = found.classes
    assert classes.names == ("background", "egg", "pan", "spoon") and len(set(classes.colours)) == 4
    assert classes.colours[1:3] == (palette.class_colour(1), palette.class_colour(2))
    here, there = (classes.colours_of(run) for run in found.runs)
    assert here == classes.colours[:3] and there == (classes.colours[0], classes.colours[3], classes.colours[1])
    assert [classes.number(run, 1) for run in found.runs] == [1, 2]
    assert [classes.number(run, 3) for run in found.runs] == [NO_CLASS, 1]
    assert [classes.number(run, 0) for run in found.runs] == [None, None]


def test_default_names_with_other_values_are_other_classes(installation, plates):
    run = add_run_of_classes(installation, plates, "several")
    (one,) = shared(installation, run, add_run(installation, plates, "other")).runs[:1]
    kinds = [
        [{"index": 0, "name": "background", "value": 0}, {"index": 1, "name": "class 1", "value": value}]
        for value in (1, 128)
    ]
    colours = ("transparent", palette.class_colour(1))
    found = compared_classes([replace(one, classes=classes, class_colours=colours) for classes in kinds])
    assert found.names == ("background", "class 1 (value 1)", "class 1 (value 128)")
    assert len(set(found.colours)) == 3


def test_scores_are_of_a_class_only_if_every_run_tells_it_apart(installation, plates, mixed):
    several, binary = mixed
    better = add_run_of_classes(installation, plates, "better", confused=False)
    found = shared(installation, several, better, of=2)
    assert found.by_class and found.score_title == "Dice of pan vs truth"
    with_pan = np.isfinite(found.scores[:, 1])
    assert with_pan.sum() == 3 and (found.scores[with_pan, 1] == 1).all() and (found.scores[with_pan, 0] < 1).all()
    found = shared(installation, several, binary, of=2)
    assert not found.by_class and found.score_title == "foreground Dice vs truth"
    assert np.array_equal(found.scores, shared(installation, several, binary).scores)
    discs = add_discs(installation, 3)
    two = (add_run(installation, discs, name) for name in "ab")
    assert shared(installation, *two).score_title == "Dice vs truth"


def test_errors_compare_classes_where_mask_and_truth_have_them_and_else_foreground(installation, mixed):
    found = shared(installation, *mixed)
    several, binary = (images._run_pane(found, 0, column, "errors") for column in (0, 1))
    assert several.classes and several.reference_classes and not several.reference
    assert binary.reference and not binary.classes and not binary.reference_classes
    tiles = [pair._tile(found, 0, column, 0, 1) for column in (0, 1)]
    assert [bool(tile.classes) for tile in tiles] == [bool(tile.reference_classes) for tile in tiles] == [True, False]
    with installation.database.writing() as session:
        one = [{"index": 0, "name": "background", "value": 0}, {"index": 1, "name": "food", "value": 1}]
        datasets.set_classes(session, found.runs[0].dataset_id, one, [min(value, 1) for value in range(256)])
        session.get_one(runs.Run, found.runs[0].id).label_set_id = None
    pane = images._run_pane(shared(installation, *mixed), 0, 0, "errors")
    assert pane.classes and "run=" in pane.reference_classes, "truth still has the values of the run's classes"


def test_lines_of_foreground_are_beside_those_of_the_classes_of_truth(installation, mixed):
    found = shared(installation, *mixed, of=1)
    several, binary = (images._run_pane(found, 0, column, "outline") for column in (0, 1))
    assert several.classes and not binary.classes and binary.reference_classes == several.reference_classes
    assert binary.class_colours == several.class_colours and binary.only_class == several.only_class == 1
    assert "all foreground" in binary.title and "all foreground" not in several.title
    whole = images._image_pane(found, 0)
    assert whole.reference_classes and whole.only_class == 1


def test_the_page_filters_by_class_and_says_where_scores_are_of_foreground(installation, open_page, plates, mixed):
    several, binary = mixed
    better = add_run_of_classes(installation, plates, "better", confused=False)

    def opened(*compared):
        address = {"runs": ",".join(run.id for run in compared), "class": "pan", "view": "Fill"}
        app = open_page("views/compare/page.py", **address)
        assert not app.exception
        shown = " ".join(element.value for kind in (app.markdown, app.caption) for element in kind)
        legend = next(html.proto.body for html in app.get("html") if "border-radius:3px" in html.proto.body)
        return app, shown, legend

    app, shown, legend = opened(several, better)
    assert app.selectbox(key="class").value == "pan" and "pan" in legend and "egg" not in legend
    assert "Dice of pan vs truth, 3 shared images" in app.table[0].value.index
    assert "(Dice of pan vs truth;" in shown and "not told apart" not in legend
    app, shown, legend = opened(several, binary)
    assert "These scores are of foreground" in shown and "foreground, not told apart" in legend
    assert "Foreground Dice vs truth, 6 shared images" in app.table[0].value.index


def test_runs_of_foreground_alone_have_no_class_filter_and_no_legend(installation, open_page):
    discs = add_discs(installation, 3)
    app = open_page("views/compare/page.py", runs=",".join(add_run(installation, discs, name).id for name in "ab"))
    assert not app.exception
    assert "class" not in [box.key for box in app.selectbox]
    assert not any("border-radius:3px" in html.proto.body for html in app.get("html"))

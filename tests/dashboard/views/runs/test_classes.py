"""What a run shows of its classes: scores, confusion matrix, sentences, and the images behind a cell."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dashboard.facts import wording
from dashboard.facts.class_results import class_results
from dashboard.ui import palette
from dashboard.views.runs.confusion_chart import confusion_figure
from dashboard.views.runs.curves import CurveSettings, latest_news
from dashboard.views.runs.facts import run_facts
from dashboard.views.runs.story import story
from db import datasets, runs
from db.columns import utc_now
from db.models import Run
from engine.imaging import codec
from engine.imaging.class_confusion import class_confusion
from engine.store import keys as stored
from tests.dashboard.views.runs.test_page import PAGE, texts
from tests.support.installation import add_discs
from tests.support.live_page import given
from tests.support.predicted import add_run
from tests.support.several_classes import add_eggs_and_pans, add_run_of_classes

WITH_SPOON = ("background", "egg", "pan", "spoon")


@pytest.fixture
def run(installation):
    return add_run_of_classes(installation, add_eggs_and_pans(installation, 12, names=WITH_SPOON))


def results(installation, run):
    with installation.database.reading() as session:
        return class_results(session, runs.own_prediction_set(session, session.get(Run, run.id)).id)


def sentences(installation, run) -> str:
    with installation.database.reading() as session:
        told = story(run_facts(session, run.id, utc_now(), 60))
    return "\n".join([*told.sentences, *told.details])


def test_results_of_validation_images_and_of_all(installation, run):
    everything = results(installation, run)
    found = everything.validation
    assert (len(found.images), len(everything.images)) == (4, 12)
    egg, pan, spoon = found.confusion.results
    assert (egg.images, pan.images, spoon.images) == (4, 2, 0)
    assert 0.6 < egg.dice < 0.75 and pan.dice < 0.9 and spoon.dice is None
    assert found.names == WITH_SPOON


def test_the_images_of_a_cell_are_those_that_most_of_its_pixels_are_from(installation, run):
    found = results(installation, run)
    most = found.most_of(1, 2, 3)
    assert len(most) == 3 and [image.pixels for image in most] == sorted((i.pixels for i in most), reverse=True)
    assert most[0].pixels == max({(t, p): n for t, p, n in image.rows}[1, 2] for image in found.images)
    assert found.most_of(3, 3, 5) == ()
    two = found.of_images({image.image_id for image in most[:2]})
    assert two.confusion.matrix[1, 2] == most[0].pixels + most[1].pixels


def test_runs_of_foreground_alone_have_none(installation):
    assert results(installation, add_run(installation, add_discs(installation), "binary")) is None


def test_sentences_name_scores_confusions_and_missing_classes(installation, run):
    told = sentences(installation, run)
    assert "Dice vs truth of the masks' foreground, all classes as one, is 1.000" in told
    assert "Dice vs truth of each class, over the pixels of all these images together: egg **0.6" in told
    assert "“spoon” occurs in none of them, neither in truth nor in masks." in told
    assert "Confused most often: **pan for egg** (4" in told and "% of the pixels of egg)." in told
    assert "(mean of 3 classes)" in told


def test_sentences_of_a_run_that_confuses_nothing(installation):
    run = add_run_of_classes(installation, add_eggs_and_pans(installation), confused=False)
    told = sentences(installation, run)
    assert "egg **1.000**, pan **1.000**" in told
    assert "No class has as many as 1% of its pixels taken for another class." in told


def test_the_matrix_is_normalised_by_row_and_says_counts(installation):
    confusion = class_confusion(("background", "<egg>", "pan"), [[[1, 1, 1500], [1, 2, 500], [0, 0, 10]]])
    figure = confusion_figure(confusion)
    assert json.loads(json.dumps(figure, allow_nan=False)) == figure
    heat, cells = figure["data"]
    assert heat["z"] == [[1, 0, 0], [0, 0.75, 0.25], [0, 0, 0]]
    assert [text["text"] for text in figure["layout"]["annotations"]][3:6] == ["", "75%", "25%"]
    assert figure["layout"]["xaxis"]["ticktext"] == ["background", "&lt;egg&gt;", "pan"]
    place = cells["customdata"].index([1, 2, 500])
    assert (cells["x"][place], cells["y"][place]) == (2, 1)
    assert cells["hovertext"][place] == (
        "truth <b>&lt;egg&gt;</b>, mask <b>pan</b><br>500 pixels, 25.0% of &lt;egg&gt; in truth"
    )
    assert cells["hovertext"][-1].endswith("0 pixels, truth has none")


def test_the_page_shows_scores_matrix_and_images_that_link_to_the_gallery(installation, open_page, run):
    app = open_page(PAGE, run=run.id)
    assert not app.exception
    assert "Classes" in [header.value for header in app.subheader]
    legend = next(html.proto.body for html in app.get("html") if "spoon" in html.proto.body)
    assert palette.class_colour(2) in legend
    scores = next(frame.value for frame in app.dataframe if "Class" in frame.value.columns)
    assert list(scores["Class"]) == ["egg", "pan", "spoon"] and list(scores["Images"]) == [4, 2, 0]
    assert np.isnan(scores["Dice vs truth"][2])
    assert "**spoon** occurs in none of these images, neither in truth nor in masks" in texts(app)
    assert len(app.get("plotly_chart")) == 1
    app.session_state[f"runs-curves-{run.id}"] = True
    assert len(app.run().get("plotly_chart")) == 7  # the matrix, four curves and two of the classes
    where = app.selectbox(key=f"runs-cell-{run.id}")
    assert where.options[0].startswith("pan for egg (") and where.value == (1, 2)
    links = [link.proto for link in app.get("page_link") if "image=" in link.proto.query_string]
    first = results(installation, run).validation.most_of(1, 2, 1)[0]
    behind = [link for link in links if f"image={first.image_id}" in link.query_string]
    assert behind[-1].label == wording.escaped(first.name) and f"{first.pixels:,} pixels" in texts(app)
    where.select((2, 2)).run()
    assert not app.exception
    app.segmented_control(key=f"runs-classes-{run.id}").set_value("All images").run()
    assert not app.exception
    scores = next(frame.value for frame in app.dataframe if "Class" in frame.value.columns)
    assert list(scores["Images"]) == [12, 6, 0]


def test_many_classes_are_a_table_of_the_largest_confusions(installation, open_page):
    names = ["background", *(f"class {number}" for number in range(1, 255))]
    run = add_run_of_classes(installation, add_eggs_and_pans(installation, 4, names=names), epochs=1)
    app = open_page(PAGE, run=run.id)
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "In the masks" in frame.value.columns)
    assert list(table["In truth"]) == ["class 1"] and list(table["In the masks"]) == ["class 2"]
    assert "a matrix of 255 classes cannot be read" in texts(app)
    assert "and 246 more occur in none of these images" in texts(app)


def test_a_truth_with_other_classes_says_that_nothing_can_be_compared(installation, open_page, run):
    with installation.database.writing() as session:
        for row in datasets.images(session, run.dataset_id):
            row.has_truth = False
        session.execute(Run.__table__.metadata.tables["predictions"].update().values(truth_confusion=None))
    app = open_page(PAGE, run=run.id)
    assert not app.exception
    assert "None of these images has truth with the classes of this run" in texts(app)


def probe_tiles(app) -> tuple[list[dict], dict]:
    """Return the tiles of the probe images as the browser gets them, and the data of their grid."""
    grid = next(data for data in given(app) if any("/probe/" in (tile["mask"] or "") for tile in data.get("tiles", [])))
    return grid["tiles"], grid


def with_masks(app, run):
    """Open the masks through the epochs."""
    app.session_state[f"runs-masks-{run.id}"] = True
    return app.run()


def add_probes(installation, run, *, classes: bool) -> None:
    with installation.database.writing() as session:
        images = datasets.images(session, run.dataset_id)
        rows = [{"image_id": image.id, "split": "validation", "probe": True} for image in images]
        runs.set_split(session, run.id, rows)
    for image in images if classes else ():
        key = stored.probe_classes_key(run.id, 3, image.id)
        installation.files.write(key, codec.encode_png(np.ones((8, 8), np.uint8)))


def test_masks_through_the_epochs_have_classes_a_legend_and_a_filter(installation, open_page, run):
    add_probes(installation, run, classes=True)
    app = with_masks(open_page(PAGE, run=run.id), run)
    tiles, grid = probe_tiles(app)
    assert all("/probe/3/classes/" in tile["classes"] and "classes=1" in tile["reference_classes"] for tile in tiles)
    assert not any(tile["reference"] for tile in tiles) and grid["settings"]["only_class"] is None
    app.segmented_control(key="runs-probe-mode").set_value("Fill").run()
    app.selectbox(key=f"runs-class-{run.id}").set_value("pan").run()
    assert not app.exception
    tiles, grid = probe_tiles(app)
    assert grid["settings"]["only_class"] == 2 and grid["colours"]["classes"][1] == palette.class_colour(2)
    legends = [html.proto.body for html in app.get("html") if "border-radius:3px" in html.proto.body]
    assert any("pan" in legend and "egg" not in legend for legend in legends)


def test_epochs_of_an_earlier_version_compare_foreground_and_say_so(installation, open_page, run):
    add_probes(installation, run, classes=False)
    app = with_masks(open_page(PAGE, run=run.id), run)
    assert all(tile["reference"] and not tile["classes"] for tile in probe_tiles(app)[0])
    app.segmented_control(key="runs-probe-mode").set_value("Fill").run()
    assert any("foreground, not told apart" in html.proto.body for html in app.get("html"))


def test_news_of_an_epoch_name_the_classes_of_its_masks(installation, dashboard, run):
    add_probes(installation, run, classes=True)
    news = latest_news(run.id, CurveSettings())
    assert news.epoch == 3 and all("/probe/3/classes/" in address for address in news.classes.values())
    assert set(news.classes) == set(news.masks)

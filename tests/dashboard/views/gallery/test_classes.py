"""The gallery of a run that tells classes apart: its masks, scores and filter."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.facts.scores import read_scores
from dashboard.ui import palette
from dashboard.ui.viewer import Pane, derived_readings
from dashboard.views.gallery import facts
from dashboard.views.gallery.order import Choice, arrange, filters_in_words, measured
from dashboard.views.predict import facts as predict_facts
from dashboard.views.runs import facts as run_facts
from db import datasets, recipes
from db.columns import utc_now
from db.models import Dataset, Prediction, Run
from tests.dashboard.views.gallery.test_page import metrics, page, text_of  # noqa: F401 - `page` is a fixture
from tests.support.drawn_class_run import (
    LOOKUP,
    NAMES,
    add_class_dataset,
    add_class_run,
    predicted_map,
    set_of,
    truth_map,
)
from tests.support.predicted import add_run


@pytest.fixture
def run(installation):
    return add_class_run(installation, add_class_dataset(installation))


@pytest.fixture
def table(installation, run):
    with installation.database.reading() as session:
        return read_scores(session, set_of(installation, run))


def dice(number, index):
    found, truth = predicted_map(number) == index, truth_map(number) == index
    total = found.sum() + truth.sum()
    return 2 * (found & truth).sum() / total if total else np.nan


def source_of(installation, run):
    with installation.database.reading() as session:
        return facts.source(session, run.id, utc_now(), 60)


def test_scores_of_each_class_are_those_of_its_pixels(table):
    assert table.classes == NAMES
    expected = np.array([[dice(number, 1), dice(number, 2)] for number in range(4)])
    assert table.class_dice[:, 1:] == pytest.approx(expected, nan_ok=True)
    assert np.isnan(table.class_dice[2, 2]), "image 2 has no pan, in truth or mask"
    assert table.class_dice[:, 0] == pytest.approx(np.nanmean(expected, axis=1))


def test_an_image_without_any_class_agrees_and_one_that_was_not_compared_has_no_score(installation, run):
    with installation.database.writing() as session:
        first, second = session.query(Prediction).limit(2)
        first.truth_confusion, second.truth_confusion = [[0, 0, 4096]], None
        ids = first.image_id, second.image_id
    with installation.database.reading() as session:
        table = read_scores(session, set_of(installation, run))
    empty, unknown = (table.class_dice[table.index[id_]] for id_ in ids)
    assert empty[0] == 1 and np.isnan(empty[1:]).all()
    assert np.isnan(unknown).all()


def test_a_run_of_foreground_alone_has_no_classes(installation):
    dataset = add_class_dataset(installation)
    run = add_run(installation, dataset, "merged")
    with installation.database.reading() as session:
        table = read_scores(session, set_of(installation, run))
    assert table.classes == () and not table.has_class_scores
    assert facts.classes_url(source_of(installation, run), "0" * 32) is None


def test_order_success_and_filters_follow_the_class(table):
    def order(sort, index):
        choice = Choice("truth", sort=sort, class_index=index, class_name=NAMES[index], by_class=True)
        return arrange(table, choice)

    assert order("Best first", 0).rows[0] == 0
    pans = order("Worst first", 2)
    assert pans.rows.tolist() == [1, 3, 0, 2], "the image without pans comes last"
    assert (pans.successes, pans.failures, pans.unscored) == (1, 2, 1)
    assert pans.mean_score == pytest.approx((1 + dice(1, 2) + dice(3, 2)) / 3)
    spans = {"score": (0.9, 1.0)}
    choice = Choice("truth", class_index=2, class_name="pan", by_class=True, spans=spans, threshold=0.3)
    assert arrange(table, choice).rows.tolist() == [0]
    assert filters_in_words(choice) == ["Dice of pan vs truth 0.90 to 1.00"]
    assert measured(table, Choice("truth", threshold=0.95), "score").max() == 0, "foreground follows the threshold"


def test_masks_and_truth_have_the_classes_of_the_run(installation, run, table):
    with installation.database.writing() as session:
        names = [{"index": 0, "name": "background"}, {"index": 1, "name": "food"}]
        datasets.set_classes(session, run.dataset_id, names, [min(index, 1) for index in LOOKUP])
    source = source_of(installation, run)
    choice = Choice("truth", by_class=True)
    first = facts.thumbnails(source, table, arrange(table, choice), choice, 1)[0]
    assert "/classes/" in first.classes
    assert f"classes=1&run={run.id}" in first.truth.classes and first.reference == first.truth
    assert source.classes == NAMES


def test_replaced_truth_is_shown_with_its_own_values_in_the_classes_of_the_run_if_they_have_the_same_names(
    installation, run
):
    values = [[0, 10], [1, 10], [2, 10]]
    with installation.database.writing() as session:
        for image in datasets.images(session, run.dataset_id):
            image.truth_values = values
        classes = [entry | {"value": entry["index"]} for entry in session.get_one(Run, run.id).classes]
        datasets.set_classes(session, run.dataset_id, classes, [min(value, 2) for value in range(256)])
    truth = facts.reference_maps(source_of(installation, run), "truth", "i")
    assert truth.levels is None and "run=" not in truth.classes
    with installation.database.writing() as session:
        others = [entry | {"name": f"{entry['name']} 2"} for entry in classes]
        datasets.set_classes(session, run.dataset_id, others, [min(value, 2) for value in range(256)])
    truth = facts.reference_maps(source_of(installation, run), "truth", "i")
    assert truth.classes is None and "classes=1" not in truth.levels


def test_a_run_trained_on_labels_of_classes_shows_truth_as_foreground_unless_it_has_the_same(installation, run):
    with installation.database.writing() as session:
        dataset = session.get_one(Dataset, run.dataset_id)
        label_set = recipes.create(session, dataset, "drawn", "kmeans", {}, 0, "test")
        session.get_one(Run, run.id).label_set_id = label_set.id
    label = facts.reference_maps(source_of(installation, run), "label", "i")
    assert "/labels/" in label.levels and "/classes/" in label.classes
    truth = facts.reference_maps(source_of(installation, run), "truth", "i")
    assert truth.levels is None and "run=" not in truth.classes
    with installation.database.writing() as session:
        names = [{"index": 0, "name": "background"}, {"index": 1, "name": "food"}]
        datasets.set_classes(session, run.dataset_id, names, [min(index, 1) for index in LOOKUP])
    truth = facts.reference_maps(source_of(installation, run), "truth", "i")
    assert truth.classes is None and "classes=1" not in truth.levels


def test_masks_have_the_colours_that_the_dataset_gives_classes_of_their_names_now(installation, run):
    assert source_of(installation, run).class_colours[1:] == (palette.class_colour(1), palette.class_colour(2))
    with installation.database.writing() as session:
        stored = session.get_one(Run, run.id)
        stored.classes = [entry | {"colour": "#000000"} for entry in stored.classes]
        dataset = session.get_one(Dataset, run.dataset_id)
        entries = [{"index": 0, "name": "background"}, {"index": 1, "name": "pan", "colour": "#123456"}]
        datasets.set_classes(session, dataset.id, entries, [min(index, 1) for index in LOOKUP])
    colours = source_of(installation, run).class_colours
    assert palette.overlay(colours)["classes"] == ("#000000", "#123456")
    with installation.database.reading() as session:
        view = predict_facts.set_view(session, set_of(installation, run), utc_now(), 60)
        head = run_facts.run_head(session, run.id)
    assert view.class_colours == head.class_colours == colours
    assert palette.overlay()["classes"] == palette.CLASSES


def test_an_image_has_the_scores_of_each_class(table):
    choice = Choice("truth", by_class=True, class_index=2, class_name="pan")
    found = facts.detail(table, arrange(table, choice), choice, table.image_ids[2])
    assert [(each.name, each.dice is None) for each in found.classes] == [("egg", False), ("pan", True)]
    assert found.score is None and found.success is None and found.dice["truth"] == pytest.approx(1)
    found = facts.detail(table, arrange(table, choice), choice, table.image_ids[1])
    egg = found.classes[0]
    assert egg.iou == pytest.approx(egg.dice / (2 - egg.dice)) and found.success is False


def test_the_viewer_reads_the_class_under_the_pointer():
    panes = [
        Pane("Mask", "i", mask="m", classes="c", class_names=NAMES),
        Pane("Truth", "i", reference_classes="t", class_names=NAMES),
    ]
    readings = {reading.name: reading for reading in derived_readings(panes)}
    assert (readings["Mask, class"].kind, readings["Mask, class"].levels) == ("class", "m")
    assert (readings["Truth"].address, readings["Truth"].classes) == ("t", NAMES)


def test_the_page_scores_all_classes_or_the_one_in_the_address(page, run):  # noqa: F811
    at = page(run=run.id)
    assert "Mean Dice of classes vs truth" in metrics(at)
    assert "threshold 0.50" not in text_of(at)
    assert at.selectbox(key="class").options == ["All classes", "egg", "pan"]
    at = page(run=run.id, **{"class": "pan", "threshold": "0.3"})
    shown = metrics(at)
    assert shown["Mean Dice of pan vs truth"] == f"{(1 + dice(1, 2) + dice(3, 2)) / 3:.3f}"
    assert (shown["Successes"], shown["Failures"], shown["Without this class"]) == ("1", "2", "1")
    assert "Dice of pan vs truth is that at threshold 0.50." in text_of(at)
    at.selectbox(key="class").set_value("All classes").run()
    assert not at.exception and "Mean Dice of classes vs truth" in metrics(at)


def test_a_run_without_the_class_in_the_address_shows_all_of_its_own(page, installation, run):  # noqa: F811
    merged = add_run(installation, add_class_dataset(installation, name="more"), "merged")
    lanes = ("background", "lane", "car")
    roads = add_class_run(installation, add_class_dataset(installation, name="roads", names=lanes), "roads")
    at = page(run=run.id, **{"class": "pan"})
    at.selectbox(key="gallery-run").set_value(merged.id).run()
    assert not at.exception and "Mean Dice vs truth" in metrics(at)
    assert "class" not in [box.key for box in at.selectbox]
    at.selectbox(key="gallery-run").set_value(roads.id).run()
    assert not at.exception and at.selectbox(key="class").value == "All classes"
    at = page(run=roads.id, **{"class": "pan"})
    assert at.selectbox(key="class").options == ["All classes", "lane", "car"]
    assert at.selectbox(key="class").value == "All classes"


def test_an_opened_image_shows_a_table_of_its_classes(page, run, table):  # noqa: F811
    at = page(run=run.id, image=table.image_ids[1])
    shown = metrics(at)
    assert any(title.startswith("Dice of classes vs truth") for title in shown)
    assert shown["Foreground Dice vs truth"] == "1.000"
    rows = at.dataframe[0].value
    assert rows["Class"].tolist() == ["egg", "pan"]
    assert rows["Dice vs truth"].tolist() == pytest.approx([dice(1, 1), dice(1, 2)])


def test_scores_are_called_those_of_foreground_where_truth_has_not_the_classes(page, installation, run):  # noqa: F811
    with installation.database.writing() as session:
        for row in session.query(Prediction):
            row.truth_confusion, row.label_dice, row.label_counts = None, row.truth_dice, row.truth_counts
    at = page(run=run.id, **{"class": "pan"})
    assert "Mean foreground Dice vs truth" in metrics(at)
    assert "Scores are of foreground, all classes together." in text_of(at)
    assert "Foreground Dice vs truth" in [slider.label for slider in at.slider]
    at = page(run=run.id, **{"reference": "Pseudo-label"})
    assert "Mean foreground agreement with the pseudo-label" in metrics(at)


def test_errors_without_any_reference_show_the_classes_of_masks(page, installation, run, monkeypatch):  # noqa: F811
    drawn = []
    monkeypatch.setattr("dashboard.ui.mask_grid.mask_grid", lambda tiles, **_: drawn.append(tiles))
    page(run=run.id)
    assert all(tile.classes and tile.reference_classes for tile in drawn[-1])
    with installation.database.writing() as session:
        for row in session.query(Prediction):
            row.truth_confusion = row.truth_dice = row.truth_iou = row.truth_counts = None
    at = page(run=run.id, view="Errors")
    assert at.session_state["view"] == "Errors"
    assert all(tile.classes and not tile.reference for tile in drawn[-1])
    assert "Scores are of foreground" not in text_of(at)


def test_names_of_classes_are_shown_literally(page, installation, monkeypatch):  # noqa: F811
    names = ("background", "*egg*", "<b>pan")
    run = add_class_run(installation, add_class_dataset(installation, name="odd", names=names), "odd")
    titles = []
    monkeypatch.setattr("dashboard.ui.charts.histogram", lambda *_, x_title, **__: titles.append(x_title))
    at = page(run=run.id, **{"class": "<b>pan", "threshold": "0.3"})
    title = r"Dice of \<b\>pan vs truth"
    assert f"Mean {title}" in metrics(at) and titles == ["Dice of &lt;b&gt;pan vs truth"]
    assert title in [slider.label for slider in at.slider]
    assert f"{title} is that at threshold 0.50." in text_of(at)
    with installation.database.reading() as session:
        image = datasets.images(session, run.dataset_id)[0]
    at = page(run=run.id, image=image.id, **{"class": "*egg*"})
    assert any(label.startswith(r"Dice of \*egg\* vs truth") for label in metrics(at))

"""The curves of a run: the mean, and each class in its colour."""

from __future__ import annotations

import json

import pytest

from dashboard.facts.run_metrics import MOST_CLASSES, MetricHistory, metric_names
from dashboard.ui import palette
from dashboard.views.runs.curves import CurveSettings, figures, latest_news
from dashboard.views.runs.facts import run_head
from db import runs
from tests.support.several_classes import add_eggs_and_pans, add_run_of_classes

PLAIN = CurveSettings()


def drawn(installation, run, chosen=PLAIN):
    history = MetricHistory()
    with installation.database.reading() as session:
        history.fetch(session, run.id, 0, 99)
        return figures(run_head(session, run.id), history, chosen, None, {})


@pytest.fixture
def run(installation):
    return add_run_of_classes(installation, add_eggs_and_pans(installation))


def test_each_class_has_its_colour_and_one_entry_in_the_legend(installation, run):
    found = drawn(installation, run)
    assert list(found) == ["loss", "dice", "iou", "rate", "dice_classes", "iou_classes"]
    assert found["dice"]["layout"]["title"]["text"] == "Soft Dice vs truth, mean of 2 classes"
    assert [trace["name"] for trace in found["dice"]["data"]] == ["train", "validation"]
    traces = found["dice_classes"]["data"]
    assert [trace["name"] for trace in traces] == ["egg", "egg · train", "pan", "pan · train"]
    assert [trace["line"]["color"] for trace in traces] == [palette.class_colour(n) for n in (1, 1, 2, 2)]
    assert [trace.get("showlegend", True) for trace in traces] == [True, False, True, False]
    assert traces[0]["legendgroup"] == traces[1]["legendgroup"] != traces[2]["legendgroup"]
    assert traces[2]["y"] == pytest.approx([3 / 6, 4 / 6, 5 / 6])
    assert found["dice_classes"]["layout"]["title"]["text"] == "Soft Dice vs truth of each class"
    smoothed = drawn(installation, run, CurveSettings(smoothing=0.5))["iou_classes"]["data"]
    assert len(smoothed) == 8 and sum(trace.get("showlegend", True) for trace in smoothed) == 2


def test_without_validation_images_the_training_curve_stands_for_the_class(installation, run):
    with installation.database.writing() as session:
        for row in runs.metrics(session, run.id):
            if row.name.startswith("val_"):
                session.delete(row)
    traces = drawn(installation, run)["dice_classes"]["data"]
    assert [(trace["name"], trace.get("showlegend", True)) for trace in traces] == [("egg", True), ("pan", True)]


def test_an_open_page_gets_the_curves_of_classes_with_each_epoch(dashboard, run):
    latest = latest_news(run.id, PLAIN)
    assert latest.figures["iou_classes"]["data"][0]["name"] == "egg"
    score = next(number for number in latest.numbers if "Dice" in number.label)
    assert score.note == "mean of 2 classes"
    with dashboard.database.writing() as session:
        runs.save_metrics(session, run.id, 4, {"val_dice": 0.5, "val_dice_1": 0.25, "val_dice_2": 0.75})
    assert latest_news(run.id, PLAIN).figures["dice_classes"]["data"][0]["y"][-1] == 0.25


def test_many_classes_have_the_first_curves_and_valid_json(installation):
    names = ["background", *(f"class {number}" for number in range(1, 255))]
    run = add_run_of_classes(installation, add_eggs_and_pans(installation, 2, names=names), epochs=1)
    figure = drawn(installation, run)["dice_classes"]
    assert json.loads(json.dumps(figure, allow_nan=False)) == figure
    assert len(figure["data"]) == 2 * MOST_CLASSES
    assert figure["layout"]["title"]["text"] == "Soft Dice vs truth of the first 20 classes"
    first, later = figure["data"][0]["line"], figure["data"][2 * len(palette.CLASSES)]["line"]
    assert first["color"] == later["color"] and first["dash"] != later["dash"]


def test_the_table_of_epochs_has_a_column_of_each_class():
    names = metric_names("truth", ("background", "egg", "pan"))
    assert names["val_iou_2"] == "IoU vs truth of pan, validation"
    assert names["dice_1"] == "Soft Dice vs truth of egg, training"
    assert not any("_1" in name for name in metric_names("truth"))

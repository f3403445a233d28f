"""Smoothing, and charts drawn in a page."""

from __future__ import annotations

import json

import numpy as np
from streamlit.testing.v1 import AppTest

from dashboard.ui.charts import Curve, curves_figure, smooth


def test_smoothing_starts_at_the_first_value_and_preserves_a_constant():
    assert np.allclose(smooth([3.0, 3.0, 3.0], 0.9), 3.0)
    assert smooth([2.0, 0.0], 0.9)[0] == 2.0
    assert np.array_equal(smooth([1.0, 5.0], 0.0), [1.0, 5.0])


def test_nan_stays_and_is_ignored():
    smoothed = smooth([1.0, float("nan"), 1.0], 0.5)
    assert np.isnan(smoothed[1]) and smoothed[2] == 1.0


def page():
    from dashboard.ui import charts

    curves = [charts.Curve("Loss", [1, 2], [1.0, 0.01], group) for group in ("train", "validation")]
    charts.show(charts.curves_figure(curves, log=True, smoothing=0.5, best_epoch=2), key="a")
    charts.show(charts.curves_figure([]), key="b")
    rate = charts.curves_figure([charts.Curve("Learning rate", [1], [1e-3])], log=True)
    charts.show(rate, key="c")
    charts.histogram([0.1, 0.9, float("nan")], key="d", x_title="Dice", threshold=0.5)
    charts.histogram([], key="e", x_title="Dice")


def test_charts_draw_any_number_of_values():
    app = AppTest.from_function(page, default_timeout=30).run()
    assert not app.exception and len(app.get("plotly_chart")) == 5


def test_curves_are_plain_json_values():
    curves = [Curve("loss", [1, 2, 3], [1.0, float("nan"), 0.1], group) for group in ("train", "validation")]
    figure = curves_figure(curves, log=True, smoothing=0.5, best_epoch=2, starts={3: "round 2"})
    assert json.loads(json.dumps(figure, allow_nan=False)) == figure
    faint, smoothed, *_ = figure["data"]
    assert faint["y"] == [1.0, None, 0.1] and smoothed["y"][1] is None and smoothed["x"] == [1, 2, 3]
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [2, 2.5]
    assert [words["text"] for words in figure["layout"]["annotations"]] == ["best", "round 2"]
    assert figure["layout"]["yaxis"]["type"] == "log" and figure["layout"]["xaxis"]["dtick"] == 1

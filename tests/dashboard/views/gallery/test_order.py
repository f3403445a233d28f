"""Filters and orders of the gallery on tables with known answers."""

import numpy as np
import pytest

from dashboard.views.gallery import order as gallery_order
from dashboard.views.gallery.order import EVERYTHING, SORTS, Choice
from tests.dashboard.views.gallery.test_suspicion import NONE, table

TRUTH = [0.9, 0.5, NONE, 0.7, 0.1, 0.8]
TEACHER = [0.6, 0.7, 0.9, 0.7, NONE, 0.3]
LABEL = [0.95, 0.4, 0.6, 0.8, 0.2, 0.7]
UNSURE = [0.1, 0.5, 0.4, NONE, 0.9, 0.2]
AREA = [0.2, 0.3, 0.25, 0.2, 0.9, 0.1]


@pytest.fixture
def full():
    return table(truth=TRUTH, teacher=TEACHER, label=LABEL, uncertainty=UNSURE, area=AREA, mirror=LABEL)


def rows(scores, **choice):
    return gallery_order.arrange(scores, Choice(**{"reference": "truth", **choice})).rows.tolist()


def test_a_span_includes_both_ends_and_excludes_images_without_the_measure(full):
    assert rows(full, sort="Name", spans={"uncertainty": (0.1, 0.5)}) == [0, 1, 2, 5]
    assert rows(full, sort="Name", spans={"uncertainty": EVERYTHING}) == [0, 1, 2, 3, 4, 5]
    assert rows(full, sort="Name", spans={"area": (0.2, 0.3), "agreement": (0.5, 1.0)}) == [0, 2, 3]
    assert rows(full, sort="Name", spans={"score": (0.0, 0.79)}) == [1, 3, 4]
    assert rows(full, sort="Name", reference="label", spans={"score": (0.0, 0.5)}) == [1, 4]


def test_counts_are_over_the_images_that_match_the_filters(full):
    arranged = gallery_order.arrange(full, Choice("truth", success_from=0.75, spans={"area": (0.15, 0.5)}))
    assert (arranged.successes, arranged.failures, arranged.unscored) == (1, 2, 1)
    assert arranged.nearer == {"network": 1, "label": 1, "same": 1}


def test_network_and_label_are_compared_by_truth(full):
    assert rows(full, sort="Network beats label first")[:4] == [5, 0, 3, 1]
    assert rows(full, sort="Label beats network first")[:4] == [1, 3, 0, 5]
    assert rows(full, sort="Name", nearer="Network") == [0, 5]
    assert rows(full, sort="Name", nearer="Label") == [1]
    assert full.lead(0.5)[5] == pytest.approx(0.5)


def test_images_without_the_signal_come_last(full):
    assert rows(full, sort="Least sure first") == [4, 1, 2, 5, 0, 3]
    assert rows(full, sort="Least like its label first") == [4, 1, 2, 5, 3, 0]
    assert rows(full, sort="Least stable first") == rows(full, sort="Least like its label first")
    assert rows(full, sort="Unusual area first")[0] == 4
    assert rows(full, sort="Suspicious first")[0] == 4
    for sort in SORTS:
        assert sorted(rows(full, sort=sort)) == [0, 1, 2, 3, 4, 5]


def test_only_orders_and_measures_with_data_are_offered(full):
    assert set(gallery_order.sorts(full)) == set(SORTS)
    bare = gallery_order.sorts(table(truth=TRUTH))
    assert not {"Least sure first", "Least stable first", "Least like its label first"} & set(bare)
    assert not set(gallery_order.RIVALRY) & set(bare)
    assert gallery_order.measures(full, "truth") == ["score", "area", "agreement", "uncertainty", "mirror"]
    assert gallery_order.measures(full, "label") == ["score", "area", "uncertainty", "mirror"]
    assert gallery_order.measures(table(), "truth") == ["area"]


def test_the_worst_come_first_where_there_is_truth_and_the_suspicious_where_there_is_none(full):
    assert gallery_order.sorts(full)[0] == "Worst first"
    assert gallery_order.sorts(table(label=LABEL))[0] == "Suspicious first"


def test_filters_are_described_with_their_reference(full):
    spans = {"score": (0.2, 1.0), "area": (0.0, 0.105), "uncertainty": EVERYTHING}
    choice = Choice("truth", show="Failures", split="Dropped", search=" Ä ", spans=spans, nearer="Label")
    assert gallery_order.filters_in_words(choice) == [
        "failures",
        "dropped images",
        "label nearer to truth",
        "Dice vs truth 0.20 to 1.00",
        "area of the mask 0.0% to 10.5%",
        "name contains “Ä”",
    ]
    assert gallery_order.filters_in_words(Choice("label", spans={"score": (0.5, 1.0)})) == [
        "agreement with the pseudo-label 0.50 to 1.00"
    ]
    assert gallery_order.filters_in_words(Choice("truth", threshold=0.3, sort="Name")) == []


def test_an_empty_table_has_nothing_to_show():
    arranged = gallery_order.arrange(table(count=0), Choice("truth"))
    assert (len(arranged.rows), arranged.pages, arranged.mean_score) == (0, 1, None)
    assert isinstance(arranged.suspicion, np.ndarray)

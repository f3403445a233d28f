"""Clusters as the page shows them, and ticks as a parameter."""

from __future__ import annotations

import pytest

from dashboard.facts.recipes import recipe_from_values
from dashboard.views.labels import cluster_facts as clusters
from engine.labelling.methods.dataset_clusters import ticked_clusters

STATE = {
    "clusters": [
        {"share": 0.6, "proposed": False, "lab": [100.0, 0.0, 0.0], "examples": [[0, 0.25, 0.5], [7, 0.1, 0.1]]},
        {"share": 0.3, "proposed": True, "lab": [0.0, 0.0, 0.0], "examples": [[1, 0.5, 0.5]]},
        {"share": 0.1, "proposed": True, "lab": [53.24, 80.09, 67.2], "examples": []},
    ]
}


def rows(ticked: str = "") -> tuple[clusters.Cluster, ...]:
    return clusters.cluster_rows(STATE, ticked, "d", ["first", "second"])


def test_clusters_have_share_proposal_colour_and_patches_of_existing_images():
    white, black, red = rows()
    assert (white.number, white.share, white.proposed, white.ticked) == (0, 0.6, False, 0)
    assert (white.words, white.title) == ("60 %", "Cluster 0: 60 % of the area")
    assert black.title.endswith("proposed as foreground")
    assert (white.colour, black.colour) == ("#ffffff", "#000000")
    assert red.colour.startswith("#f") or red.colour.startswith("#e")
    assert len(white.patches) == 1
    assert "first" in white.patches[0]
    assert "second" in black.patches[0]
    assert red.patches == ()


def test_without_own_ticks_the_proposal_is_ticked():
    assert [row.ticked for row in rows()] == [0, 1, 1]
    assert clusters.ticked_share(rows()) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("ticks", "text"),
    [
        ({1: 1, 2: 1}, ""),
        ({2: 1, 0: 1}, "0 2"),
        ({0: 1, 1: 1, 2: 1}, "0 1 2"),
        ({}, "none"),
        ({1: 1}, "1"),
        ({1: 1, 2: 2}, "1 2=2"),
    ],
)
def test_the_method_reads_the_parameter_as_the_same_ticks(ticks, text):
    assert clusters.ticks_or_proposal(ticks, STATE) == text
    assert clusters.ticked_clusters(text, STATE) == ticks
    assert ticked_clusters(text, STATE).tolist() == [ticks.get(number, 0) for number in range(3)]
    recipe_from_values("dataset_clusters", {"ticked": text})


def test_the_clustering_key_changes_with_the_clusters():
    def key(dataset: str = "d", **values: object) -> str:
        return clusters.clustering_key(recipe_from_values("dataset_clusters", values), dataset)

    assert key() == key(ticked="1 2") == key(filter_radius_px=0)
    assert key() != key(clusters=5)
    assert key() != key(longest_side_px=200)
    assert key() != key("another")


def test_only_methods_with_that_parameter_take_ticks():
    assert clusters.takes_ticks("dataset_clusters")
    assert clusters.takes_ticks("kmeans")
    assert not clusters.takes_ticks("threshold")


def test_regions_are_listed_from_dark_to_light():
    rows = clusters.region_rows(4, "0 3=2")
    assert [row.ticked for row in rows] == [1, 0, 0, 2]
    assert [row.words for row in rows] == ["darkest", "region 1", "region 2", "lightest"]
    assert [row.colour for row in rows] == sorted(row.colour for row in rows)
    assert clusters.ticked_share(rows) is None


def test_classes_to_tick_are_those_of_the_dataset_or_numbered():
    known = [{"index": index, "name": name} for index, name in enumerate(("background", "egg", "pan"))]
    choice = clusters.class_choice(known, 1)
    assert (choice.names[:3], choice.shown) == (("egg", "pan", "class 3"), 2)
    assert clusters.class_choice(known, 3).shown == 3
    for one in ([], known[:2]):
        choice = clusters.class_choice(one, 1)
        assert (choice.names[:2], choice.shown) == (("class 1", "class 2"), 1)
    assert len(set(choice.colours)) == len(choice.names)

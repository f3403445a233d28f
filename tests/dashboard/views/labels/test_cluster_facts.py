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
    assert (white.number, white.share, white.proposed, white.ticked) == (0, 0.6, False, False)
    assert (white.colour, black.colour) == ("#ffffff", "#000000")
    assert red.colour.startswith("#f") or red.colour.startswith("#e")
    assert len(white.patches) == 1
    assert "first" in white.patches[0]
    assert "second" in black.patches[0]
    assert red.patches == ()


def test_without_own_ticks_the_proposal_is_ticked():
    assert [row.ticked for row in rows()] == [False, True, True]
    assert clusters.ticked_share(rows()) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("numbers", "text"), [({1, 2}, ""), ({2, 0}, "0 2"), ({0, 1, 2}, "0 1 2"), (set(), "none"), ({1}, "1")]
)
def test_the_method_reads_the_parameter_as_the_same_ticks(numbers, text):
    assert clusters.ticks_text(numbers, STATE) == text
    assert clusters.ticked_numbers(text, STATE) == numbers
    assert set(ticked_clusters(text, STATE).nonzero()[0]) == numbers
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
    assert not clusters.takes_ticks("kmeans")

"""Clusters that mean the same in every image: fitted to drawn dishes with bright peas on a textured cloth."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from engine.core.parameters import ParameterError, markdown_table, parse
from engine.labelling.base import draw, draw_mask, find_method, fit_state, look_at
from engine.labelling.cues.activations import BackboneError
from engine.labelling.cues.dataset_mixture import Mixture, find_mixture
from engine.labelling.cues.dataset_pieces import GROUPS, LEAST_PIECES, MOST_PIECES, WIDTH, find_pieces
from engine.labelling.cues.dataset_proposal import above_otsu, propose
from engine.labelling.methods.dataset_clusters import METHOD, DatasetClustersParams, memberships, ticked_clusters
from engine.labelling.recipe_key import recipe_key
from engine.labelling.strokes.backbones import weights_of
from tests.support.backbones import small_network

PARAMS = DatasetClustersParams(clusters=8)


def scene(index: int, size: tuple[int, int] = (150, 200)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a grey cloth with green peas and red beads at random places, and the masks of peas and of beads."""
    rng = np.random.default_rng(index)
    image = rng.normal(0, 3, (*size, 3)) + (120, 118, 115) + np.linspace(-12, 12, size[1])[None, :, None]
    masks = np.zeros((2, *size), np.uint8)
    free = [(row, column) for row in range(25, size[0] - 20, 34) for column in range(25, size[1] - 20, 34)]
    rng.shuffle(free)
    for number, (row, column) in enumerate(free[:10]):
        cv2.circle(masks[number % 2], (int(column), int(row)), 10, 1, -1)
    for mask, colour in zip(masks, ((60, 170, 50), (190, 40, 40)), strict=True):
        image[mask > 0] += np.array(colour) - 118
    return np.clip(image, 0, 255).astype(np.uint8), masks[0] > 0, masks[1] > 0


@pytest.fixture(scope="module")
def looks() -> list[Any]:
    return [look_at(METHOD, scene(index)[0], PARAMS, seed=0) for index in range(6)]


@pytest.fixture(scope="module")
def state(looks: list[Any]) -> dict[str, Any]:
    return fit_state(METHOD, looks, PARAMS, seed=0)


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))


def masks_of(state: dict[str, Any], image: np.ndarray, ticked: str) -> np.ndarray:
    return draw(METHOD, image, PARAMS.model_copy(update={"ticked": ticked}), 0, state) >= 0.5


def owners(state: dict[str, Any], image: np.ndarray) -> np.ndarray:
    """Return int (H, W): the cluster of each pixel."""
    pieces = find_pieces(image, PARAMS.merging)
    return Mixture.from_json(state["mixture"]).log_densities(pieces.features).argmax(1)[pieces.labels]


def numbers_on(state: dict[str, Any], image: np.ndarray, mask: np.ndarray) -> str:
    """Return the clusters that lie mostly on `mask`, as a person would tick them."""
    owner = owners(state, image)
    inside = np.bincount(owner[mask], minlength=len(state["clusters"]))
    return " ".join(map(str, np.flatnonzero(inside > np.bincount(owner.ravel(), minlength=len(inside)) / 2)))


def test_a_tick_means_the_same_in_an_image_that_was_not_looked_at(state: dict[str, Any]) -> None:
    seen, seen_peas, seen_beads = scene(0)
    image, peas, beads = scene(40)
    assert dice(masks_of(state, image, numbers_on(state, seen, seen_peas)), peas) > 0.8
    assert dice(masks_of(state, image, numbers_on(state, seen, seen_beads)), beads) > 0.8
    assert dice(masks_of(state, image, numbers_on(state, seen, seen_peas | seen_beads)), peas | beads) > 0.85


def test_clusters_ticked_as_two_classes_tell_them_apart_and_keep_the_foreground(state: dict[str, Any]) -> None:
    seen, seen_peas, seen_beads = scene(0)
    peas_text, beads_text = (numbers_on(state, seen, mask) for mask in (seen_peas, seen_beads))
    image, peas, beads = scene(40)
    params = parse(DatasetClustersParams, {"clusters": 8, "ticked": f"{peas_text} {beads_text.replace(' ', '=2 ')}=2"})
    assert params.classes == 2
    drawn = draw_mask(METHOD, image, params, 0, state)
    probability, likely = drawn.probability, drawn.classes
    assert likely is not None
    found = np.where(probability >= 0.5, likely, 0)
    assert dice(found == 1, peas) > 0.8
    assert dice(found == 2, beads) > 0.8
    merged = draw(METHOD, image, PARAMS.model_copy(update={"ticked": f"{peas_text} {beads_text}"}), 0, state)
    np.testing.assert_allclose(probability, merged, atol=0.01)


def test_ticks_of_class_1_are_the_same_recipe_as_ticks_without_a_class(state: dict[str, Any]) -> None:
    old = DatasetClustersParams(clusters=8, ticked="1 0")
    new = parse(DatasetClustersParams, {"clusters": 8, "ticked": "1=1 0=1"})
    assert old == new
    assert recipe_key("dataset_clusters", old, 0, state) == recipe_key("dataset_clusters", new, 0, state)
    assert draw_mask(METHOD, scene(0)[0], old, 0, state).classes is None
    other = parse(DatasetClustersParams, {"clusters": 8, "ticked": "1 0=2"})
    assert recipe_key("dataset_clusters", other, 0, state) != recipe_key("dataset_clusters", old, 0, state)


@pytest.mark.parametrize(
    ("ticked", "message"),
    [
        ("5=2 5=3", "it gives 5 two classes, 2 and 3"),
        ("5=255", "it names class 255, but there are at most 254 classes"),
        ("5=0", "it lists numbers, such as `2 5`"),
        ("eggs", "it lists numbers, such as `2 5`"),
    ],
)
def test_ticks_that_say_nothing_sensible_are_refused(ticked: str, message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)):
        parse(DatasetClustersParams, {"ticked": ticked})


def test_what_lies_on_the_cloth_is_proposed_without_truth(state: dict[str, Any]) -> None:
    image, peas, beads = scene(41)
    assert dice(masks_of(state, image, ""), peas | beads) > 0.8


@pytest.fixture
def network(tmp_path: Path) -> Path:
    kernel = np.random.default_rng(0).normal(size=(12, 3, 4, 4)).astype(np.float32)
    return small_network(tmp_path / "small.onnx", kernel)


def test_deep_features_alone_tell_peas_from_beads_and_masks_name_the_weights(network: Path) -> None:
    none = {f"{name}_weight": 0 for name in GROUPS}
    params = DatasetClustersParams(clusters=8, deep_weight=1, backbone=str(network), **none)
    state = fit_state(METHOD, [look_at(METHOD, scene(index)[0], params, 0) for index in range(6)], params, 0)
    image, peas, _ = scene(0)
    pieces, membership = memberships(image, params, state)
    owner = membership.argmax(1)[pieces.labels]
    inside = np.bincount(owner[peas], minlength=len(state["clusters"]))
    ticks = np.flatnonzero(inside > np.bincount(owner.ravel(), minlength=len(inside)) / 2)
    ticked = params.model_copy(update={"ticked": " ".join(map(str, ticks))})
    image, peas, _ = scene(40)
    assert dice(draw(METHOD, image, ticked, 0, state) >= 0.5, peas) > 0.7
    assert weights_of(params.model_dump(), state) == "small.onnx"
    assert METHOD.look_depends_on(params) == state["backbone"]
    small_network(network, np.zeros((12, 3, 4, 4), np.float32))
    with pytest.raises(BackboneError, match="has changed"):
        draw(METHOD, image, ticked, 0, state)


def test_deep_features_need_weights_and_without_them_nothing_is_named(state: dict[str, Any]) -> None:
    assert weights_of(PARAMS.model_dump(), state) == METHOD.look_depends_on(PARAMS) == ""
    with pytest.raises(BackboneError, match="need pretrained weights"):
        look_at(METHOD, scene(0)[0], DatasetClustersParams(deep_weight=1, backbone="none"), 0)


def test_clusters_are_listed_largest_first_with_share_colour_and_examples(state: dict[str, Any]) -> None:
    clusters = state["clusters"]
    shares = [cluster["share"] for cluster in clusters]
    assert 2 <= len(clusters) <= 8
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert state["images"] == 6
    for cluster in clusters:
        assert 0 <= cluster["lab"][0] <= 100
        assert 0 <= cluster["vote"] <= 1
        assert 1 <= len(cluster["examples"]) <= 6
        for look_index, row, column in cluster["examples"]:
            assert look_index in range(6)
            assert 0 <= row <= 1
            assert 0 <= column <= 1
    assert len(json.dumps(state)) < 200_000


def test_examples_show_their_cluster_and_come_from_several_images(state: dict[str, Any]) -> None:
    shown = [owners(state, scene(index)[0]) for index in range(6)]
    height, width = shown[0].shape
    hits = [
        shown[look][round(row * (height - 1)), round(column * (width - 1))] == number
        for number, cluster in enumerate(state["clusters"])
        for look, row, column in cluster["examples"]
    ]
    assert np.mean(hits) > 0.9
    assert len({look for look, _, _ in state["clusters"][0]["examples"]}) == 6


def test_the_state_stays_below_200_kilobytes_with_the_most_clusters(looks: list[Any]) -> None:
    state = fit_state(METHOD, looks, DatasetClustersParams(clusters=128), seed=0)
    assert 128 / len(state["clusters"]) * len(json.dumps(state)) < 200_000


@pytest.mark.parametrize("model", ["gaussian_mixture", "kmeans"])
def test_the_same_looks_give_the_same_state_on_any_thread(looks: list[Any], model: str) -> None:
    params = DatasetClustersParams(clusters=5, model=model)
    states = [fit_state(METHOD, looks, params, seed=3)]
    cv2.setRNGSeed(77)
    thread = threading.Thread(target=lambda: states.append(fit_state(METHOD, looks, params, seed=3)))
    thread.start()
    thread.join()
    assert states[0] == states[1]
    assert states[0] != fit_state(METHOD, looks, params, seed=4)


def test_fewer_pieces_than_clusters_give_fewer_clusters() -> None:
    tiny = look_at(METHOD, scene(0)[0][:2, :2], PARAMS, seed=0)
    state = fit_state(METHOD, [tiny], DatasetClustersParams(clusters=64), seed=0)
    assert 1 <= len(state["clusters"]) <= 4


@pytest.mark.parametrize(
    "image",
    [np.zeros((1, 1, 3), np.uint8), np.full((40, 30, 3), 200, np.uint8)],
    ids=["1 x 1", "flat"],
)
def test_a_dataset_without_any_difference_has_no_foreground(image: np.ndarray) -> None:
    state = fit_state(METHOD, [look_at(METHOD, image, PARAMS, seed=0)], PARAMS, seed=0)
    assert not any(cluster["proposed"] for cluster in state["clusters"])
    assert not draw(METHOD, image, PARAMS.model_copy(update={"ticked": "0"}), 0, state).any()


def test_ticks_are_numbers_none_or_the_proposal(state: dict[str, Any]) -> None:
    count = len(state["clusters"])
    assert ticked_clusters("", state).tolist() == [cluster["proposed"] for cluster in state["clusters"]]
    assert not ticked_clusters("none", state).any()
    assert np.flatnonzero(ticked_clusters(" 1  0 ", state)).tolist() == [0, 1]
    with pytest.raises(ParameterError, match=rf"'ticked' names cluster {count}\. There are 0 to {count - 1}\."):
        ticked_clusters(str(count), state)
    with pytest.raises(ParameterError, match=r"'ticked' parameter is wrong.*Got '1,2'"):
        parse(DatasetClustersParams, {"ticked": "1,2"})
    with pytest.raises(ValidationError):
        DatasetClustersParams(ticked="all")


def test_no_tick_is_an_empty_mask_and_every_tick_a_full_one(state: dict[str, Any]) -> None:
    image = scene(1)[0]
    every = " ".join(map(str, range(len(state["clusters"]))))
    assert not masks_of(state, image, "none").any()
    assert masks_of(state, image, every).all()


def test_a_group_without_weight_has_no_say(looks: list[Any]) -> None:
    blind = DatasetClustersParams(clusters=6, colour_weight=0, contrast_weight=0)
    changed = []
    for each in looks:
        features = each.features.copy()
        features[:, GROUPS["contrast"]] *= -1
        changed.append(replace(each, features=features))
    one, other = (fit_state(METHOD, seen, blind, seed=0)["mixture"] for seen in (looks, changed))
    assert one["shares"] == other["shares"]


def test_all_weights_at_zero_count_everything_the_same(looks: list[Any]) -> None:
    weights = {f"{name}_weight": 0 for name in GROUPS}
    state = fit_state(METHOD, looks, DatasetClustersParams(clusters=4, **weights), seed=0)
    assert set(state["mixture"]["weights"]) == {1.0}


def test_pieces_cover_the_image_and_follow_its_objects() -> None:
    image, peas, beads = scene(3)
    pieces = find_pieces(image, PARAMS.merging)
    count = len(pieces.areas)
    assert LEAST_PIECES <= count <= MOST_PIECES
    assert np.array_equal(np.unique(pieces.labels), np.arange(count))
    assert pieces.features.shape == (count, WIDTH)
    assert np.isfinite(pieces.features).all()
    assert pieces.areas.sum() == pytest.approx(1, abs=1e-5)
    assert pieces.border.sum() == pytest.approx(1, abs=1e-5)
    for mask in (peas, beads):
        inside = np.bincount(pieces.labels[mask], minlength=count) / np.bincount(pieces.labels.ravel())
        assert dice((inside > 0.5)[pieces.labels], mask) > 0.9
    assert len(find_pieces(image, 0.3).areas) > count


def test_a_barrier_stands_around_what_is_enclosed() -> None:
    image = np.full((90, 90, 3), 90, np.uint8)
    cv2.circle(image, (45, 45), 25, (220, 220, 220), 4)
    pieces = find_pieces(image, 0.5)
    barrier = pieces.features[:, GROUPS["enclosure"]][:, 1]
    assert barrier[pieces.labels[45, 45]] > 1
    assert barrier[pieces.labels[2, 2]] < 0.1


def test_a_disc_is_more_like_an_ellipse_than_a_ring() -> None:
    image = np.full((100, 200, 3), 60, np.uint8)
    cv2.circle(image, (50, 50), 28, (230, 60, 60), -1)
    cv2.circle(image, (150, 50), 30, (60, 230, 60), 6)
    pieces = find_pieces(image, 2)
    likeness, compactness = pieces.features[:, GROUPS["shape"]][:, 1:].T
    disc, ring = pieces.labels[50, 50], pieces.labels[50, 121]
    assert abs(likeness[disc]) < 0.1
    assert likeness[ring] < -0.5
    assert compactness[disc] > compactness[ring]


def test_a_mixture_finds_the_groups_it_was_drawn_from() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal((0, 0), (0.2, 3), (400, 2)), rng.normal((2, 0), (0.2, 0.2), (100, 2))])
    mixture = find_mixture(points, np.ones(2), 2, "gaussian_mixture", rng)
    owner = mixture.membership(points).argmax(1)
    assert max(np.mean(owner[:400] == owner[0]), np.mean(owner[:400] != owner[0])) > 0.97
    assert np.mean(owner[400:] != np.bincount(owner[:400]).argmax()) > 0.97
    again = Mixture.from_json(json.loads(json.dumps(mixture.as_json())))
    np.testing.assert_allclose(again.membership(points), mixture.membership(points), atol=1e-2)


def test_not_every_cluster_is_proposed(looks: list[Any]) -> None:
    pieces = sum(len(each.areas) for each in looks)
    assert not propose(looks, np.arange(pieces) % 3, 3)[0].all()
    assert not propose(looks, np.zeros(pieces, int), 1)[0].any()


def test_the_cut_counts_areas() -> None:
    values = np.array([0.0, 0.1, 1.0, 1.1])
    assert above_otsu(values, np.array([1.0, 1, 1, 1])).tolist() == [False, False, True, True]


def test_the_parameter_table_shows_the_ticks() -> None:
    assert "| `ticked` | empty | up to 1000 characters |" in markdown_table(find_method("dataset_clusters").params)

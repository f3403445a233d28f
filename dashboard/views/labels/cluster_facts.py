"""The clusters of a whole dataset, or the regions of each image, as the page shows them; the ticks as a parameter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from dashboard.facts import urls
from dashboard.facts.recipes import TICKED, Recipe
from engine.imaging.class_colours import CLASSES, class_colours
from engine.labelling.base import find_method, values_for
from engine.labelling.ticks import numbered_classes, read_ticks, ticks_text


@dataclass(frozen=True)
class Cluster:
    """One kind of surface: its share of the sampled area, its mean colour, and URLs of typical patches.

    `ticked` is the class that it is ticked as, 0 if it is not. A region of k-means has no share and no patches.
    """

    number: int
    title: str
    words: str
    share: float | None
    proposed: bool
    ticked: int
    colour: str
    patches: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassChoice:
    """The classes that can be ticked, by number from 1, with their colours; the first `shown` are shown at first."""

    names: tuple[str, ...]
    colours: tuple[str, ...]
    shown: int


def takes_ticks(method: str) -> bool:
    """Return whether the user ticks the clusters of a method."""
    return TICKED in find_method(method).params.model_fields


def class_choice(known: Sequence[dict[str, Any]], ticked: int) -> ClassChoice:
    """Return the classes of a dataset, `known`, or numbered ones, for a recipe whose ticks have `ticked` classes."""
    there = len(numbered_classes(known, ticked)) - 1
    classes = numbered_classes(known, max(there, len(CLASSES)))[1:]
    return ClassChoice(tuple(entry["name"] for entry in classes), tuple(class_colours(classes)), there)


def cluster_rows(state: dict[str, Any], ticked: str, dataset_id: str, sample: Sequence[str]) -> tuple[Cluster, ...]:
    """Return the clusters of a fitted state in their order.

    Args:
        ticked: the recipe's parameter.
        sample: the ids of the images that the state was fitted to, in the order of the fit.
    """
    chosen = ticked_clusters(ticked, state)
    return tuple(
        _cluster(
            number,
            cluster,
            chosen.get(number, 0),
            tuple(
                urls.patch(dataset_id, sample[int(image)], row, column)
                for image, row, column in cluster["examples"]
                if int(image) < len(sample)
            ),
        )
        for number, cluster in enumerate(state["clusters"])
    )


def _cluster(number: int, cluster: dict[str, Any], ticked: int, patches: tuple[str, ...]) -> Cluster:
    share, proposed = cluster["share"], cluster["proposed"]
    words = "< 1 %" if share < 0.005 else f"{share * 100:.0f} %"
    title = f"Cluster {number}: {words} of the area{', proposed as foreground' if proposed else ''}"
    return Cluster(number, title, words, share, proposed, ticked, _colour(cluster["lab"]), patches)


def region_rows(count: int, ticked: str) -> tuple[Cluster, ...]:
    """Return the regions into which each image is divided, numbered from the darkest to the lightest."""
    chosen = read_ticks(ticked)
    words = ["darkest", *(f"region {number}" for number in range(1, count - 1)), "lightest"]
    lightness = np.linspace(15, 95, count)
    return tuple(
        Cluster(number, f"Region {number} of {count} from dark to light", words[number], None, False,
                chosen.get(number, 0), _colour([lightness[number], 0, 0]))
        for number in range(count)
    )  # fmt: skip


def ticked_clusters(ticked: str, state: dict[str, Any]) -> dict[int, int]:
    """Return {ticked cluster: class}, without numbers that the state does not have."""
    count = len(state["clusters"])
    if not ticked.strip():
        return _proposal(state)
    return {number: index for number, index in read_ticks(ticked).items() if number < count}


def ticks_or_proposal(ticks: Mapping[int, int], state: dict[str, Any] | None) -> str:
    """Return these ticks as a parameter: empty for the proposal, "none" for no cluster at all."""
    return "" if state is not None and ticks == _proposal(state) else ticks_text(ticks)


def clustering_key(recipe: Recipe, dataset_id: str) -> str:
    """Return a key of all that the numbers of the clusters depend on: ticks are valid as long as it stays the same."""
    return json.dumps([dataset_id, recipe.method, values_for(recipe.params, "fit")])


def ticked_share(rows: Sequence[Cluster]) -> float | None:
    """Return the share of the sampled area that the ticked clusters cover; None if it is not known."""
    shares = [row.share for row in rows if row.ticked]
    return None if not rows or rows[0].share is None else sum(share for share in shares if share is not None)


def _proposal(state: dict[str, Any]) -> dict[int, int]:
    return {number: 1 for number, cluster in enumerate(state["clusters"]) if cluster["proposed"]}


def _colour(lab: Sequence[float]) -> str:
    pixel = cv2.cvtColor(np.array([[lab]], np.float32), cv2.COLOR_Lab2RGB)[0, 0]
    return "#" + "".join(f"{round(float(value) * 255):02x}" for value in np.clip(pixel, 0, 1))

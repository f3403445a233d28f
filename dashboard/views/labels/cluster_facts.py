"""The clusters of a whole dataset as the page shows them, and the ticks as a parameter."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from dashboard.facts import urls
from dashboard.facts.recipes import TICKED, Recipe
from engine.labelling.base import find_method, values_for


@dataclass(frozen=True)
class Cluster:
    """One kind of surface: its share of the sampled area, its mean colour, and URLs of typical patches."""

    number: int
    share: float
    proposed: bool
    ticked: bool
    colour: str
    patches: tuple[str, ...]


def takes_ticks(method: str) -> bool:
    """Return whether the user ticks the clusters of a method."""
    return TICKED in find_method(method).params.model_fields


def cluster_rows(state: dict[str, Any], ticked: str, dataset_id: str, sample: Sequence[str]) -> tuple[Cluster, ...]:
    """Return the clusters of a fitted state in their order.

    Args:
        ticked: the recipe's parameter.
        sample: the ids of the images that the state was fitted to, in the order of the fit.
    """
    chosen = ticked_numbers(ticked, state)
    return tuple(
        Cluster(
            number=number,
            share=cluster["share"],
            proposed=cluster["proposed"],
            ticked=number in chosen,
            colour=_colour(cluster["lab"]),
            patches=tuple(
                urls.patch(dataset_id, sample[int(image)], row, column)
                for image, row, column in cluster["examples"]
                if int(image) < len(sample)
            ),
        )
        for number, cluster in enumerate(state["clusters"])
    )


def ticked_numbers(ticked: str, state: dict[str, Any]) -> set[int]:
    """Return the ticked clusters, without numbers that the state does not have."""
    count = len(state["clusters"])
    if not ticked.strip():
        return _proposal(state)
    return {int(number) for number in ticked.split() if number.isdecimal() and int(number) < count}


def ticks_text(numbers: Collection[int], state: dict[str, Any]) -> str:
    """Return these ticks as a parameter: empty for the proposal, "none" for no cluster at all."""
    if set(numbers) == _proposal(state):
        return ""
    return " ".join(str(number) for number in sorted(set(numbers))) or "none"


def clustering_key(recipe: Recipe, dataset_id: str) -> str:
    """Return a key of all that the numbers of the clusters depend on: ticks are valid as long as it stays the same."""
    return json.dumps([dataset_id, recipe.method, values_for(recipe.params, "fit")])


def ticked_share(rows: Sequence[Cluster]) -> float:
    """Return the share of the sampled area that the ticked clusters cover."""
    return sum(row.share for row in rows if row.ticked)


def _proposal(state: dict[str, Any]) -> set[int]:
    return {number for number, cluster in enumerate(state["clusters"]) if cluster["proposed"]}


def _colour(lab: Sequence[float]) -> str:
    pixel = cv2.cvtColor(np.array([[lab]], np.float32), cv2.COLOR_Lab2RGB)[0, 0]
    return "#" + "".join(f"{round(float(value) * 255):02x}" for value in np.clip(pixel, 0, 1))

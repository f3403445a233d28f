"""Choose the recipe for a dataset by looking at some of its images: draw every candidate small, keep the best.

No truth is read, and neither the name nor the size of the dataset counts. What is compared is the label-free quality
of the masks (quality.py), averaged over the images that were looked at.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.parameters import parse
from engine.pseudo_labels.base import LabelParams, Method, draw, find_method, shrink
from engine.pseudo_labels.quality import Quality, assess

CANDIDATES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("saliency", {}),
    ("threshold", {}),
    ("normalised_cut", {}),
    ("felzenszwalb", {}),
    ("kmeans", {}),
)
"""Recipes that are tried, as method and parameters; of equals the first wins."""

LOOK_SIDE_PX = 256
"""Candidates are drawn and judged at this longest side: recipes keep their order, at a third of the time."""


class AutoParams(LabelParams):
    pass


@dataclass(frozen=True)
class Look:
    """How each of CANDIDATES did on one image, in their order."""

    qualities: tuple[Quality, ...]


def look(image: np.ndarray, params: AutoParams, rng: np.random.Generator) -> Look:
    """Return the quality of every candidate's mask of a uint8 RGB image (H, W, 3)."""
    seed = int(rng.integers(2**31))
    small = shrink(image, LOOK_SIDE_PX)
    return Look(tuple(judge(small, name, values, seed) for name, values in CANDIDATES))


def judge(small: np.ndarray, name: str, values: dict[str, Any], seed: int) -> Quality:
    """Return the quality of the mask that one recipe draws on an image."""
    method = find_method(name)
    params = parse(method.params, values)
    return assess(small, draw(method, small, params, seed), lambda view: draw(method, view, params, seed))


def fit(looks: Sequence[Look], params: AutoParams, rng: np.random.Generator) -> dict[str, Any]:
    """Return the choice as JSON.

    Keys: `method`, `params` and `state` of the chosen recipe; `sentence`, why it was chosen; `ranking`, every
    candidate with `method`, `params`, `title`, `quality` and `sentence`, best first; `images`, how many were looked at.
    """
    ranking = []
    for index, (name, values) in enumerate(CANDIDATES):
        found = [each.qualities[index] for each in looks]
        score = statistics.fmean(each.score for each in found)
        clear = sum(each.clear for each in found)
        ranking.append(
            {
                "method": name,
                "params": dict(values),
                "title": find_method(name).title,
                "quality": round(score, 4),
                "sentence": f"Quality {score:.2f}; a clear foreground in {clear} of {len(looks)} images.",
            }
        )
    ranking.sort(key=lambda each: -each["quality"])
    best = ranking[0]
    return {
        "method": best["method"],
        "params": best["params"],
        "state": None,
        "sentence": explain(ranking, len(looks)),
        "ranking": ranking,
        "images": len(looks),
    }


def explain(ranking: Sequence[dict[str, Any]], images: int) -> str:
    """Return one plain sentence: what was chosen, on what evidence, and what came second."""
    best, second = ranking[:2]
    return (
        f"{best['title']} draws the most trustworthy masks on the {images} images looked at: quality "
        f"{best['quality']:.2f}, before {second['title']} with {second['quality']:.2f}."
    )


def label(image: np.ndarray, params: AutoParams, rng: np.random.Generator, state: dict[str, Any]) -> np.ndarray:
    """Return the probability (H, W) in [0, 1] that the chosen recipe gives."""
    method = find_method(state["method"])
    chosen = parse(method.params, state["params"] | {"longest_side_px": params.longest_side_px})
    if method.fit is None:
        return method.label(image, chosen, rng)
    return method.label(image, chosen, rng, state["state"])


METHOD = Method(
    "auto",
    "Automatic (tries the methods on your images)",
    AutoParams,
    label,
    look,
    fit,
    fit_images=24,
    summary="The start for any dataset: tries the other methods on some of the images and takes the best.",
)

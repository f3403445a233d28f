"""Choose the recipe for a dataset by looking at some of its images: draw every candidate small, keep the best.

No truth is read, and neither the name nor the size of the dataset counts. What is compared is how good the masks look
beside the image (quality.py), averaged over the images that were looked at.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.core.parameters import number, parse
from engine.labelling.base import LabelParams, Method, draw, find_method, fit_state, look_at, shrink
from engine.labelling.quality import Quality, assess

LOOK_SIDE_PX = 256
"""Candidates are drawn and judged at this longest side: recipes keep their order, at a third of the time."""

THIN_LOOK_SIDE_PX = 512
"""Thin things would vanish there."""

LEARNER_IMAGES = 8
"""On how many images, at most, a recipe is judged that must learn first: `fit` has one core and should be quick."""


@dataclass(frozen=True)
class Candidate:
    """A recipe that is tried.

    It is drawn at `look_side_px`. `title` is the method's own where it is empty. `handicap` is taken off its quality.
    """

    method: str
    params: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    look_side_px: int = LOOK_SIDE_PX
    handicap: float = 0.0


CANDIDATES = (
    Candidate("saliency"),
    Candidate("threshold"),
    Candidate(
        "threshold", {"ground": "uneven", "level": "minimum_error"}, "Threshold (rare objects against uneven ground)"
    ),
    Candidate("lines", look_side_px=THIN_LOOK_SIDE_PX),
    Candidate("surface", handicap=0.15),
    Candidate("dataset_clusters", handicap=0.1),
    Candidate("normalised_cut", handicap=0.1),
    Candidate("felzenszwalb", handicap=0.1),
    Candidate("kmeans", handicap=0.1),
)
"""Of equals the first wins. The last five must be clearly better.

Things on a surface look as good as a threshold's on nuclei (0.90 to 0.87), but many are missed (Dice 0.64 to 0.88).
Clusters' outlines are rough. On photographs the other three look better than they are (k-means on a quarter of ecssd:
0.74 for a Dice of 0.47, saliency 0.81 for 0.73).
"""

EXPONENTS = {"edges": 2.0, "border": 1.0, "colour": 1.0, "stability": 1.0, "shape": 0.5}
"""What each part counts between recipes: a weighted geometric mean, so that a mask which fails in one thing fails.

Not what it counts between masks of one recipe (quality.WEIGHTS). A threshold always follows its own colours and comes
out the same in a mirror, whatever it cuts through; whether it cuts along edges and off the border tells more.
"""

FLOOR = 0.05
"""Less in a part counts as much: one hopeless image must not outweigh all others."""

WEAK = 0.4
"""Below this quality a choice is told as the least of evils."""

PRAISE = {
    "edges": "its outlines lie where the image has edges",
    "border": "its masks keep away from the image border",
    "colour": "its masks differ in colour from their ground",
    "stability": "it draws the same in a mirror and at a smaller size",
    "shape": "its masks are whole and compact",
}


class AutoParams(LabelParams):
    # Larger than elsewhere, for recipes that look for thin things; the others go on to shrink the image themselves.
    longest_side_px: int = number(800, 64, 1600, LabelParams.model_fields["longest_side_px"].description, unit="px")


@dataclass(frozen=True)
class Look:
    """One image, and how each of CANDIDATES did on it, in their order.

    Where a recipe must learn from the dataset first, there is no quality yet but what the recipe has seen.
    """

    small: np.ndarray
    """uint8 RGB, LOOK_SIDE_PX at its longest."""
    qualities: tuple[Quality | None, ...]
    seen: tuple[Any, ...]


def look(image: np.ndarray, params: AutoParams, rng: np.random.Generator) -> Look:
    """Return how every candidate does on a uint8 RGB image (H, W, 3)."""
    seed = int(rng.integers(2**31))
    qualities, seen = [], []
    for candidate in CANDIDATES:
        method = find_method(candidate.method)
        learns = method.fit is not None
        qualities.append(None if learns else judge(shrink(image, candidate.look_side_px), candidate, seed))
        seen.append(look_at(method, image, parse(method.params, candidate.params), seed) if learns else None)
    return Look(shrink(image, LOOK_SIDE_PX), tuple(qualities), tuple(seen))


def judge(small: np.ndarray, candidate: Candidate, seed: int, state: dict[str, Any] | None = None) -> Quality:
    """Return the quality of the mask that one recipe draws on a uint8 RGB image (H, W, 3)."""
    method = find_method(candidate.method)
    params = parse(method.params, candidate.params)

    def redraw(view: np.ndarray) -> np.ndarray:
        return draw(method, view, params, seed, state)

    return assess(small, redraw(small), redraw)


def merit(quality: Quality) -> float:
    """Return how good a mask is beside those of other recipes, in [0, 1]; 0 where nothing stands out."""
    if not quality.clear:
        return 0.0
    total = sum(power * math.log(max(quality.parts[name], FLOOR)) for name, power in EXPONENTS.items())
    return math.exp(total / sum(EXPONENTS.values()))


def fit(looks: Sequence[Look], params: AutoParams, rng: np.random.Generator) -> dict[str, Any]:
    """Return the choice as JSON.

    Keys: `method`, `params` and `state` of the chosen recipe; `sentence`, why it was chosen; `ranking`, every
    candidate with `method`, `params`, `title`, `quality`, `parts`, `clear` of `images`, and `sentence`, best first;
    `images`, how many were looked at; `clear`, in how many the chosen recipe found a foreground.
    """
    seed = int(rng.integers(2**31))
    ranking, states = [], []
    for index, candidate in enumerate(CANDIDATES):
        qualities, state, ease = [each.qualities[index] for each in looks], None, 0.0
        if qualities[0] is None:
            tried = looks[:: math.ceil(len(looks) / LEARNER_IMAGES)]
            state = learn(candidate, [each.seen[index] for each in looks], seed)
            qualities = [judge(each.small, candidate, seed, state) for each in tried]
            ease = usual_merit(tried) - usual_merit(looks)
        ranking.append(rank(candidate, qualities, ease))
        states.append(state)
    order = sorted(range(len(ranking)), key=lambda index: -ranking[index]["quality"])
    ranking, state = [ranking[index] for index in order], states[order[0]]
    best = ranking[0]
    return {
        "method": best["method"],
        "params": best["params"],
        "state": state,
        "sentence": explain(ranking, len(looks)),
        "ranking": ranking,
        "images": len(looks),
        "clear": best["clear"],
    }


def learn(candidate: Candidate, seen: Sequence[Any], seed: int) -> dict[str, Any]:
    """Return what a recipe learns from what it has seen of the dataset."""
    method = find_method(candidate.method)
    return fit_state(method, seen, parse(method.params, candidate.params), seed)


def usual_merit(looks: Sequence[Look]) -> float:
    """Return the mean merit on these images of the recipes that were judged on all."""
    return statistics.fmean(merit(each) for seen in looks for each in seen.qualities if each is not None)


def rank(candidate: Candidate, qualities: Sequence[Quality], ease: float) -> dict[str, Any]:
    """Return a candidate's entry in the ranking; `ease` is by how much its images were easier than all."""
    quality = min(max(statistics.fmean(map(merit, qualities)) - ease - candidate.handicap, 0.0), 1.0)
    clear = sum(each.clear for each in qualities)
    parts = {name: round(statistics.fmean(each.parts[name] for each in qualities), 4) for name in EXPONENTS}
    return {
        "method": candidate.method,
        "params": dict(candidate.params),
        "title": candidate.title or find_method(candidate.method).title,
        "quality": round(quality, 4),
        "parts": parts,
        "clear": clear,
        "images": len(qualities),
        "sentence": f"Quality {quality:.2f}, with a clear foreground in {clear} of {len(qualities)} images.",
    }


def explain(ranking: Sequence[dict[str, Any]], images: int) -> str:
    """Return one plain sentence: what was chosen, on what evidence, and what came second."""
    best = ranking[0]
    seen = f"the {images} images looked at" if images > 1 else "the image looked at"
    if not best["clear"]:
        return f"No method finds a clear foreground in {seen}, so {best['title']} stands in."
    second = next(each for each in ranking if each["method"] != best["method"])
    # A method is not praised for what it does no better than the next.
    ahead = {name: best["parts"][name] / max(second["parts"][name], FLOOR) for name in EXPONENTS}
    reasons = sorted(EXPONENTS, key=lambda name: -EXPONENTS[name] * math.log(max(ahead[name], FLOOR)))[:2]
    reasons = [name for name in reasons if ahead[name] > 1] or reasons[:1]
    praise = " and ".join(f"{PRAISE[name]} ({best['parts'][name]:.2f})" for name in reasons)
    unclear = best["images"] - best["clear"]
    return (
        f"{best['title']} suits {seen} {'best' if best['quality'] >= WEAK else 'least badly'}: {praise}; "
        f"quality {best['quality']:.2f} of 1, "
        f"{second['title']} comes next with {second['quality']:.2f}"
        + (f"; without a clear foreground: {unclear} of {best['images']}." if unclear else ".")
    )


def chosen(params: AutoParams, state: dict[str, Any]) -> tuple[str, LabelParams, dict[str, Any] | None]:
    """Return the chosen method's name, its parameters, no larger than `params` allow, and what it learned."""
    values = parse(find_method(state["method"]).params, state["params"])
    longest_side_px = min(values.longest_side_px, params.longest_side_px)
    return state["method"], values.model_copy(update={"longest_side_px": longest_side_px}), state["state"]


METHOD = Method(
    "auto",
    "Automatic (tries the methods on your images)",
    AutoParams,
    look=look,
    fit=fit,
    fit_images=24,
    chosen=chosen,
    summary="The start for any dataset: tries the other methods on some of the images and takes the best.",
)

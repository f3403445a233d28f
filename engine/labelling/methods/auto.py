"""Choice of a recipe for a dataset: every candidate is tried on some images at a small size, and the best one is used.

It uses neither truth nor the name or size of the dataset, but the estimated quality of the masks (quality.py), averaged
over these images. Where there are pretrained weights and main objects are seen, it also tries deep features.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import Field

from engine.core.parameters import number, parse
from engine.labelling.base import LabelParams, Method, find_method, fit_state, look_at, shrink
from engine.labelling.cues.activations import BackboneError, digest
from engine.labelling.mask_shapes import agreement, ramp
from engine.labelling.quality import Quality
from engine.labelling.recipe_search import Candidate, Tried, judge, rank, tune
from engine.labelling.strokes.backbones import backbone_of, weights_of
from engine.labelling.verdict import AGREE, EXPONENTS, FLOOR, merit, verdict

THIN_LOOK_SIDE_PX = 512
"""For thin objects, which would vanish at LOOK_SIDE_PX."""

LEARNER_IMAGES = 8
"""Most images on which a recipe with a `fit` step is tried: that happens in `fit`, on one core."""


CANDIDATES = (
    Candidate("saliency"),
    Candidate("threshold"),
    Candidate(
        "threshold", {"ground": "uneven", "level": "minimum_error"}, "Rare objects on an uneven background (threshold)"
    ),
    Candidate("lines", look_side_px=THIN_LOOK_SIDE_PX),
    Candidate("lines", {"strength": 4.5}, "Faint lines (cracks, vessels, scratches)", THIN_LOOK_SIDE_PX),
    Candidate("surface", handicap=0.15),
    Candidate("dataset_clusters", handicap=0.1),
    Candidate("normalised_cut", handicap=0.1),
    Candidate("felzenszwalb", handicap=0.1),
    Candidate("kmeans", handicap=0.1),
)
"""In order of priority when qualities are equal. A handicap means that a method must be clearly better to be chosen.

On nuclei, the quality of "surface" equals that of "threshold" (0.90 and 0.87), but it misses many objects (Dice 0.64
and 0.88). Outlines of clusters are rough. On photographs the quality of the last three is too high (on a quarter of
ecssd, k-means has 0.74 for a Dice of 0.47, saliency 0.81 for 0.73).
"""

MAIN_OBJECT = ("saliency", "dataset_clusters", "normalised_cut", "felzenszwalb", "deep_features")
"""Methods that look for main objects and usually agree where there are some: on photographs saliency with the next one
by a kappa of .6. Thresholds and lines find other things, so they say nothing of each other.
"""

DEEP = Candidate("deep_features", handicap=-0.15)
"""Tried last, if there are weights, the best of CANDIDATES is one of MAIN_OBJECT and its verdict is not unclear: it
learns from masks of saliency, so it repeats what is wrong in all of them. Its masks follow edges less than those they
learned from: on the even half of ecssd its score is lower by 0.10, and its Dice higher by 0.09.
"""

DAMAGED = (
    "Deep features were not tried, because the stored pretrained weights are damaged: add them again by "
    "'maskloom weights get' or 'maskloom weights add'."
)

WEAK = 0.4
"""Below this quality the explanation says that no method suits the images well."""

PRAISE = {
    "edges": "its outlines follow edges of the image",
    "border": "its masks keep away from the image border",
    "colour": "its masks differ in colour from their background",
    "stability": "its masks are the same for the flipped and reduced image",
    "shape": "its masks are solid and compact",
}


class AutoParams(LabelParams):
    # Larger than elsewhere, for recipes for thin objects; the others reduce the image further.
    longest_side_px: int = number(800, 64, 1600, LabelParams.model_fields["longest_side_px"].description, unit="px")
    pretrained: bool = Field(
        True,
        description="Also try deep features, if this installation has pretrained weights and the images show main "
        "objects. Masks that they help name the weights.",
        title="Use pretrained weights",
        json_schema_extra={"stage": "look"},
    )


@dataclass(frozen=True)
class Look:
    """One image and the results of CANDIDATES on it, in their order.

    A recipe with a `fit` step has no quality yet, but the data that it extracted (`seen`).
    """

    image: np.ndarray
    """uint8 RGB, THIN_LOOK_SIDE_PX at its longest."""
    qualities: tuple[Quality | None, ...]
    seen: tuple[Any, ...]
    deep: Any = None
    """What DEEP extracted; None without weights."""
    damaged: bool = False
    """The weights cannot be used."""


@dataclass(frozen=True)
class Judged:
    """A candidate with the quality of its mask by the number of the image, by how much its images are easier than all,
    and its state, if any.
    """

    candidate: Candidate
    qualities: dict[int, Quality]
    ease: float
    state: dict[str, Any] | None


def look(image: np.ndarray, params: AutoParams, rng: np.random.Generator) -> Look:
    """Return the results of every candidate on a uint8 RGB image (H, W, 3)."""
    seed = int(rng.integers(2**31))
    qualities: list[Quality | None] = []
    seen: list[Any] = []
    for candidate in CANDIDATES:
        method = find_method(candidate.method)
        fits = method.fit is not None
        qualities.append(None if fits else judge(shrink(image, candidate.look_side_px), candidate, seed))
        seen.append(look_at(method, image, parse(method.params, candidate.params), seed) if fits else None)
    deep, damaged = None, False
    if params.pretrained and backbone_of("") is not None:
        method = find_method(DEEP.method)
        try:
            deep = look_at(method, image, method.params(), seed)
        except BackboneError:
            damaged = True
    return Look(shrink(image, THIN_LOOK_SIDE_PX), tuple(qualities), tuple(seen), deep, damaged)


def fit(looks: Sequence[Look], params: AutoParams, rng: np.random.Generator) -> dict[str, Any]:
    """Return the choice as JSON.

    Keys: `method`, `params` and `state` of the chosen recipe; `sentence`, why it was chosen; `ranking`, every
    candidate with `method`, `params`, `title`, `quality`, `parts`, `clear` of `images`, and `sentence`, best first;
    `images`, the number of images; `clear`, the number of them in which the chosen recipe has a clear foreground;
    `verdict`, see `Verdict.to_json`; `tuning`, the other settings that were tried, see `tune`; and `note` if the
    pretrained weights are damaged.
    """
    seed = int(rng.integers(2**31))
    judged: list[Judged] = []
    for index, candidate in enumerate(CANDIDATES):
        qualities = {at: quality for at, each in enumerate(looks) if (quality := each.qualities[index]) is not None}
        if qualities:
            judged.append(Judged(candidate, qualities, 0.0, None))
        else:
            judged.append(learner(candidate, looks, [each.seen[index] for each in looks], seed))
    tried = [ranked(each, judged) for each in judged]
    tried, tuning = tune(tried, [each.image for each in looks], seed)
    choice = result(tried, len(looks))
    means_objects = choice["method"] in MAIN_OBJECT and choice["verdict"]["verdict"] != "unclear"
    if means_objects and all(each.deep is not None for each in looks):
        deep = learner(DEEP, looks, [each.deep for each in looks], seed)
        title = f"{find_method(DEEP.method).title.partition(' (')[0]} ({weights_of({}, deep.state or {})})"
        tried = [*tried, ranked(replace(deep, candidate=replace(DEEP, title=title)), judged)]
        choice = result(tried, len(looks))
    if any(each.damaged for each in looks):
        choice |= {"note": DAMAGED, "sentence": f"{choice['sentence']} {DAMAGED}"}
    return choice | {"tuning": tuning}


def learner(candidate: Candidate, looks: Sequence[Look], seen: Sequence[Any], seed: int) -> Judged:
    """Return a candidate with a `fit` step, fitted to what it saw of all looks and judged on LEARNER_IMAGES."""
    step = math.ceil(len(looks) / LEARNER_IMAGES)
    method = find_method(candidate.method)
    state = fit_state(method, seen, parse(method.params, candidate.params), seed)
    qualities = {
        at: judge(shrink(looks[at].image, candidate.look_side_px), candidate, seed, state)
        for at in range(0, len(looks), step)
    }
    return Judged(candidate, qualities, usual_merit(looks[::step]) - usual_merit(looks), state)


def ranked(one: Judged, judged: Sequence[Judged]) -> Tried:
    """Return a candidate with its entry in the ranking."""
    return rank(one.candidate, list(one.qualities.values()), one.ease, one.state, agreed(one, judged))


def draft(looks: Sequence[Look], params: AutoParams, rng: np.random.Generator) -> dict[str, Any]:
    """Return a preliminary choice among the recipes without a `fit` step, with the keys of `fit`.

    `untried` is the number of other candidates.
    """
    tried = [
        rank(candidate, qualities)
        for index, candidate in enumerate(CANDIDATES)
        if (qualities := [quality for each in looks if (quality := each.qualities[index]) is not None])
    ]
    return result(tried, len(looks)) | {"untried": len(CANDIDATES) - len(tried)}


def agreed(one: Judged, judged: Sequence[Judged]) -> float:
    """Return how far another recipe for main objects agrees with a recipe for these, in [0, 1]; 1 for other recipes."""
    if one.candidate.method not in MAIN_OBJECT:
        return 1.0
    found = []
    for other in judged:
        both = sorted(one.qualities.keys() & other.qualities.keys())
        if other is not one and other.candidate.method in MAIN_OBJECT:
            masks = ([each.qualities[at].shape for at in both] for each in (one, other))
            found.append(agreement(*masks))
    return ramp(max(found), AGREE)


def result(tried: Sequence[Tried], images: int) -> dict[str, Any]:
    """Return the choice of the best of what was tried; see `fit`.

    The verdict is that on the best without pretrained weights, from which DEEP has learned.
    """
    best, *_ = in_order = sorted(tried, key=lambda each: -each.entry["quality"])
    plain = [each for each in in_order if each.candidate.method != DEEP.method]
    conspicuous = max(plain, key=lambda each: each.standing.merit - each.candidate.handicap)
    reached = verdict(plain[0].standing, None if conspicuous is plain[0] else conspicuous.standing)
    fall = reached.trust / max(plain[0].standing.plausible, FLOOR)
    ranking = [scaled(each.entry, fall) for each in in_order]
    return {
        "method": best.candidate.method,
        "params": dict(best.candidate.params),
        "state": best.state,
        "sentence": explain(ranking, images),
        "ranking": ranking,
        "images": images,
        "clear": best.standing.clear,
        "verdict": reached.to_json(),
    }


def scaled(entry: dict[str, Any], fall: float) -> dict[str, Any]:
    """Return an entry of the ranking with its search score times `fall`, and a sentence with it."""
    quality, unclear = round(entry["quality"] * fall, 4), entry["images"] - entry["clear"]
    sentence = f"Search score {with_margin(quality, entry)}; {unclear} of {entry['images']} masks are doubtful."
    return entry | {"quality": quality, "sentence": sentence}


def with_margin(quality: float, entry: dict[str, Any]) -> str:
    """Return the search score of an entry of the ranking as text that names its margin."""
    margin = entry["margin"]
    if not margin:
        return f"{quality:.2f}"
    return f"{quality:.2f} with a margin of {abs(margin):.2f} {'added' if margin > 0 else 'subtracted'}"


def usual_merit(looks: Sequence[Look]) -> float:
    """Return the mean merit on these images of the recipes that were tried on all images."""
    return statistics.fmean(merit(each) for seen in looks for each in seen.qualities if each is not None)


def explain(ranking: Sequence[dict[str, Any]], images: int) -> str:
    """Return one sentence: the chosen method, the reasons, and the second of the ranking."""
    best = ranking[0]
    seen = f"the {images} images tried" if images > 1 else "the image tried"
    if not best["clear"]:
        return f"Every mask is doubtful in {seen}, whatever the method, so {best['title']} is used."
    second = ranking[1]
    # Only parts in which it is better than the second are reasons.
    ahead = {name: best["parts"][name] / max(second["parts"][name], FLOOR) for name in EXPONENTS}
    reasons = sorted(EXPONENTS, key=lambda name: -EXPONENTS[name] * math.log(max(ahead[name], FLOOR)))[:2]
    reasons = [name for name in reasons if ahead[name] > 1] or reasons[:1]
    praise = " and ".join(f"{PRAISE[name]} ({best['parts'][name]:.2f})" for name in reasons)
    unclear = best["images"] - best["clear"]
    but = "" if best["quality"] >= WEAK else ", but none suits them well"
    return (
        f"{best['title']} is the best guess of {len(ranking)} recipes for {seen}{but}: {praise}; search score "
        f"{with_margin(best['quality'], best)}, {second['title']} comes next with "
        f"{with_margin(second['quality'], second)}"
        + (f"; doubtful masks: {unclear} of {best['images']}." if unclear else ".")
    )


def chosen(params: AutoParams, state: dict[str, Any]) -> tuple[str, LabelParams, dict[str, Any] | None]:
    """Return the chosen method's name, its parameters, with the size limited by `params`, and its state."""
    values = parse(find_method(state["method"]).params, state["params"])
    longest_side_px = min(values.longest_side_px, params.longest_side_px)
    return state["method"], values.model_copy(update={"longest_side_px": longest_side_px}), state["state"]


def look_depends_on(params: AutoParams) -> str:
    """Return the digest of the ONNX file with which deep features are tried; empty if they are not."""
    backbone = backbone_of("") if params.pretrained else None
    return digest(backbone) if backbone else ""


METHOD = Method(
    "auto",
    "Automatic (tries the methods on your images)",
    AutoParams,
    look=look,
    fit=fit,
    draft=draft,
    fit_images=24,
    look_depends_on=look_depends_on,
    chosen=chosen,
    summary="A start for any dataset: tries the other methods on some of the images and uses the best.",
)

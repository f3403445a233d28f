"""Recipes on trial: how one is judged and ranked, and a search for better values of its main parameters.

The search is successive halving: all settings are tried on a few images, the better half of them on more, and so on
(Jamieson, Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016). It counts
masks, not seconds, so that the result does not depend on the machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engine.core.parameters import parse
from engine.labelling.base import draw, find_method, shrink
from engine.labelling.quality import Quality, assess
from engine.labelling.verdict import EXPONENTS, Standing, standing

LOOK_SIDE_PX = 256
"""Recipes are tried at this longest side: the ranking is the same as at full size, in a third of the time."""

SETTINGS: dict[str, dict[str, tuple[Any, ...]]] = {
    "lines": {"strength": (3.0, 4.5, 6.0, 9.0), "lines": ("darker", "lighter")},
    "surface": {"agreement": (0.2, 0.5)},
    "threshold": {"offset": (-6, 6), "foreground": ("darker", "lighter")},
}
"""The values that are tried of the main parameters of a method. None is a length in pixels: recipes are tried small."""

TUNED = 2
"""So many of the best recipes, of different methods, are tuned."""

STAGES = 3, 6, 12
"""How many images the settings have been tried on after each stage; the better half goes on to the next."""

LEAST_GAIN = 0.03
"""The estimated score by which a setting must be better than the recipe's own; smaller gains are chance."""

LEAST_LEAD = 0.05
"""And by which a tuned recipe must be better than the best one as it was, to take its place: the best of many numbers
is too high. On cracks a threshold came first by 0.02 with half of the Dice."""


@dataclass(frozen=True)
class Candidate:
    """A recipe to try, at `look_side_px`.

    An empty `title` stands for the method's title. `handicap` is subtracted from its quality.
    """

    method: str
    params: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    look_side_px: int = LOOK_SIDE_PX
    handicap: float = 0.0


@dataclass(frozen=True)
class Tried:
    """A candidate with the qualities of its masks, its standing, its `entry` in the ranking, and any `state`."""

    candidate: Candidate
    qualities: Sequence[Quality]
    standing: Standing
    entry: dict[str, Any]
    state: dict[str, Any] | None


def judge(small: np.ndarray, candidate: Candidate, seed: int, state: dict[str, Any] | None = None) -> Quality:
    """Return the quality of a recipe's mask of a uint8 RGB image (H, W, 3)."""
    method = find_method(candidate.method)
    params = parse(method.params, candidate.params)

    def redraw(view: np.ndarray) -> np.ndarray:
        return draw(method, view, params, seed, state)

    return assess(small, redraw(small), redraw)


def rank(
    candidate: Candidate,
    qualities: Sequence[Quality],
    ease: float = 0.0,
    state: dict[str, Any] | None = None,
    agreed: float = 1.0,
) -> Tried:
    """Return a candidate with its entry in the ranking, whose `quality` includes its `margin`.

    Args:
        ease: by how much its images are easier than all images.
        agreed: how far recipes that usually agree with it do.
    """
    found = standing(qualities, agreed)
    quality = min(max(found.plausible - ease - candidate.handicap, 0.0), 1.0)
    parts = {name: round(statistics.fmean(each.parts[name] for each in qualities), 4) for name in EXPONENTS}
    entry = {
        "method": candidate.method,
        "params": dict(candidate.params),
        "title": candidate.title or find_method(candidate.method).title,
        "quality": round(quality, 4),
        "margin": 0 - candidate.handicap,
        "parts": parts,
        "clear": found.clear,
        "images": found.images,
    }
    return Tried(candidate, qualities, found, entry, state)


def tune(tried: Sequence[Tried], images: Sequence[np.ndarray], seed: int) -> tuple[list[Tried], list[dict[str, Any]]]:
    """Return the recipes with better settings in the place of those that have one, and what was tried as a table.

    A row of the table has `title`, `setting`, `images`, `score`, `before` (that of the recipe on the same images) and
    `taken`.

    Args:
        tried: recipes without the state of a `fit` step have `qualities` of all images.
        images: uint8 RGB, large enough for all recipes.
    """
    order, best = _nested(len(images)), max(tried, key=lambda each: each.entry["quality"])
    trials = [Trial(base, name, value) for base in _bases(tried) for name, value in _settings(base.candidate)]
    running = trials
    for number, stage in enumerate(STAGES):
        for trial in running:
            for index in order[len(trial.qualities) : stage]:
                small = shrink(images[index], trial.candidate.look_side_px)
                trial.qualities.append(judge(small, trial.candidate, seed))
        running.sort(key=lambda trial: -trial.gain(order))
        if number < len(STAGES) - 1:
            running = running[: -(-len(running) // 2)]
    taken: dict[int, Trial] = {}
    for trial in sorted(running, key=lambda trial: -trial.tried(order).entry["quality"]):
        lead = trial.tried(order).entry["quality"] - best.entry["quality"]
        if trial.gain(order) >= LEAST_GAIN and (trial.base is best or lead >= LEAST_LEAD):
            taken.setdefault(id(trial.base), trial)
    better = [taken[id(each)].tried(order) if id(each) in taken else each for each in tried]
    rows = [trial.row(order, taken=any(trial is each for each in taken.values())) for trial in trials]
    return better, sorted(rows, key=lambda row: (-row["images"], row["before"] - row["score"]))


@dataclass
class Trial:
    """A recipe with another value of one parameter, and the qualities of its masks so far."""

    base: Tried
    name: str
    value: Any
    qualities: list[Quality] = field(default_factory=list)

    @property
    def candidate(self) -> Candidate:
        params = self.base.candidate.params | {self.name: self.value}
        return replace(self.base.candidate, params=params, title=f"{self.base.entry['title']}, {self.setting}")

    @property
    def setting(self) -> str:
        return f"{self.name.replace('_', ' ')} {self.value}"

    def before(self, order: Sequence[int]) -> Standing:
        """Return the standing of the recipe as it was, on the same images."""
        return standing([self.base.qualities[index] for index in order[: len(self.qualities)]])

    def gain(self, order: Sequence[int]) -> float:
        return standing(self.qualities).score - self.before(order).score

    def tried(self, order: Sequence[int]) -> Tried:
        """Return it as a recipe, whose images may be easier than all images."""
        ease = (self.before(order).plausible - standing(self.base.qualities).plausible) * self.base.standing.agreed
        return rank(self.candidate, self.qualities, ease, agreed=self.base.standing.agreed)

    def row(self, order: Sequence[int], *, taken: bool) -> dict[str, Any]:
        return {
            "title": self.base.entry["title"],
            "setting": self.setting,
            "images": len(self.qualities),
            "score": round(standing(self.qualities).score, 4),
            "before": round(self.before(order).score, 4),
            "taken": taken,
        }


def _bases(tried: Sequence[Tried]) -> list[Tried]:
    best: dict[str, Tried] = {}
    for each in sorted(tried, key=lambda each: -each.entry["quality"]):
        best.setdefault(each.candidate.method, each)
    return [each for each in list(best.values())[:TUNED] if each.state is None]


def _settings(candidate: Candidate) -> list[tuple[str, Any]]:
    now = parse(find_method(candidate.method).params, candidate.params)
    settings = SETTINGS.get(candidate.method, {})
    return [(name, value) for name, values in settings.items() for value in values if value != getattr(now, name)]


def _nested(images: int) -> list[int]:
    """Return indices of images so that the first of each stage are spread over all."""
    last = min(STAGES[-1], images)
    spread = [index * images // last for index in range(last)]
    steps = [last // min(stage, last) or 1 for stage in STAGES]
    return sorted(spread, key=lambda index: next(n for n, step in enumerate(steps) if spread.index(index) % step == 0))

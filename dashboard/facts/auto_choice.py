"""The result of the automatic method: its choice, the reason, and the other candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboard.facts.recipes import Recipe, known_recipe
from dashboard.facts.wording import count
from engine.labelling.base import DEFAULT_METHOD, methods

SETTING = ("setting", "images", "score", "before", "taken")


@dataclass(frozen=True)
class Candidate:
    """A recipe that was tried, with its search score; `recipe` is None if this version does not have it."""

    title: str
    quality: float | None
    sentence: str
    recipe: Recipe | None
    chosen: bool


@dataclass(frozen=True)
class Setting:
    """Another value of a parameter of a recipe, tried on `images`; `before` is the recipe's own score on these."""

    recipe: str
    setting: str
    images: int
    score: float
    before: float
    taken: bool


@dataclass(frozen=True)
class AutoChoice:
    """`sentence` is what to know of the choice, `details` the figures behind it.

    `candidates` are sorted best first and include the chosen one. `final` is False while more are being tried.
    `settings` are those with which the best recipes were tried again.
    """

    title: str
    sentence: str
    details: str
    images: int
    candidates: tuple[Candidate, ...]
    final: bool
    settings: tuple[Setting, ...] = ()


def auto_choice(state: dict[str, Any] | None) -> AutoChoice | None:
    """Return the choice in a fitted state, or None if the state is not from the automatic method."""
    if not state or "ranking" not in state:
        return None
    picked = (state["method"], state["params"])
    candidates = tuple(_candidate(entry, picked) for entry in state["ranking"])
    title = next((entry.title for entry in candidates if entry.chosen), _title(state["method"]))
    return AutoChoice(
        title,
        _sentence(title, state),
        state.get("sentence", ""),
        state.get("images", 0),
        candidates,
        "untried" not in state,
        tuple(Setting(row["title"], *(row[name] for name in SETTING)) for row in state.get("tuning", ())),
    )


def _sentence(title: str, state: dict[str, Any]) -> str:
    tried, images = len(state["ranking"]), state.get("images", 0)
    if "untried" in state:
        others = state["untried"]
        more = f" and {count(others, 'more recipe')}" if others else ""
        return (
            f"{title} is the best so far of {count(tried, 'recipe')}, tried on {count(images, 'image')}. "
            f"More images{more} are being tried."
        )
    sentence = f"{title}: best guess of {count(tried, 'recipe')}, tried on {images} of your images."
    if state.get("state") and images >= methods()[DEFAULT_METHOD].fit_images:
        sentence += " A mask set learns from more images, so its masks can differ a little from these."
    return f"{sentence} {state['note']}" if "note" in state else sentence


def _candidate(entry: dict[str, Any], picked: tuple[str, dict[str, Any]]) -> Candidate:
    return Candidate(
        title=entry.get("title") or _title(entry["method"]),
        quality=entry.get("quality"),
        sentence=entry.get("sentence", ""),
        recipe=known_recipe(entry["method"], entry["params"]),
        chosen=(entry["method"], entry["params"]) == picked,
    )


def _title(method: str) -> str:
    return methods()[method].title if method in methods() else method

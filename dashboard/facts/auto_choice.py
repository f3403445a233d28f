"""The result of the automatic method: its choice, the reason, and the other candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboard.facts.recipes import Recipe, known_recipe
from engine.labelling.base import methods


@dataclass(frozen=True)
class Candidate:
    """A recipe that was tried, with its estimated score; `recipe` is None if this version does not have it."""

    title: str
    quality: float | None
    sentence: str
    recipe: Recipe | None
    chosen: bool


@dataclass(frozen=True)
class AutoChoice:
    """`sentence` is the choice with its reason; `candidates` are sorted best first and include the chosen one."""

    title: str
    sentence: str
    images: int
    candidates: tuple[Candidate, ...]


def auto_choice(state: dict[str, Any] | None) -> AutoChoice | None:
    """Return the choice in a fitted state, or None if the state is not from the automatic method."""
    if not state or "ranking" not in state:
        return None
    picked = (state["method"], state["params"])
    candidates = tuple(_candidate(entry, picked) for entry in state["ranking"])
    title = next((entry.title for entry in candidates if entry.chosen), _title(state["method"]))
    return AutoChoice(title, state.get("sentence", ""), state.get("images", 0), candidates)


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

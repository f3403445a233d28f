"""Masks of the test images that follow strokes, while one of these images is open to be drawn on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from dashboard.facts import urls
from dashboard.facts.recipes import Recipe
from dashboard.facts.wording import count, duration, time_left
from dashboard.server import resources
from dashboard.server.previews import Preview
from dashboard.views.labels import facts as labels
from dashboard.views.labels.facts import SEED, ProbeImage

PATIENCE_S = 0.4
"""Before that, progress only flickers."""

EVERY_S = 0.25

Tell = Callable[[dict[str, Any]], None]


def live_masks(dataset_id: str, recipe: Recipe, tell: Tell, check: Callable[[], None]) -> dict[str, Any]:
    """Return the masks that the newest corrections teach, as `live_masks.js` reads them.

    Args:
        tell: is called with {"progress": sentence} while it takes long.
        check: is called many times a second. It may raise to give up.

    Returns:
        {"images": {image id: mask}, "next": the image most in doubt or None, "hint": a sentence, empty once something
        is drawn, "error": a sentence about an image whose mask could not be computed, mostly empty}.

    Raises:
        ValueError: an image cannot be looked at, or nothing can be learned from what was drawn.
    """
    with resources.database().reading() as session:
        place = labels.workplace(session, dataset_id)
        sample = labels.fit_images(session, dataset_id, recipe.method)
        drawn = labels.has_strokes(session, dataset_id)
        settled = labels.settled_images(session, dataset_id)
    files, pool = resources.artifacts(), resources.preview_pool()
    seen = {image.id for image in place.probe}
    everything = [*place.probe, *(image for image in sample if image.id not in seen)]
    show = _Progress(tell, check)
    pool.prepare(
        recipe.method,
        recipe.params,
        labels.sources(files, place, everything, truth=False),
        while_waiting=lambda done, total: show("Computing features", done, total),
    )
    if not drawn:
        return {"images": {}, "next": None, "hint": labels.HOW_STROKES_WORK, "error": ""}
    learned_from = labels.sources(files, place, sample, truth=False)
    state = pool.fit(recipe.method, recipe.params, learned_from, seed=SEED, while_waiting=lambda done, total: check())
    previews = pool.draw(
        recipe.method,
        recipe.params,
        labels.sources(files, place, place.probe),
        limit_px=None,
        seed=SEED,
        state=state,
        judged=False,
        while_waiting=lambda done: show("Computing masks", done, len(place.probe)),
    )
    failed = [f"{image.name}: {each.error}" for image, each in zip(place.probe, previews, strict=True) if each.error]
    return {
        "images": {image.id: _mask(each) for image, each in zip(place.probe, previews, strict=True) if each.png},
        "next": _most_in_doubt([pair for pair in zip(place.probe, previews, strict=True) if pair[0].id not in settled]),
        "hint": "",
        "error": failed[0] if failed else "",
    }


class _Progress:
    """Tells of one step after the other, how far it is and how long it will take."""

    def __init__(self, tell: Tell, check: Callable[[], None]) -> None:
        self._tell, self._check = tell, check
        self._step, self._began, self._told, self._known = "", 0.0, 0.0, 0

    def __call__(self, step: str, done: int, total: int) -> None:
        self._check()
        now = time.monotonic()
        if step != self._step:
            self._step, self._began, self._told, self._known = step, now, now - EVERY_S + PATIENCE_S, done
        if now - self._told < EVERY_S:
            return
        self._told = now
        left_s = time_left(done - self._known, total - self._known, now - self._began)
        left = "" if left_s is None or left_s < 1 else f", about {duration(left_s)} left"
        self._tell({"progress": f"{step}: {done} of {count(total, 'image')}{left}"})


def _mask(preview: Preview) -> dict[str, Any]:
    kept, doubt = resources.previews(), preview.doubt
    return {
        "mask": urls.preview(kept.put(preview.png)),
        "classes": urls.preview(kept.put(preview.classes)) if preview.classes else None,
        "doubt": urls.preview(kept.put(doubt.png)) if doubt else None,
        "spot": doubt.spot if doubt else None,
    }


def _most_in_doubt(found: Sequence[tuple[ProbeImage, Preview]]) -> str | None:
    """Return the id of the image whose mask is most in doubt."""
    doubts = [(preview.doubt.mean, image.id) for image, preview in found if preview.doubt]
    return max(doubts)[1] if doubts else None

"""Where an image is in the queue of what to correct next."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from engine.prediction.correct_next import Suggestion


@dataclass(frozen=True)
class Place:
    """An image's place: why it is here, None if it is not; the image before it, finished or not, and the next that is
    open; how many are open, without it.
    """

    suggestion: Suggestion | None
    before: str | None
    after: str | None
    left: int


def place_in_queue(queue: Sequence[Suggestion], finished: Set[str], image_id: str) -> Place:
    """Return the place of an image. Images that were `finished` since the queue was computed are passed over."""
    at = next((index for index, each in enumerate(queue) if each.image_id == image_id), None)
    open_ = [each.image_id for each in queue if each.image_id not in finished and each.image_id != image_id]
    later = queue if at is None else queue[at + 1 :]
    return Place(
        None if at is None else queue[at],
        queue[at - 1].image_id if at else None,
        next((each.image_id for each in later if each.image_id in open_), None),
        len(open_),
    )


def words(place: Place) -> str:
    """Return why the image is shown, and how many wait after it."""
    why = place.suggestion.reason if place.suggestion else "no longer in the queue"
    left = f"{place.left:,} more to correct" if place.left else "the last one"
    return f"{why} · {left}"

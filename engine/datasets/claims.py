"""Which truth an image gets of all that bears its name: several masks joined, or one coding of several."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from engine.datasets.folders import Source
from engine.datasets.image_index import Group
from engine.datasets.source import Entry

_RANKS = (
    (-2.0, ("manual", "manuals")),
    (1.0, ("labeltrainids", "gtcoarse", "coarse", "2nd", "2ndho", "vk", "2", "machine")),
    (2.0, ("color", "colors", "colour", "colours", "rgb", "human", "colored", "coloured", "colormap", "colormaps")),
    (3.0, ("viz", "vis", "visualization", "edge", "edges", "boundary", "boundaries")),
    (3.0, ("contour", "contours", "pred", "predicted", "prediction", "predictions")),
    (4.0, ("instance", "instances", "instanceids", "instancetrainids", "object", "objects", "panoptic")),
    (6.0, ("track", "tra")),
    (8.0, ("by content",)),
    (100.0, ("overlay", "overlays")),
)
BY_CONTENT = "by content"
"""A word of sources that names do not tell: a_fov.png beside a.png and a_mask.png is not the truth."""

_NO_TRUTH = 50.0
"""An overlay of a mask on its image is no truth, even where there is no other."""

_PENALTY = {word: penalty for penalty, words in _RANKS for word in words}


@dataclass(frozen=True)
class Claim:
    """One file that may be truth of a group of images. `part` tells apart the masks that are to be joined."""

    truth: str
    group: Group
    part: str
    source: Source
    label: str
    rule: str

    @property
    def rank(self) -> float:
        """How far this coding is from what is wanted: classes, drawn by hand. Smaller is better."""
        return sum(_PENALTY.get(word, 0.0) for word in self.source.words)


@dataclass
class Choice:
    """The truth of each group and by which rule, entries for files that lost, and how many files each loss is for."""

    truth_of: dict[Group, tuple[str, ...]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    rule_of: dict[Group, str] = field(default_factory=dict)
    alternatives: Counter[str] = field(default_factory=Counter)


def choose(claims: Iterable[Claim], image_of: Callable[[Group], str]) -> Choice:
    """Return what truth each group of images gets.

    A coding that loses against a better one for any image is used for none, so that all truth means the same.
    """
    by_group: dict[Group, dict[Source, list[Claim]]] = defaultdict(lambda: defaultdict(list))
    for claim in claims:
        by_group[claim.group][_origin(claim)].append(claim)
    ordered = {
        group: sorted(origins.values(), key=lambda found: (found[0].rank, found[0].truth))
        for group, origins in by_group.items()
    }
    beaten: dict[tuple[str, ...], Claim] = {}
    for found in ordered.values():
        for others in found[1:]:
            if others[0].rank > found[0][0].rank:
                beaten.setdefault(others[0].source.words, found[0][0])
    choice = Choice()
    for group, found in ordered.items():
        winner = found[0][0]
        image = image_of(group)
        if winner.rank > _NO_TRUTH:
            reason = f"It shows {image} with something drawn on it, by its name, and is no truth."
            choice.entries += [Entry(claim.truth, False, reason) for claims in found for claim in claims]
            continue
        if winner.source.words in beaten:
            better = beaten[winner.source.words].label
            reason = f"It is not the truth: other images of this import have theirs from {better}. {image} has none."
            choice.entries += [Entry(claim.truth, False, reason) for claims in found for claim in claims]
            continue
        taken: dict[str, str] = {}
        for claim in sorted(found[0], key=lambda claim: claim.truth):
            if claim.part in taken:
                reason = f"The image already has its truth from {taken[claim.part]}."
                choice.entries.append(Entry(claim.truth, False, reason))
            else:
                taken[claim.part] = claim.truth
        choice.truth_of[group] = tuple(taken.values())
        choice.rule_of[group] = winner.rule
        for others in found[1:]:
            choice.alternatives[f"{others[0].label}: {winner.label} is taken instead"] += len(others)
            choice.entries += [Entry(claim.truth, False, _why_not(claim, winner, image)) for claim in others]
    return choice


def _origin(claim: Claim) -> Source:
    own = claim.source.part
    named = own if own and own not in claim.group[0] else ""
    # cat_masks and dog_masks are parts of one truth; masks and masks_old are not
    return Source(claim.source.parent, claim.source.folder, claim.source.words, "named" if named else "")


def _why_not(claim: Claim, winner: Claim, image: str) -> str:
    if claim.rank == winner.rank:
        return f"The image already has its truth from {winner.truth}."
    if "manual" in winner.source.words:
        return f"The truth of {image} is what was drawn by hand, {winner.truth}; this is another mask of it."
    return f"It is another coding of the truth of {image}; {winner.truth} is taken."

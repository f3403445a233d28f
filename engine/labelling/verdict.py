"""Whether masks can be trusted without looking at each: one number for the masks of several images, and a sentence.

It knows no truth. The number falls where masks do not fit their images, look like background rather than like objects,
or lie in the same place in every image, also if this is so of what stands out more than what was chosen.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.labelling.mask_shapes import COVERS, LEAST_MASKS, SAME, figure, ramp, same_place
from engine.labelling.quality import Quality

Name = Literal["trust", "look", "unclear"]

EXPONENTS = {"edges": 2.0, "border": 1.0, "colour": 1.0, "stability": 1.0, "shape": 0.5}
"""The weight of each part between recipes, in a geometric mean, so that a mask fails if one part fails.

Between masks of one recipe the weights differ (quality.WEIGHTS): a threshold always agrees with its colours and its
mirror image, whatever it separates, so edges and border are more informative here.
"""

FLOOR = 0.05
"""Lower limit of a part, so that one image cannot outweigh all others."""

AGREE = 0.2, 0.45
"""Agreement with recipes that usually agree: none of the merit is kept up to the first value, all from the second."""

TRUSTED, UNCLEAR = 0.65, 0.4
"""From the first value of `Verdict.trust` masks are trusted; below the second it is unclear what is meant.

About halfway between ecssd and cracks, and between these and eggs-and-pans; see docs/methods.md.
"""


@dataclass(frozen=True)
class Standing:
    """What is known of a recipe's masks of several images, as means; all in [0, 1].

    `merit`: how well they fit their images. `kept`: the part of it that is left when masks that look like background,
    or that lie in the same place in every image, count less. `area`: the share of an image that they cover.
    `place`: how much of their place is explained by other images (`same_place`). `agreed`: how far recipes that usually
    agree do, 1 if they do or none was asked. `clear` and `images` are counts.
    """

    merit: float
    kept: float
    area: float
    place: float
    agreed: float
    clear: int
    images: int

    @property
    def score(self) -> float:
        """How well the masks fit their images and look like objects."""
        return self.merit * self.kept

    @property
    def plausible(self) -> float:
        """How well they fit, however much they cover: what is the same everywhere is not what is meant, nor what
        others do not see, but large objects may be.
        """
        return self.merit * (1 - ramp(self.place, SAME)) * self.agreed


@dataclass(frozen=True)
class Verdict:
    """`trust` in [0, 1] is the number behind the verdict, `reason` one sentence.

    `kept` in [0, 1] is the factor by which the estimated score of a recipe falls.
    """

    verdict: Name
    reason: str
    trust: float
    kept: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def merit(quality: Quality) -> float:
    """Return how well a mask fits its image, comparable between recipes, in [0, 1]; 0 without a clear foreground."""
    if not quality.clear:
        return 0.0
    total = sum(power * math.log(max(quality.parts[name], FLOOR)) for name, power in EXPONENTS.items())
    return math.exp(total / sum(EXPONENTS.values()))


def standing(qualities: Sequence[Quality], agreed: float = 1.0) -> Standing:
    """Return the standing of a recipe by the qualities of its masks, of one image at least."""
    merits = [merit(each) for each in qualities]
    figures = [value * figure(each.shape) for value, each in zip(merits, qualities, strict=True)]
    place = same_place([each.shape for each in qualities])
    total = sum(merits)
    return Standing(
        merit=total / len(merits),
        kept=sum(figures) / total * (1 - ramp(place, SAME)) * agreed if total else 0.0,
        area=statistics.fmean(each.shape.area for each in qualities),
        place=place,
        agreed=agreed,
        clear=sum(each.clear for each in qualities),
        images=len(qualities),
    )


def verdict(masks: Standing, conspicuous: Standing | None = None, *, taught: bool = False) -> Verdict:
    """Return the verdict on the masks of a recipe.

    Args:
        conspicuous: the standing of the recipe whose masks fit best, if that is another one. Where it is background, it
            is not known what is meant.
        taught: a person has shown what is meant, so that it is clear.
    """
    most = conspicuous or masks
    kept = most.kept**2
    trust = round(masks.score * kept, 4)
    if masks.images < LEAST_MASKS:
        return Verdict("look", "Fewer than three images cannot tell whether the recipe can be trusted.", trust, kept)
    name: Name = "trust" if trust >= TRUSTED else "look" if taught or trust >= UNCLEAR else "unclear"
    return Verdict(name, _reason(masks, most, name), trust, kept)


def _reason(masks: Standing, most: Standing, name: Name) -> str:
    if name == "trust":
        return "The masks follow edges and colours, and look like objects rather than like background."
    if most.kept < masks.merit:
        what, ending = ("The masks", "") if most is masks else ("What stands out most", "s")
        if ramp(most.place, SAME) > 0:
            lie = "lie" + ending
            return f"{what} {lie} in the same place in every image, as a frame or a fixed scene does."
        if most.agreed < 1 and most.area <= COVERS[0]:
            return "Recipes that usually find the same objects find different ones here."
        if most.area > COVERS[0]:
            return f"{what} cover{ending} {most.area:.0%} of the image on average, as background does."
        return f"{what} cover{ending} most of many images or run{ending} along their border, as background does."
    if masks.clear < masks.images:
        doubtful = f"{masks.images - masks.clear} of {masks.images}"
        return f"{doubtful} masks are doubtful, and the others follow edges and colours only in part."
    return "The masks follow edges and colours of the images only in part."

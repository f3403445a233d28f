"""Does the label-free quality know which masks are good? Its rank correlation with true Dice, image by image.

    python -m benchmarks.quality ../shared/data/ecssd                        # the default method
    python -m benchmarks.quality ../shared/data/nuclei --method threshold --part odd
    python -m benchmarks.quality ../shared/data/eggs-and-pans --foreground 64 --json

The folder holds images/ and truth/, paired by stem. Masks are drawn and judged as the label job does it: a method that
sees the dataset first sees that part of it. Spearman's correlation is printed for the score and for each of its parts,
over all masks, and what dropping the worst fifth by score does to the rest: mean Dice, and precision, the share of the
masks' foreground that truly is. The weights were chosen on the even halves of ecssd and nuclei: `--part odd` shows
unseen images.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.labels import PARTS, pairs
from engine.core.parameters import from_assignments, parse
from engine.imaging import metrics
from engine.labelling.base import DEFAULT_METHOD, draw, find_method, fit_sample, fit_state, look_at, methods
from engine.labelling.quality import Quality, assess

WORST_SHARE = 0.2


@dataclass(frozen=True)
class Judged:
    """One mask: its quality, and what truth says of it."""

    quality: Quality
    dice: float
    precision: float


@dataclass(frozen=True)
class Trust:
    """How far the quality of one recipe's masks on one folder can be trusted. Correlations are None where all tie."""

    data: str
    part: str
    method: str
    images: int
    sentence: str
    dice: float
    spearman: float | None
    parts: dict[str, float | None]
    unclear: int
    unclear_dice: float | None
    kept_dice: float
    precision: float
    kept_precision: float


def judge(folder: Path, part: str, foreground: int, name: str, values: dict[str, Any], seed: int) -> Trust:
    """Return how the quality does on the masks that the method `name` draws on one part of the folder."""
    method = find_method(name)
    params = parse(method.params, values)
    state = None
    if method.fit is not None:
        images = fit_sample([image for image, _ in pairs(folder, part, foreground)], method)
        state = fit_state(method, [look_at(method, image, params, seed) for image in images], params, seed)

    def redraw(image: np.ndarray) -> np.ndarray:
        return draw(method, image, params, seed, state)

    judged = []
    for image, truth in pairs(folder, part, foreground):
        probability = redraw(image)
        mask = metrics.to_mask(probability, 0.5)
        found = np.count_nonzero(mask)
        precision = np.count_nonzero(mask & truth) / found if found else 0.0
        judged.append(Judged(assess(image, probability, redraw), metrics.dice(mask, truth), precision))
    if len(judged) < 2:
        raise SystemExit(f"'{folder}' holds fewer than two pairs of images/ and truth/ in its part '{part}'.")
    return summarise(judged, folder.name, part, name, (state or {}).get("sentence", ""))


def summarise(judged: Sequence[Judged], data: str, part: str, method: str, sentence: str) -> Trust:
    """Return the correlations and what is gained by dropping the worst."""
    order = sorted(judged, key=lambda each: each.quality.score)
    kept = order[round(WORST_SHARE * len(order)) :]
    unclear = [each.dice for each in judged if not each.quality.clear]
    dices = [each.dice for each in judged]
    return Trust(
        data=data,
        part=part,
        method=method,
        images=len(judged),
        sentence=sentence,
        dice=_mean(dices),
        spearman=correlation([each.quality.score for each in judged], dices),
        parts={
            name: correlation([each.quality.parts[name] for each in judged], dices) for name in judged[0].quality.parts
        },
        unclear=len(unclear),
        unclear_dice=_mean(unclear) if unclear else None,
        kept_dice=_mean([each.dice for each in kept]),
        precision=_mean([each.precision for each in judged]),
        kept_precision=_mean([each.precision for each in kept]),
    )


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation; None where one side is the same throughout."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return round(float(spearmanr(a, b).statistic), 4)


def _mean(values: Sequence[float]) -> float:
    return round(statistics.fmean(values), 4)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with images/ and truth/")
    parser.add_argument("--method", choices=list(methods()), default=DEFAULT_METHOD)
    parser.add_argument("-p", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the method")
    parser.add_argument("--part", choices=list(PARTS), default="all", help="odd: images that chose no weight")
    parser.add_argument("--foreground", type=int, default=1, help="truth values from this on are foreground")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    values = from_assignments(arguments.p)
    trust = judge(arguments.data, arguments.part, arguments.foreground, arguments.method, values, arguments.seed)
    if arguments.json:
        json.dump(asdict(trust), sys.stdout)
        print()
        return
    if trust.sentence:
        print(trust.sentence)
    print(
        f"{trust.data} ({trust.part}, {trust.images} images)  {trust.method}  mean Dice {trust.dice:.3f}  "
        f"Spearman of quality against Dice {_number(trust.spearman)}"
    )
    print("  by part: " + ", ".join(f"{name} {_number(value)}" for name, value in trust.parts.items()))
    print(
        f"  without the worst {WORST_SHARE:.0%}: Dice {trust.dice:.3f} -> {trust.kept_dice:.3f}, "
        f"precision {trust.precision:.3f} -> {trust.kept_precision:.3f}"
    )
    print(f"  no clear foreground: {trust.unclear} images, their mean Dice {_number(trust.unclear_dice)}")


if __name__ == "__main__":
    main()

"""Does a sweep find better settings by TPE than by as many random trials?

    python -m benchmarks.sweeps against-random               # 24 trials, 5 seeds, drawn images: seconds
    python -m benchmarks.sweeps against-random --trials 48 --seeds 10

Trials are recipes of the method *threshold* on images that are drawn here: discs of low contrast in noise under a
gradient of light. They are proposed as the sweeps of an installation propose them (`engine.sweeps.study.ask`). The
objective is the mean Dice against truth of the first half of the images; the best trial is also scored on the others,
which no trial has seen.
"""

from __future__ import annotations

from statistics import fmean
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.harness import suite
from engine.core.parameters import parse
from engine.imaging.metrics import dice
from engine.labelling.base import draw, find_method
from engine.sweeps.space import dimension, with_values
from engine.sweeps.study import Tried, ask

METHOD = find_method("threshold")
SPACE = [
    dimension(METHOD.params, text)
    for text in (
        "foreground=darker,lighter",
        "offset=-60..60",
        "smoothing_px=0..8",
        "least_area_percent=0..5",
        "softness=1..40",
    )
]
SIZE_PX = 64
app = suite(__doc__)


def drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (image uint8 RGB, truth bool): two discs, 25 grey levels brighter, in noise of 30 under a gradient."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    truth = np.zeros((SIZE_PX, SIZE_PX), bool)
    for centre in rng.integers(10, SIZE_PX - 10, (2, 2)):
        truth |= (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= rng.integers(6, 12) ** 2
    light = 90 + 20 * columns / SIZE_PX
    image = light[..., None] + 25 * truth[..., None] + rng.normal(0, 30, (SIZE_PX, SIZE_PX, 3))
    return np.clip(image, 0, 255).astype(np.uint8), truth


def score(values: dict[str, Any], pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    params = parse(METHOD.params, with_values(METHOD.params().model_dump(), values))
    return fmean(dice(draw(METHOD, image, params, 0) >= 0.5, truth) for image, truth in pairs)


@app.command()
def against_random(
    trials: Annotated[int, typer.Option(min=2)] = 24,
    seeds: Annotated[int, typer.Option(min=1)] = 5,
    images: Annotated[int, typer.Option(min=2, help="Half of them score the trials.")] = 12,
) -> list[dict[str, Any]]:
    """Return the best score of TPE and of random trials for each seed, and the means."""
    pairs = [drawn(number) for number in range(images)]
    chosen, unseen = pairs[: images // 2], pairs[images // 2 :]
    rows = []
    for seed in range(seeds):
        row: dict[str, Any] = {"seed": seed}
        for sampler in ("tpe", "random"):
            tried: list[Tried] = []
            for _ in range(trials):
                values = ask(SPACE, sampler, seed, tried)
                tried.append(Tried(values, "complete", score(values, chosen)))
            best = max(tried, key=lambda each: each.score or 0.0)
            row |= {sampler: best.score, f"{sampler}_unseen": score(dict(best.values), unseen)}
        rows.append(row)
    means = {name: fmean(row[name] for row in rows) for name in rows[0] if name != "seed"}
    return [*rows, {"seed": "mean"} | means]


if __name__ == "__main__":
    app()

"""Images a second that the fast preset's network trains on here, beside the same network in PyTorch.

    python -m benchmarks.torch_peer --peer-python /path/to/a/python/with/torch
    python -m benchmarks.torch_peer --peer-python python --rounds 9 --steps 20 --json

Both train on one ready batch, so neither reads, augments or resizes anything: what is timed is forward, backward and
update (benchmarks.training times a whole run). Ours also updates its two metrics in each step, as it does in a run. The
loss, the optimizer, the batch, the layers and the number of variables are the same (benchmarks.torch_unet); PyTorch
runs with oneDNN on all cores, with its fused AdamW, in both memory layouts, and the faster one counts.

Ours runs in this process and the peer in its own. They take turns, ours, peer, ours, peer; who waits sleeps. The ratio
is the median of the ratios of the rounds. The machine must be idle: PyTorch's threads wait for each other after every
operation, so on busy cores it loses many times more than we do, and the ratio flatters us.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.training import ROOT
from engine.core.parameters import from_assignments
from engine.core.run_config import RunConfig, config_from

LAYOUTS = ("contiguous", "channels_last")
PEER_PRECISION = {"float32": "float32", "mixed_bfloat16": "bfloat16"}
WARM_UP = 3

Ask = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """Medians of images a second in one precision. `ratio` is ours through the peer's faster layout."""

    precision: str
    ours: float
    peer: dict[str, float]
    ratio: float
    ratios: list[float]


def main(
    peer_python: Annotated[str, typer.Option(help="A Python with PyTorch (CPU).")] = "python",
    rounds: Annotated[int, typer.Option(min=1, help="How often each takes its turn.")] = 7,
    steps: Annotated[int, typer.Option(min=1, help="Steps in a turn.")] = 10,
    params: Annotated[list[str] | None, typer.Option("-p", help="model.image_size, model.base_filters …")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of sentences.")] = False,
) -> None:
    """Time both, and print medians and ratios."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    config = config_from("fast", from_assignments(params or []))
    with peer(peer_python, config) as (about, ask):
        from engine.training.hardware import dtype_policy, prepare_threads

        prepare_threads()
        precisions = dict.fromkeys((dtype_policy("auto"), "float32"))
        found = [compare(config, precision, ask, rounds, steps) for precision in precisions]
    report = {**about, "load_after": os.getloadavg()[0], "comparisons": [asdict(each) for each in found]}
    if as_json:
        print(json.dumps(report))
        return
    print(
        f"{about['variables']} variables in both; batch {config.training.batch_size} of {config.model.image_size} px; "
        f"PyTorch {about['torch']} with {about['threads']} threads; load {report['load_after']:.1f} after."
    )
    for each in found:
        layouts = ", ".join(f"{layout} {speed:.1f}" for layout, speed in each.peer.items())
        print(
            f"{each.precision:15} ours {each.ours:6.1f} images/s   PyTorch {layouts}   ratio {each.ratio:.2f} "
            f"(rounds {min(each.ratios):.2f} to {max(each.ratios):.2f})"
        )


def compare(config: RunConfig, precision: str, ask: Ask, rounds: int, steps: int) -> Comparison:
    """Let both take turns in one precision."""
    ours = our_training(config, precision)
    batch = config.training.batch_size

    def theirs(layout: str, count: int) -> float:
        asked = {"precision": PEER_PRECISION[precision], "layout": layout, "steps": count}
        return ask(asked)["seconds"] / count

    ours(WARM_UP)
    for layout in LAYOUTS:
        theirs(layout, WARM_UP)
    turns = [{"ours": ours(steps)} | {layout: theirs(layout, steps) for layout in LAYOUTS} for _ in range(rounds)]
    return summarise(precision, batch, turns)


def summarise(precision: str, batch: int, turns: list[dict[str, float]]) -> Comparison:
    """Return medians and ratios from seconds per step, which each turn has for "ours" and the peer's layouts."""
    medians = {name: batch / statistics.median(turn[name] for turn in turns) for name in turns[0]}
    ours = medians.pop("ours")
    best = max(medians, key=medians.get)
    ratios = [turn[best] / turn["ours"] for turn in turns]
    return Comparison(
        precision,
        round(ours, 2),
        {name: round(speed, 2) for name, speed in medians.items()},
        round(statistics.median(ratios), 3),
        [round(ratio, 3) for ratio in ratios],
    )


def our_training(config: RunConfig, precision: str) -> Callable[[int], float]:
    """Return a function that takes so many training steps and returns the seconds of one."""
    from engine.training.compiled import training_model

    training = config.training.model_copy(update={"precision": precision})
    model, side = training_model(config.model_copy(update={"training": training})), config.model.image_size
    rng, count = np.random.default_rng(0), config.training.batch_size
    images = rng.integers(0, 256, (count, side, side, 3)).astype(np.float32)
    targets = rng.integers(0, 2, (count, side, side, 2)).astype(np.float32)

    def take(steps: int) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            model.train_on_batch(images, targets)
        return (time.perf_counter() - began) / steps

    return take


@contextmanager
def peer(python: str, config: RunConfig) -> Iterator[tuple[dict[str, Any], Ask]]:
    """Start the peer; yield what it says of itself, and a function that asks it and waits for the answer.

    Raises:
        SystemExit: it does not start, or its network is another one than ours.
    """
    from engine.network.networks import network

    model = config.model
    sizes = {
        "image-size": model.image_size,
        "batch": config.training.batch_size,
        "base-filters": model.base_filters,
        "depth": model.depth,
    }
    options = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    command = [python, "-m", "benchmarks.torch_unet", *options]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def answer() -> dict[str, Any]:
            line = process.stdout.readline()
            if not line:
                raise SystemExit("The peer ended. Does --peer-python name a Python with PyTorch and NumPy?")
            return json.loads(line)

        def ask(asked: dict[str, Any]) -> dict[str, Any]:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            return answer()

        about = answer()
        ours = network(model).count_params()
        if about["variables"] != ours:
            raise SystemExit(f"The networks differ: ours has {ours} variables, the peer's {about['variables']}.")
        yield about, ask
        process.stdin.close()


if __name__ == "__main__":
    typer.run(main)

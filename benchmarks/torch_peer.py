"""Images a second that the fast preset's network trains on here, beside the same network in PyTorch.

    python -m benchmarks.torch_peer speed --peer-python /path/to/a/python/with/torch
    python -m benchmarks.torch_peer speed --peer-python python --rounds 9 --steps 20

Both train on one ready batch, so neither reads, augments or resizes anything: what is timed is forward, backward and
update. Ours also updates its two metrics in each step, as it does in a run. The loss, the optimizer, the batch, the
layers and the number of variables are the same (benchmarks.torch_unet); PyTorch runs with oneDNN on all cores, with its
fused AdamW, in both memory layouts, and the faster one counts.

Ours runs in this process and the peer in its own. They take turns; who waits sleeps. The ratio is the median of the
ratios of the rounds. The machine must be idle: PyTorch's threads wait for each other after every operation, so on busy
cores it loses many times more than we do, and the ratio flatters us.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import psutil
import typer

from benchmarks.harness import Params, in_turns, note, seconds, suite
from benchmarks.training import step_of
from engine.core.parameters import from_assignments
from engine.core.run_config import RunConfig, config_from
from tests.support.installation import REPOSITORY

LAYOUTS = ("contiguous", "channels_last")
PEER_PRECISION = {"float32": "float32", "mixed_bfloat16": "bfloat16"}
WARM_UP = 3

Ask = Callable[[dict[str, Any]], dict[str, Any]]
app = suite(__doc__)


@app.command()
def speed(
    peer_python: Annotated[str, typer.Option(help="A Python with PyTorch (CPU).")] = "python",
    rounds: Annotated[int, typer.Option(min=1, help="How often each takes its turn.")] = 7,
    steps: Annotated[int, typer.Option(min=1, help="Steps in a turn.")] = 10,
    params: Params = None,
) -> list[dict[str, Any]]:
    """Medians of images a second in each precision, and the ratio of ours to the peer's faster layout."""
    config = config_from("fast", from_assignments(params or []))
    with peer(peer_python, config) as (about, ask):
        from engine.training.hardware import dtype_policy, prepare_threads

        prepare_threads()
        note(f"PyTorch {about['torch']} with {about['threads']} threads; {about['variables']} variables in both.")
        precisions = dict.fromkeys((dtype_policy("auto"), "float32"))
        rows = [compare(config, precision, ask, rounds, steps) for precision in precisions]
    note(f"Load {psutil.getloadavg()[0]:.1f} after.")
    return rows


def compare(config: RunConfig, precision: str, ask: Ask, rounds: int, steps: int) -> dict[str, Any]:
    """Let both take turns in one precision."""
    step, _ = step_of(config, precision)

    def ours(count: int) -> float:
        return seconds(lambda: [step() for _ in range(count)]) / count

    def theirs(layout: str, count: int) -> float:
        return ask({"precision": PEER_PRECISION[precision], "layout": layout, "steps": count})["seconds"] / count

    ours(WARM_UP)
    for layout in LAYOUTS:
        theirs(layout, WARM_UP)
    peers = {layout: lambda layout=layout: theirs(layout, steps) for layout in LAYOUTS}
    return summarise(precision, config.training.batch_size, in_turns(rounds, ours=lambda: ours(steps), **peers))


def summarise(precision: str, batch: int, turns: list[dict[str, float]]) -> dict[str, Any]:
    """Return medians and ratios from seconds per step, which each turn has for "ours" and the peer's layouts."""
    medians = {name: batch / statistics.median(turn[name] for turn in turns) for name in turns[0]}
    ours = medians.pop("ours")
    best = max(medians, key=lambda layout: medians[layout])
    ratios = [turn[best] / turn["ours"] for turn in turns]
    return {"precision": precision, "ours": ours, "peer": medians, "ratio": statistics.median(ratios), "ratios": ratios}


@contextmanager
def peer(python: str, config: RunConfig) -> Iterator[tuple[dict[str, Any], Ask]]:
    """Start the peer; yield what it reports about itself, and a function that asks it and waits for the answer.

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
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

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
    app()

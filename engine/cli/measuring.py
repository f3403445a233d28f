"""`python -m engine measure`: time and memory that a run's settings would take on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from db import submissions
from db.models import Dataset, LabelSet
from db.names import by_id_or_name
from engine.cli.commands import (
    AsJson,
    Assignments,
    Installation,
    TrainLabels,
    TrainTruth,
    app,
    chosen_config,
    print_result,
    require_one_source,
)
from engine.core.parameters import from_assignments
from engine.core.run_config import RunConfig
from engine.network.plan import network_plan


@app.command()
def measure(
    dataset: str,
    labels: TrainLabels = None,
    truth: TrainTruth = False,
    rate_range: Annotated[
        bool, typer.Option("--rate-range", help="Run a learning-rate range test instead of two batches.")
    ] = False,
    preset: Annotated[str | None, typer.Option(help="The preset that -p changes; default: as for `train`.")] = None,
    param: Assignments = None,
    as_json: AsJson = False,
):
    """Try two batches with the settings that `train` would use: time of an epoch and of the run, and memory."""
    require_one_source(labels, truth)
    installation = Installation()
    _, config = chosen_config(installation, preset, labels, from_assignments(param or []))
    with installation.database.writing() as session:
        row = by_id_or_name(session, Dataset, dataset)
        label_set = by_id_or_name(session, LabelSet, labels) if labels is not None else None
        label_set_id = label_set.id if label_set else None
        job = submissions.submit_measure(
            session, row.id, label_set_id, config.model_dump(mode="json"), "rate_range" if rate_range else "trial"
        )
    result = installation.finish(job.id, as_json).result
    plan = network_plan(config.model)
    result |= {"parameters": plan.parameters, "flops": plan.flops}
    print_result(result, as_json, _rate_sentence(result) if rate_range else _trial_sentence(result, config))


def _trial_sentence(result: dict[str, Any], config: RunConfig) -> str:
    if "epoch_s" not in result:
        return "Stopped before a batch was measured."
    return (
        f"{result['parameters']:,} parameters, {result['flops'] / 1e9:.2f} GFLOPs per image of "
        f"{config.model.image_size} x {config.model.image_size} px. One step takes {result['step_s']:.3f} s on "
        f"{', '.join(result['devices'])} in {result['precision']}: {result['images_per_s']:.1f} images/s. "
        f"An epoch takes {result['epoch_s'] / 60:.2f} minutes, all of them {result['run_s'] / 60:.1f} minutes at most. "
        f"Peak memory {result['peak_bytes'] / 1e6:,.0f} MB."
    )


def _rate_sentence(result: dict[str, Any]) -> str:
    if result["suggestion"] is None:
        return f"The loss did not fall at any of {len(result['rates'])} rates, so there is nothing to suggest."
    return (
        f"The loss falls fastest near a learning rate of {result['suggestion']:g} "
        f"({len(result['rates'])} batches, -p training.learning_rate={result['suggestion']:g})."
    )

"""Job: measure what settings mean before a run costs anything: a trial of two batches, or a learning-rate range test.

The measurement runs in a process of its own. Its peak memory is then that of training and of nothing else, and if
memory runs out, it is that process which the system ends, and the job can say so.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from db import datasets
from db.models import Dataset, Image, Job, JobKind
from engine.core.parameters import parse
from engine.core.processes import prepare_process
from engine.core.run_config import RunConfig
from engine.datasets.split import split
from engine.imaging.left_out import LeftOut
from engine.store import keys as stored
from engine.training.job import teachable, training_samples
from engine.training.memory_advice import memory_advice
from engine.training.workload import workload
from engine.work.context import JobContext, JobFailed, JobStopped, JobType

RATE_RANGE_IMAGES = 128
"""Enough that no image is met often in one range test, few enough to be read in seconds."""

POLL_S = 0.2
SIGKILL = 9
OOM_SCORE = Path("/proc/self/oom_score_adj")


@dataclass(frozen=True)
class _Teacher:
    """What the network is trained on, with the attributes of a run that `training_samples` reads."""

    dataset_id: str
    label_set_id: str | None
    lookup: list[int]


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Measure as the payload says: {"dataset", "label_set" or None, "config", "what": "trial" | "rate_range"}.

    Returns what `engine.training.trial.trial` or `engine.training.rate_range.rate_range` measured; to a trial the
    projection {"epoch_s", "run_s", "steps_per_epoch", "validation_steps"} is added.

    Raises:
        JobFailed: there is nothing to learn from, or memory ran out.
        JobStopped: a person stopped it.
    """
    config = parse(RunConfig, job.payload["config"])
    with context.reading() as session:
        dataset = session.get_one(Dataset, job.payload["dataset"])
        teacher = _Teacher(dataset.id, job.payload["label_set"], list(dataset.lookup))
        images, _ = teachable(session, teacher, datasets.images(session, dataset.id))
    what = job.payload["what"]
    left_out = LeftOut(context.artifacts, stored.left_out_key(dataset.id, dataset.left_out_id))
    samples = training_samples(context, teacher, _few_rows(images, config, what), left_out=left_out)
    with context.artifacts.scratch(stored.measure_key()) as folder:
        result = _measured(context, what, config, samples, folder)
    if what == "trial" and result["steps"]:
        shapes: dict[tuple[int, int], int] = {}
        for image in images:
            shapes[image.height, image.width] = shapes.get((image.height, image.width), 0) + 1
        work = workload(config, len(images), shapes, teacher.label_set_id is not None)
        speed = result["step_s"], result["validation_step_s"]
        result |= {
            "epoch_s": work.seconds_per_epoch(*speed),
            "run_s": work.seconds_in_all(*speed, result["start_s"]),
            "steps_per_epoch": work.steps_per_epoch,
            "validation_steps": work.validation_steps,
        }
    if result["stopped"]:
        raise JobStopped(result)
    return result


def _few_rows(images: Sequence[Image], config: RunConfig, what: str) -> list[dict[str, Any]]:
    """Return {image_id, split, probe} of as many images as are needed, spread over the dataset."""
    share = config.training.validation_split
    by_key = {image.content_hash: image for image in images}
    train, validation = split(list(by_key), share, config.training.seed) if share else (list(by_key), [])
    batch = config.training.batch_size
    wanted = {"train": 2 * batch, "validation": batch} if what == "trial" else {"train": RATE_RANGE_IMAGES}
    rows = []
    for side, keys in (("train", train), ("validation", validation)):
        count = min(wanted.get(side, 0), len(keys))
        for place in np.linspace(0, len(keys) - 1, count).astype(int):
            rows.append({"image_id": by_key[keys[place]].id, "split": side, "probe": False})
    return rows


def _measured(
    context: JobContext, what: str, config: RunConfig, samples: Sequence[Any], folder: Path
) -> dict[str, Any]:
    """Return what a process of its own measures, reporting its progress and passing on a stop."""
    spawn = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    ours, theirs = spawn.Pipe()
    arguments = (theirs, what, config.model_dump(mode="json"), list(samples), folder)
    process = spawn.Process(target=measure_in_process, args=arguments, daemon=True)
    process.start()
    theirs.close()
    try:
        return _answer(context, ours, process, config)
    finally:
        ours.close()
        process.join(POLL_S)
        if process.is_alive():
            process.kill()
            process.join()


def _answer(context: JobContext, connection: Connection, process: BaseProcess, config: RunConfig) -> dict[str, Any]:
    asked = False
    while True:
        if context.should_stop() and not asked:
            asked = True
            connection.send("stop")
        if not connection.poll(POLL_S):
            continue
        try:
            kind, content = connection.recv()
        except EOFError:
            process.join()
            if process.exitcode == -SIGKILL:  # as the system ends what takes too much memory
                raise JobFailed(memory_sentence(config)) from None
            raise JobFailed(f"The measurement broke off ({process.exitcode}). The job's log has more.") from None
        if kind == "progress":
            done, total, report = content
            context.progress(done, total, **report)
        elif kind == "result":
            return content
        elif kind == "memory":
            raise JobFailed(memory_sentence(config))
        else:
            raise JobFailed(content)


def memory_sentence(config: RunConfig) -> str:
    """Return the sentence for a run that takes more memory than there is."""
    advice = memory_advice(config.model_dump())
    return f"Memory ran out, so a run with these settings would fail as well. Choose {advice}."


def measure_in_process(
    connection: Connection, what: str, config: dict[str, Any], samples: Sequence[Any], folder: Path
) -> None:
    """Measure and send ("progress", (done, total, {"phase", …})), at last ("result" | "memory" | "failed", content)."""
    prepare_process(alone=True)
    with suppress(OSError):
        OOM_SCORE.write_text("1000")  # end this process first, not the worker or the browser's half
    try:
        connection.send(("result", _measure(connection, what, parse(RunConfig, config), samples, folder)))
    except Exception as error:
        traceback.print_exc()
        memory = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
        ours = type(error).__module__.startswith("engine.")
        sentence = str(error) if ours else f"The measurement failed: {type(error).__name__}. The job's log has more."
        connection.send(("memory", "") if memory else ("failed", sentence))


def _measure(
    connection: Connection, what: str, config: RunConfig, samples: Sequence[Any], folder: Path
) -> dict[str, Any]:
    def report(done: int, total: int, **more: Any) -> None:
        connection.send(("progress", (done, total, {"unit": "batches", **more})))

    report(0, 0, phase="starting_tensorflow")
    from engine.training.rate_range import rate_range
    from engine.training.trial import Talk, trial

    asked = False

    def should_stop() -> bool:
        nonlocal asked
        asked = asked or connection.poll()
        return asked

    talk = Talk(report, should_stop)
    return {"trial": trial, "rate_range": rate_range}[what](config, samples, folder, talk)


JOB = JobType(JobKind.MEASURE, run)

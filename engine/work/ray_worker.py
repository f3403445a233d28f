"""Start a worker as an actor of a Ray cluster: `python -m engine.work.ray_worker --launch ID …`.

The actor reserves cores, memory and a GPU, and runs `worker --join` as a process of its own, which ends with it. This
command ends as soon as the worker runs, or says in one line why it cannot.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from typing import Any, TextIO

from engine import VERSION
from engine.core.redaction import PROVIDERS
from engine.core.settings import REPOSITORY_ROOT, settings
from engine.work.ray_cluster import IN_RAY, NAMESPACE, NoRay, connect

SET_BY_RAY = ("OMP_NUM_THREADS", "RAY_JOB_ID", "RAY_NODE_ID", "RAY_RAYLET_PID", "RAY_WORKER_ID")
"""What Ray sets for its own process, and what limits the threads of ours."""
HAS_JOINED = "has joined"
IN_TIME = 0.9
"""The share of LAUNCH_TIMEOUT_S after which this command says why itself."""
LATE = "A node has started the worker, which does not join. See that the node reaches the database and DATA_ROOT."
ABANDONED_S = 300.0
"""After so long, an actor without a worker ends: the command that placed it was killed, maybe while it waited."""


class WorkerActor:
    """Runs one worker, and ends with it, or soon where it has none."""

    def __init__(self) -> None:
        self._end_soon()

    def _end_soon(self) -> None:
        self._abandoned = threading.Timer(ABANDONED_S, os._exit, (1,))
        self._abandoned.daemon = True
        self._abandoned.start()

    def ready(self) -> str:
        """Return the version on this node."""
        return VERSION

    def begin(self, environment: dict[str, str], options: list[str]) -> str:
        """Start the worker and wait until it has joined. Returns why it has not, as it says itself, "" if it has."""
        import ray

        self._abandoned.cancel()
        own = {name: value for name, value in os.environ.items() if name not in SET_BY_RAY}
        address = ray.get_runtime_context().gcs_address
        process = subprocess.Popen(
            [sys.executable, "-m", "engine", "worker", "--join", "--end-with-stdin", *options],
            cwd=REPOSITORY_ROOT,
            env=own | environment | {IN_RAY: "1", "RAY_ADDRESS": address},
            stdin=subprocess.PIPE,  # closed when this process ends, however it does
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            sys.stderr.write(line)
            said = line.strip() or said
            if HAS_JOINED in line:
                threading.Thread(target=self._end_with, args=(process, process.stderr), daemon=True).start()
                return ""
        self._end_soon()
        return said or "The worker ended."

    def _end_with(self, process: subprocess.Popen[str], says: TextIO) -> None:
        for line in says:
            sys.stderr.write(line)
        process.wait()
        os._exit(0)


def start(launch: str, gpu: bool, memory_mb: int, options: list[str]) -> None:
    """Start an actor, wait until a node has room for it, and let it begin.

    Raises:
        NoRay: there is no cluster, or no node has what is needed within LAUNCH_TIMEOUT_S.
    """
    current = settings()
    ray = connect(current.ray_address)
    wanted: dict[str, Any] = {"num_cpus": current.launch_cpus, "num_gpus": int(gpu)}
    if memory_mb:
        wanted["memory"] = memory_mb * 1_000_000
    kept = {"name": launch, "namespace": NAMESPACE, "lifetime": "detached", "max_restarts": 0}
    actor = ray.remote(WorkerActor).options(**wanted, **kept).remote()
    try:
        _begin(ray, actor, wanted, options)
    except BaseException:
        with contextlib.suppress(Exception):  # Ray's own: its cluster may be gone
            ray.kill(actor)
        raise


def _begin(ray: Any, actor: Any, wanted: dict[str, Any], options: list[str]) -> None:
    """
    Raises:
        NoRay: no node has room in time, or the worker cannot join, or does not in time.
    """
    current = settings()
    # As an argument, which no list of processes shows
    known = type(current).model_fields
    passed = {
        name: value
        for name, value in current.as_environment().items()
        if name.lower() in known or (current.store_url and name.startswith(PROVIDERS))
    }
    until = time.monotonic() + IN_TIME * current.launch_timeout_s
    placed = False
    try:
        version = ray.get(actor.ready.remote(), timeout=IN_TIME * current.launch_timeout_s)
        placed = True
        if version != VERSION:
            raise NoRay(f"The node has Maskloom {version}, this is {VERSION}. Install the same version on both.")
        why = ray.get(actor.begin.remote(passed, options), timeout=max(until - time.monotonic(), 1.0))
        if why:
            raise NoRay(why)
    except ray.exceptions.GetTimeoutError:
        raise NoRay(LATE if placed else f"No node of the Ray cluster has {_in_words(wanted)} free.") from None
    except ray.exceptions.RayError as error:
        cause = str(getattr(error, "cause", error)).strip()  # of an exception there, the text begins with Ray's trace
        raise NoRay(f"The actor ended: {cause.partition(chr(10))[0][:200]}") from None


def _in_words(wanted: dict[str, Any]) -> str:
    parts = [f"{wanted['num_cpus']} core{'s' * (wanted['num_cpus'] > 1)}", *(["a GPU"] if wanted["num_gpus"] else [])]
    parts += [f"{wanted['memory'] / 1e9:g} GB of memory"] if "memory" in wanted else []
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--launch", required=True)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--memory-mb", type=int, default=0)
    known, options = parser.parse_known_args()
    try:
        start(known.launch, known.gpu, known.memory_mb, ["--launch", known.launch, *options])
    except NoRay as error:
        print(error, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    # Of the imported module, so that a node uses its own class and version: Ray copies those of a program by value
    from engine.work import ray_worker

    sys.exit(ray_worker.main())

"""Start a worker as an actor of a Ray cluster: `python -m engine.work.ray_worker --launch ID …`.

The actor reserves cores, memory and a GPU, and runs `worker --join` as a process of its own, which ends with it. This
command ends as soon as the worker runs, or says in one line why it cannot.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from typing import Any

from engine import VERSION
from engine.core.settings import REPOSITORY_ROOT, settings
from engine.work.ray_cluster import IN_RAY, NAMESPACE, NoRay, connect

SET_BY_RAY = ("OMP_NUM_THREADS", "RAY_JOB_ID", "RAY_NODE_ID", "RAY_RAYLET_PID", "RAY_WORKER_ID")
"""What Ray sets for its own process, and what limits the threads of ours."""
PASSED = ("DATA_ROOT", "DATABASE_URL", "LAUNCHER", "LAUNCH_CPUS", "HEARTBEAT_S", "LOST_AFTER_S", "MEMORY_PER_JOB_MB")
"""Settings that the worker has from the app. They travel as an argument, which no list of processes shows."""


class WorkerActor:
    """Runs one worker, and ends with it."""

    def ready(self) -> str:
        """Return the version on this node."""
        return VERSION

    def begin(self, environment: dict[str, str], options: list[str]) -> None:
        """Start the worker and return."""
        import ray

        own = {name: value for name, value in os.environ.items() if name not in SET_BY_RAY}
        address = ray.get_runtime_context().gcs_address
        process = subprocess.Popen(
            [sys.executable, "-m", "engine", "worker", "--join", "--end-with-stdin", *options],
            cwd=REPOSITORY_ROOT,
            env=own | environment | {IN_RAY: "1", "RAY_ADDRESS": address},
            stdin=subprocess.PIPE,  # closed when this process ends, however it does
        )
        threading.Thread(target=self._end_with, args=(process,), daemon=True).start()

    def _end_with(self, process: subprocess.Popen[bytes]) -> None:
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
    actor = (
        ray.remote(WorkerActor)
        .options(**wanted, name=launch, namespace=NAMESPACE, lifetime="detached", max_restarts=0)
        .remote()
    )
    everything = current.as_environment()
    try:
        version = ray.get(actor.ready.remote(), timeout=current.launch_timeout_s)
        if version != VERSION:
            raise NoRay(f"The node has Maskloom {version}, this is {VERSION}. Install the same version on both.")
        ray.get(actor.begin.remote({name: everything[name] for name in PASSED}, options))
    except ray.exceptions.GetTimeoutError:
        ray.kill(actor)
        cores = f"{current.launch_cpus} core{'s' * (current.launch_cpus > 1)}"
        needs = [cores, *(["a GPU"] if gpu else []), *([f"{memory_mb / 1000:g} GB of memory"] if memory_mb else [])]
        raise NoRay(f"No node of the Ray cluster had {', '.join(needs)} free.") from None
    except ray.exceptions.RayError as error:
        raise NoRay(f"The actor ended: {str(error).strip().partition(chr(10))[0][:200]}") from None
    except NoRay:
        ray.kill(actor)
        raise


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
    sys.exit(main())

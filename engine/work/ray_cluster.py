"""A Ray cluster: connecting to it, and work on single images by its tasks beside the processes of a worker.

Ray is imported here alone, and only with LAUNCHER=ray. Nothing is remembered in Ray and no status of it decides
anything: a process of ours that Ray ends falls silent, and its job is queued again (docs/adr/0018).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from engine import VERSION
from engine.core.fan_out import Pool
from engine.core.redaction import provider_environment
from engine.core.settings import Settings

NAMESPACE = "maskloom"
IN_RAY = "MASKLOOM_IN_RAY"
"""Set in the environment of a worker that an actor has started."""
PATIENCE_S = 60.0
"""A task whose result is the next and that takes longer is done here once nothing else is: its node may hang."""
LOOK_S = 1.0
END_S = 30.0

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger("maskloom.ray")


class NoRay(Exception):
    """Ray or its cluster cannot be used. The message is a sentence."""


class OtherVersion(Exception):
    """A node has another Maskloom. The message is a sentence."""


def connect(address: str) -> Any:
    """Return the module `ray`, connected to the cluster at HOST:PORT, or to the one on this machine.

    Raises:
        NoRay: Ray is not installed, or the cluster cannot be reached.
    """
    if importlib.util.find_spec("ray") is None:
        raise NoRay("Ray is not installed: pip install 'ray==2.60.0'.")
    ray = importlib.import_module("ray")
    if not ray.is_initialized():
        try:
            ray.init(address or "auto", namespace=NAMESPACE, log_to_driver=False, logging_level="error")
        except Exception as error:
            what = str(error).strip().partition("\n")[0][:200]
            raise NoRay(f"The Ray cluster {address or 'of this machine'} cannot be reached: {what}") from error
    return ray


def run_on_node(version: str, environment: dict[str, str], work: Callable[[T], R], task: T) -> R:
    """Do one task in a process of Ray, with the variables of the object store.

    Raises:
        OtherVersion: this node has another Maskloom than the worker.
    """
    import cv2

    if version != VERSION:
        raise OtherVersion(f"A node of the Ray cluster has Maskloom {VERSION}, the worker {version}. Install the same.")
    cv2.setNumThreads(1)
    os.environ.update(environment)
    return work(task)


@dataclass(eq=False)
class _Begun:
    """A task: the future of its result, how to do it again, and its node and reference while it is a task of Ray."""

    future: Future[Any]
    work: Callable[[Any], Any]
    task: Any
    node: str = ""
    reference: Any = None


class RayPool(Pool):
    """The cores that this worker's actor reserves, as processes, and those of the cluster that are free, as tasks.

    A task that Ray loses, or that waits long, is done here. So no more is lost with a node than the time of its tasks.
    Each is given to a node by name: what Ray 2.60 may place itself at times waits for a minute beside free cores.
    """

    spreads = True

    def __init__(self, ray: Any, reserved: int, environment: dict[str, str]) -> None:
        super().__init__()
        self._ray, self._reserved = ray, reserved
        self._remote = ray.remote(num_cpus=1)(run_on_node)
        self._here: set[_Begun] = set()
        self._there: set[_Begun] = set()
        self._looked_at = -LOOK_S
        self._nodes: dict[str, int] = {}
        self._begun_there = 0
        self._environment = environment

    @property
    def cores(self) -> int:
        """Those of the whole cluster."""
        return max(int(self._ray.cluster_resources().get("CPU", 0)), self._reserved)

    def _begin(self, work: Callable[[T], R], task: T) -> Any:
        """Begin a task where fewer wait for each core."""
        waiting = Counter(each.node for each in self._there.copy())  # other threads take out what is done
        nodes = self._cores_of_nodes(waiting)
        node = min(nodes, key=lambda each: waiting[each] / nodes[each], default=None)
        if node is not None and waiting[node] * self._reserved <= len(self._here) * nodes[node]:
            placed = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
            remote = self._remote.options(scheduling_strategy=placed)
            reference = remote.remote(VERSION, self._environment, work, task)
            begun = _Begun(reference.future(), work, task, node, reference)
            self._await(begun, self._there)
            self._begun_there += 1
        else:
            begun = _Begun(self._begin_here(work, task, self._reserved), work, task)
            self._await(begun, self._here)
        return begun

    def _cores_of_nodes(self, waiting: Counter[str]) -> dict[str, int]:
        """Return how many cores of each node work for this pool or are free, of those with any."""
        if time.monotonic() - self._looked_at >= LOOK_S:
            free = self._ray._private.state.available_resources_per_node()  # the public one has only their sum
            cores = {
                node: int(has.get("CPU", 0)) + min(waiting[node], self._nodes.get(node, 0))
                for node, has in free.items()
            }
            self._nodes = {node: count for node, count in cores.items() if count}
            self._looked_at = time.monotonic()
        return self._nodes

    def _await(self, begun: _Begun, place: set[_Begun]) -> None:
        place.add(begun)
        begun.future.add_done_callback(lambda _: place.discard(begun))

    def _result(self, begun: _Begun) -> Any:
        if begun.reference is None:
            return begun.future.result()
        errors = self._ray.exceptions
        try:
            return self._wait(begun.future)
        except errors.RayTaskError as error:
            raise error.cause from None
        except TimeoutError:
            log.warning("No node of the cluster works on the tasks that it was given; they are done here.")
            self._nodes = {}
            for each in {begun, *self._there.copy()}:  # other threads take out what is done
                self._take_back(each)
        except errors.RayError as error:
            log.warning("A task on a node was lost and is done here: %s", type(error).__name__)
            self._take_back(begun)
        return begun.future.result()

    def _wait(self, future: Future[Any]) -> Any:
        """
        Raises:
            TimeoutError: there is no other node any more, or none has had time for it, and here nothing is left to do.
        """
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return future.result(timeout=LOOK_S)
            except TimeoutError:
                late = time.monotonic() > until and not self._here
                if future.done() or self.cores <= self._reserved or late:
                    raise

    def _take_back(self, begun: _Begun) -> None:
        self._there.discard(begun)
        self._cancel([begun])
        begun.future, begun.reference = self._begin_here(begun.work, begun.task, self._reserved), None
        self._await(begun, self._here)

    def _cancel(self, begun: Iterable[Any]) -> None:
        for each in begun:
            if each.reference is None:
                each.future.cancel()
            else:
                with contextlib.suppress(Exception):  # Ray's own, of whatever is gone
                    self._ray.cancel(each.reference)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = [each for each in self._there.copy() if each.reference is not None]
        self._cancel(left)
        with contextlib.suppress(Exception):
            self._ray.wait([each.reference for each in left], num_returns=len(left), timeout=END_S)
        super().__exit__(kind, error, trace)
        log.info("%d tasks were given to the cluster's nodes.", self._begun_there)


def opening(current: Settings) -> Callable[[], Pool]:
    """Return what opens the processes of a worker in Ray: with the nodes of the cluster where it has more cores."""

    def opened() -> Pool:
        try:
            ray = connect(current.ray_address)
            if ray.cluster_resources().get("CPU", 0) > current.launch_cpus:
                return RayPool(ray, current.launch_cpus, provider_environment() if current.store_url else {})
        except NoRay as error:
            log.warning("%s", error)
        return Pool()

    return opened

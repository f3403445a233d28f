"""The command that starts a worker as an actor, with a stand-in for Ray: what it says, and that no actor stays."""

from __future__ import annotations

import runpy
import sys
import threading
from types import SimpleNamespace

import pytest

from engine import VERSION
from engine.work import ray_worker
from engine.work.ray_cluster import NoRay


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__("ray::WorkerActor.begin() (pid=1)\n  a trace")
        self.cause = cause


class GetTimeoutError(RayError):
    pass


class StandIn:
    """A cluster whose actor answers each call with a value or an error; it remembers which actors were killed."""

    exceptions = SimpleNamespace(RayError=RayError, GetTimeoutError=GetTimeoutError)

    def __init__(self, **answers):
        self.answers, self.killed, self.patience = answers, [], []

    def remote(self, actor_class):
        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=lambda: self))

    def __getattr__(self, name):
        return SimpleNamespace(remote=lambda *_: name)

    def get(self, name, timeout):
        self.patience.append(timeout)
        if isinstance(self.answers[name], BaseException):
            raise self.answers[name]
        return self.answers[name]

    def kill(self, actor):
        self.killed.append(actor)


@pytest.fixture
def start(installation, monkeypatch):
    current = installation.settings.model_copy(update={"launch_timeout_s": 100.0, "launch_cpus": 2})
    monkeypatch.setattr(ray_worker, "settings", lambda: current)

    def begin(ray, gpu=False, memory_mb=0):
        monkeypatch.setattr(ray_worker, "connect", lambda address: ray)
        ray_worker.start("0" * 32, gpu, memory_mb, [])

    return begin


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"ready": GetTimeoutError()}, r"^No node of the Ray cluster has 2 cores, a GPU and 32 GB of memory free\.$"),
        ({"ready": VERSION, "begin": GetTimeoutError()}, r"^A node has started the worker, which does not join\."),
        ({"ready": "0.0"}, r"^The node has Maskloom 0\.0, this is"),
        ({"ready": VERSION, "begin": "This worker is not needed."}, r"^This worker is not needed\.$"),
        ({"ready": VERSION, "begin": RayTaskError(OSError("No such folder"))}, r"^The actor ended: No such folder$"),
    ],
)
def test_a_worker_that_does_not_start_is_a_sentence_and_leaves_no_actor(start, answers, sentence):
    ray = StandIn(**answers)
    with pytest.raises(NoRay, match=sentence):
        start(ray, gpu=True, memory_mb=32_000)
    assert ray.killed == [ray]


def test_no_actor_stays_of_a_command_that_is_interrupted(start):
    ray = StandIn(ready=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        start(ray)
    assert ray.killed == [ray]


def test_both_waits_together_take_no_longer_than_a_request_has(start, monkeypatch):
    now = iter([0.0, 80.0])
    monkeypatch.setattr(ray_worker, "time", SimpleNamespace(monotonic=lambda: next(now)))
    ray = StandIn(ready=VERSION, begin="")
    start(ray)
    assert ray.patience == [90.0, 10.0] and not ray.killed


def test_an_actor_that_nobody_lets_begin_ends(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(ray_worker, "ABANDONED_S", 0.01)
    monkeypatch.setattr(ray_worker.os, "_exit", lambda code: ended.set())
    ray_worker.WorkerActor()
    assert ended.wait(60)


@pytest.mark.filterwarnings("ignore:'engine.work.ray_worker' found in sys.modules")
def test_the_program_uses_the_imported_class_which_each_node_has_itself(monkeypatch):
    monkeypatch.setattr(ray_worker, "main", lambda: 7)
    monkeypatch.setattr(sys, "argv", ["ray_worker"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("engine.work.ray_worker", run_name="__main__")
    assert ended.value.code == 7
